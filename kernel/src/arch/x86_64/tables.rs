//! Segments, the task state with its emergency stacks, and the table of entry points.
//!
//! Owns: GDT, TSS and IDT of the one processor. Leaves to others: what the entry points do.
//! The IDT is filled by a loop over a list of entry points and not field by field: code that
//! runs once costs an emulator far more to translate than to run, and the time to boot counts.
//! A double fault and a non-maskable interrupt run on stacks of their own, because the stack in
//! use may be the very thing that is broken.
//! Source: Intel SDM volume 3, chapters 3, 6 and 7.

use super::{entry, exception};
use core::cell::UnsafeCell;
use norma_drivers::interrupts::{FIRST_VECTOR, SPURIOUS_VECTOR};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::registers::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr, structures::DescriptorTablePointer};

/// Places in the task state, counted from 1.
const FAULT_STACK: u64 = 1;
const NMI_STACK: u64 = 2;

/// An entry of the IDT.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const ABSENT: Self = Self { low: 0, high: 0 };

    /// An interrupt gate: entering by it switches interrupts off. `stack` is 0 for the stack in
    /// use, or a place in the task state, counted from 1.
    #[inline(never)]
    fn new(stub: Stub, stack: u64) -> Self {
        let address = stub as *const () as u64;
        let selector = u64::from(CODE.0);
        Self {
            low: address & 0xffff
                | selector << 16
                | stack << 32
                | 0x8e00 << 32
                | (address >> 16 & 0xffff) << 48,
            high: address >> 32,
        }
    }
}

type Stub = extern "C" fn();

/// The segments, as [`segments`] puts them into the GDT: the kernel's, then those of programs.
pub(super) const CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);
const DATA: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
pub(super) const USER_DATA: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring3);
pub(super) const USER_CODE: SegmentSelector = SegmentSelector::new(4, PrivilegeLevel::Ring3);

/// What stands in the GDT of every image; `load` adds the task state, whose address is not
/// constant.
const fn segments() -> GlobalDescriptorTable {
    let mut gdt = GlobalDescriptorTable::new();
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    assert!(code.0 == CODE.0 && data.0 == DATA.0);
    let data = gdt.append(Descriptor::user_data_segment());
    let code = gdt.append(Descriptor::user_code_segment());
    assert!(code.0 == USER_CODE.0 && data.0 == USER_DATA.0);
    gdt
}

struct Tables {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
    idt: [Gate; 256],
}

struct Holder(UnsafeCell<Tables>);

// SAFETY: written only by `load`, before there are threads and interrupts; afterwards only the
// processor reads it.
unsafe impl Sync for Holder {}

static TABLES: Holder = Holder(UnsafeCell::new(Tables {
    gdt: segments(),
    tss: TaskStateSegment::new(),
    idt: [Gate::ABSENT; 256],
}));

/// Fills the tables and has the processor use them.
///
/// # Safety
/// To be called once, first of all, with interrupts off. The two stacks (given by their upper
/// ends) must be mapped, writable and used for nothing else.
pub unsafe fn load(fault_stack: VirtAddr, nmi_stack: VirtAddr) {
    // SAFETY: called once and before anything else could look at the tables.
    let tables: &'static mut Tables = unsafe { &mut *TABLES.0.get() };
    tables.tss.interrupt_stack_table[FAULT_STACK as usize - 1] = fault_stack;
    tables.tss.interrupt_stack_table[NMI_STACK as usize - 1] = nmi_stack;
    let task = tables.gdt.append(Descriptor::tss_segment(&tables.tss));
    tables.gdt.load();
    // SAFETY: the selectors were just made for these purposes in the table just loaded, and
    // nothing is kept in FS and GS yet.
    unsafe {
        CS::set_reg(CODE);
        SS::set_reg(DATA);
        DS::set_reg(SegmentSelector::NULL);
        ES::set_reg(SegmentSelector::NULL);
        FS::set_reg(SegmentSelector::NULL);
        GS::set_reg(SegmentSelector::NULL);
        load_tss(task);
    }
    fill(&mut tables.idt);
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(&tables.idt) - 1) as u16,
        base: VirtAddr::from_ptr(&tables.idt),
    };
    // SAFETY: the table is filled, and it stays where it is for ever.
    unsafe { lidt(&pointer) };
}

/// Has other entry points serve interrupts and the exceptions that are listed, from now on.
///
/// # Safety
/// Interrupts must be off, and the stubs must do what those of a node without tasks do.
pub(super) unsafe fn serve_programs(
    interrupts: &[Stub; norma_drivers::interrupts::VECTORS],
    exceptions: &[(u8, Stub)],
) {
    // SAFETY: interrupts are off, so nobody else looks at the table, and the processor does so
    // only when something happens to this very code.
    let idt = unsafe { &mut (*TABLES.0.get()).idt };
    for &(vector, stub) in exceptions {
        idt[usize::from(vector)] = Gate::new(stub, 0);
    }
    for (gate, &stub) in idt[usize::from(FIRST_VECTOR)..].iter_mut().zip(interrupts) {
        *gate = Gate::new(stub, 0);
    }
}

/// Sets the stack on which what happens to a program is dealt with.
///
/// # Safety
/// Interrupts must be off. It must be the upper end of a stack on which nothing that is above is
/// in use, when the program runs.
pub(crate) unsafe fn set_kernel_stack(top: u64) {
    // SAFETY: interrupts are off, and only the processor reads it, on its way out of ring 3.
    unsafe {
        (&raw mut (*TABLES.0.get()).tss.privilege_stack_table[0])
            .write_unaligned(VirtAddr::new(top))
    }
}

/// Every entry leads to a stub that knows whether its exception pushes an error code; those of
/// exceptions never return, the others keep all registers and end with IRETQ.
fn fill(idt: &mut [Gate; 256]) {
    for &(vector, stub) in &EXCEPTIONS {
        let stack = match vector {
            2 => NMI_STACK,
            8 => FAULT_STACK,
            _ => 0,
        };
        idt[usize::from(vector)] = Gate::new(stub, stack);
    }
    for (gate, &stub) in idt[usize::from(FIRST_VECTOR)..]
        .iter_mut()
        .zip(&entry::STUBS)
    {
        *gate = Gate::new(stub, 0);
    }
    idt[usize::from(SPURIOUS_VECTOR)] = Gate::new(entry::spurious, 0);
}

/// The exceptions that there are, and their entry points.
static EXCEPTIONS: [(u8, Stub); 23] = {
    macro_rules! list {
        ($($vector:literal $stub:ident),*) => { [$(($vector, exception::$stub::<$vector>)),*] };
    }
    list!(
        0 without_code, 1 without_code, 2 without_code, 3 without_code, 4 without_code,
        5 without_code, 6 without_code, 7 without_code, 8 with_code, 10 with_code, 11 with_code,
        12 with_code, 13 with_code, 14 with_code, 16 without_code, 17 with_code, 18 without_code,
        19 without_code, 20 without_code, 21 with_code, 28 without_code, 29 with_code,
        30 with_code
    )
};
