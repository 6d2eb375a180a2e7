//! Segments, the task state with its emergency stacks, and the table of entry points.
//!
//! Owns: GDT, TSS and IDT of the one processor. Leaves to others: what the entry points do.
//! A double fault and a non-maskable interrupt run on stacks of their own, because the stack in
//! use may be the very thing that is broken.
//! Source: Intel SDM volume 3, chapters 3, 6 and 7.

use super::{entry, exception};
use core::cell::UnsafeCell;
use norma_drivers::interrupts::{FIRST_VECTOR, SPURIOUS_VECTOR};
use x86_64::VirtAddr;
use x86_64::instructions::tables::load_tss;
use x86_64::registers::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

const FAULT_STACK: u16 = 0;
const NMI_STACK: u16 = 1;

struct Tables {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
    idt: InterruptDescriptorTable,
}

struct Holder(UnsafeCell<Tables>);

// SAFETY: written only by `load`, before there are threads and interrupts; afterwards only the
// processor reads it.
unsafe impl Sync for Holder {}

static TABLES: Holder = Holder(UnsafeCell::new(Tables {
    gdt: GlobalDescriptorTable::new(),
    tss: TaskStateSegment::new(),
    idt: InterruptDescriptorTable::new(),
}));

/// Fills the tables and has the processor use them.
///
/// # Safety
/// To be called once, first of all, with interrupts off. The two stacks (given by their upper
/// ends) must be mapped, writable and used for nothing else.
pub unsafe fn load(fault_stack: VirtAddr, nmi_stack: VirtAddr) {
    // SAFETY: called once and before anything else could look at the tables.
    let tables: &'static mut Tables = unsafe { &mut *TABLES.0.get() };
    tables.tss.interrupt_stack_table[usize::from(FAULT_STACK)] = fault_stack;
    tables.tss.interrupt_stack_table[usize::from(NMI_STACK)] = nmi_stack;
    let code = tables.gdt.append(Descriptor::kernel_code_segment());
    let data = tables.gdt.append(Descriptor::kernel_data_segment());
    let task = tables.gdt.append(Descriptor::tss_segment(&tables.tss));
    tables.gdt.load();
    // SAFETY: the selectors were just made for these purposes in the table just loaded, and
    // nothing is kept in FS and GS yet.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(SegmentSelector::NULL);
        ES::set_reg(SegmentSelector::NULL);
        FS::set_reg(SegmentSelector::NULL);
        GS::set_reg(SegmentSelector::NULL);
        load_tss(task);
    }
    set_exceptions(&mut tables.idt);
    set_interrupts(&mut tables.idt);
    tables.idt.load();
}

fn set_interrupts(idt: &mut InterruptDescriptorTable) {
    for (index, &stub) in entry::STUBS.iter().enumerate() {
        // SAFETY: the stub keeps all registers and ends with IRETQ.
        unsafe { idt[FIRST_VECTOR + index as u8].set_handler_addr(address(stub)) };
    }
    // SAFETY: as above; it does nothing else.
    unsafe { idt[SPURIOUS_VECTOR].set_handler_addr(address(entry::spurious)) };
}

fn set_exceptions(idt: &mut InterruptDescriptorTable) {
    macro_rules! set {
        ($($field:ident = $vector:literal $stub:ident;)*) => {
            $(
                // SAFETY: the stub knows whether its exception pushes an error code, and it
                // never returns.
                unsafe { idt.$field.set_handler_addr(address(exception::$stub::<$vector>)) };
            )*
        };
    }
    set! {
        divide_error = 0 without_code;
        debug = 1 without_code;
        non_maskable_interrupt = 2 without_code;
        breakpoint = 3 without_code;
        overflow = 4 without_code;
        bound_range_exceeded = 5 without_code;
        invalid_opcode = 6 without_code;
        device_not_available = 7 without_code;
        double_fault = 8 with_code;
        invalid_tss = 10 with_code;
        segment_not_present = 11 with_code;
        stack_segment_fault = 12 with_code;
        general_protection_fault = 13 with_code;
        page_fault = 14 with_code;
        x87_floating_point = 16 without_code;
        alignment_check = 17 with_code;
        machine_check = 18 without_code;
        simd_floating_point = 19 without_code;
        virtualization = 20 without_code;
        cp_protection_exception = 21 with_code;
        hv_injection_exception = 28 without_code;
        vmm_communication_exception = 29 with_code;
        security_exception = 30 with_code;
    }
    // SAFETY: `load` puts the two stacks into the task state.
    unsafe {
        let double_fault = address(exception::with_code::<8>);
        idt.double_fault
            .set_handler_addr(double_fault)
            .set_stack_index(FAULT_STACK);
        let nmi = address(exception::without_code::<2>);
        idt.non_maskable_interrupt
            .set_handler_addr(nmi)
            .set_stack_index(NMI_STACK);
    }
}

fn address(stub: extern "C" fn()) -> VirtAddr {
    VirtAddr::new(stub as *const () as u64)
}
