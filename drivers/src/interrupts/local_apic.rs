//! The processor's own interrupt controller and its timer.
//!
//! Owns: one local APIC, by MSR (x2APIC) or by its page of device memory. Leaves to others:
//! mapping that page, and which interrupt does what. The timer is used one-shot: by the TSC
//! deadline where the processor has it, else by counting down at the bus frequency.
//! Source: Intel SDM volume 3, chapter 11.

use super::{SPURIOUS_VECTOR, TIMER_VECTOR};
use crate::clock::Clock;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

/// Registers, as offsets in the page; the MSR is 0x800 plus a sixteenth of that.
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const NON_MASKABLE: u32 = 0b100 << 8;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_ONE: u32 = 0b1011;
const TIMER_TSC_DEADLINE: u32 = 0b10 << 17;

const X2APIC_BASE_MSR: u32 = 0x800;
const TSC_DEADLINE_MSR: u32 = 0x6e0;

/// The physical address that the page has after reset.
const DEFAULT_PAGE: u64 = 0xfee0_0000;

/// Why there is no local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// CPUID does not list one.
    Absent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no interrupt controller: the processor has no local APIC; start QEMU with `-cpu max` \
             and without `-apic`",
        )
    }
}

enum Access {
    /// Through MSRs: no exit on most virtual machines.
    X2,
    /// Through the page, mapped uncached.
    Page(NonNull<u8>),
}

/// One processor's interrupt controller.
pub struct LocalApic {
    access: Access,
    tsc_deadline: bool,
}

// SAFETY: the page is reached only by volatile accesses of single registers, each of which is
// complete in itself; there is no state in memory that two threads could tear.
unsafe impl Send for LocalApic {}
// SAFETY: as above.
unsafe impl Sync for LocalApic {}

impl LocalApic {
    /// Finds the controller and switches it on, its timer quiet and every local line masked.
    /// `map` makes the 4 KiB of device memory at a physical address reachable; it is called only
    /// where the controller cannot be driven through MSRs.
    ///
    /// # Errors
    /// [`Error::Absent`] if the processor has none.
    pub fn initialise(map: impl FnOnce(u64) -> NonNull<u8>) -> Result<Self, Error> {
        let features = raw_cpuid::CpuId::new()
            .get_feature_info()
            .filter(|features| features.has_apic())
            .ok_or(Error::Absent)?;
        let (_, flags) = ApicBase::read();
        let access = if features.has_x2apic() {
            let wanted = flags | ApicBaseFlags::LAPIC_ENABLE | ApicBaseFlags::X2APIC_ENABLE;
            let frame = x86_64::structures::paging::PhysFrame::containing_address(
                x86_64::PhysAddr::new(DEFAULT_PAGE),
            );
            // SAFETY: the processor has x2APIC, and nobody uses the page: it is never mapped.
            unsafe { ApicBase::write(frame, wanted) };
            Access::X2
        } else {
            Access::Page(map(ApicBase::read().0.start_address().as_u64()))
        };
        let apic = Self {
            access,
            tsc_deadline: features.has_tsc_deadline(),
        };
        apic.write(LVT_LINT0, MASKED);
        // By this line somebody outside asks a machine that answers nobody what it does.
        apic.write(LVT_LINT1, NON_MASKABLE);
        apic.write(LVT_ERROR, MASKED);
        apic.write(LVT_TIMER, MASKED);
        apic.write(DIVIDE, DIVIDE_BY_ONE);
        apic.write(TASK_PRIORITY, 0);
        apic.write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
        Ok(apic)
    }

    /// The number by which other controllers address this one.
    pub fn id(&self) -> u8 {
        match self.access {
            Access::X2 => self.read(ID) as u8,
            Access::Page(_) => (self.read(ID) >> 24) as u8,
        }
    }

    /// Tells the controller that the handler of the current interrupt has done.
    #[inline(always)]
    pub fn end_of_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Makes the timer raise [`TIMER_VECTOR`] when asked to by [`LocalApic::arm`].
    pub fn enable_timer(&self) {
        let mode = if self.tsc_deadline {
            TIMER_TSC_DEADLINE
        } else {
            0
        };
        self.write(LVT_TIMER, mode | u32::from(TIMER_VECTOR));
        // The first deadline, an MSR, must not overtake the mode, which may be in memory.
        fence(Ordering::SeqCst);
    }

    /// Sets the timer to go off once at `deadline`, both times in nanoseconds of `clock`.
    ///
    /// A deadline further off than the timer can count (4 s) comes early; who set it finds
    /// nothing due and sets it again.
    #[inline]
    pub fn arm(&self, clock: &Clock, now: u64, deadline: u64) {
        if self.tsc_deadline {
            // SAFETY: the processor has the register; a time that has passed goes off at once.
            // Zero would disarm the timer.
            unsafe { Msr::new(TSC_DEADLINE_MSR).write(clock.ticks_at(deadline).max(1)) };
        } else {
            // The bus of a virtual machine runs at 1 GHz, in QEMU and in KVM: a count is a
            // nanosecond. Zero would disarm the timer.
            let count = deadline.saturating_sub(now).clamp(1, u64::from(u32::MAX));
            self.write(INITIAL_COUNT, count as u32);
        }
    }

    /// Lets the timer count down without raising anything, as a reference for the clock.
    pub(crate) fn count_silently(&self) {
        self.write(LVT_TIMER, MASKED);
        self.write(INITIAL_COUNT, u32::MAX);
    }

    /// The timer's count, which falls.
    pub(crate) fn count(&self) -> u32 {
        self.read(CURRENT_COUNT)
    }

    /// Nanoseconds since the count was `from`.
    pub(crate) fn counted_ns(&self, from: u32) -> u64 {
        u64::from(from.saturating_sub(self.count()))
    }

    /// Stops the timer.
    pub(crate) fn stop_timer(&self) {
        self.write(INITIAL_COUNT, 0);
    }

    #[inline(always)]
    fn read(&self, register: u32) -> u32 {
        match self.access {
            // SAFETY: a register of the local APIC that can be read; found by CPUID.
            Access::X2 => unsafe { Msr::new(X2APIC_BASE_MSR + (register >> 4)).read() as u32 },
            // SAFETY: `map` gave the controller's page, and all registers lie in it, aligned.
            Access::Page(page) => unsafe {
                page.byte_add(register as usize)
                    .cast::<u32>()
                    .read_volatile()
            },
        }
    }

    #[inline(always)]
    fn write(&self, register: u32, value: u32) {
        match self.access {
            // SAFETY: a register of the local APIC that can be written; none reaches memory.
            Access::X2 => unsafe {
                Msr::new(X2APIC_BASE_MSR + (register >> 4)).write(u64::from(value));
            },
            // SAFETY: `map` gave the controller's page, and all registers lie in it, aligned.
            Access::Page(page) => unsafe {
                page.byte_add(register as usize)
                    .cast::<u32>()
                    .write_volatile(value);
            },
        }
    }
}
