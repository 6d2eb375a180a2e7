//! Ring 3: into it, and out of it by system calls, interrupts and exceptions.
//!
//! Owns: the entry points that serve a node with tasks, and the registers at each crossing.
//! Leaves to others: what a call does, and which task it is (`task`). A node without tasks has
//! other entry points ([`super::entry`], [`super::exception`]) and pays for nothing here:
//! [`switch_on`] puts these in their place when the first task starts.
//!
//! There is one processor, so what a crossing needs stands in one place, [`CROSSING`], and not
//! behind the GS register. The page tables of the task that ran last stay in use while other
//! threads run in the kernel, whose half is the same in all of them; only the way back to ring 3
//! looks whether it leads to the same thread, and if not makes it so (`task::run::install`).
//! Source: Intel SDM volume 2, SYSCALL and SYSRET; volume 3, sections 4.6, 5.8.8 and 6.12.

use super::tables::{self, USER_CODE, USER_DATA};
use crate::interrupt;
use crate::task;
use core::arch::naked_asm;
use core::cell::Cell;
use norma_drivers::interrupts::{FIRST_VECTOR, VECTORS};
use x86_64::VirtAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;

/// What a crossing finds before it has a stack, and where it leads. The functions stand here and
/// not in the code, so that an image without tasks has none of them: what assembler names, the
/// compiler has to keep.
#[repr(C)]
pub struct Crossing {
    /// The upper end of the kernel's stack of the thread that ring 3 belongs to at the moment;
    /// there lies a pointer to its [`Frame`]. 0: to nobody's, and the way back has to look.
    pub kernel_stack: Cell<u64>,
    /// The program's stack pointer, for the first two instructions.
    user_stack: Cell<u64>,
    install: Cell<usize>,
    call: Cell<usize>,
    fault: Cell<usize>,
}

// SAFETY: used with interrupts off, by the one processor.
unsafe impl Sync for Crossing {}

/// The one of the one processor.
pub static CROSSING: Crossing = Crossing {
    kernel_stack: Cell::new(0),
    user_stack: Cell::new(0),
    install: Cell::new(0),
    call: Cell::new(0),
    fault: Cell::new(0),
};

/// What the code here needs to know of a thread in ring 3.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Frame {
    /// The upper end of its stack in the kernel, as [`enter`] leaves it.
    pub kernel_stack: u64,
    /// Where it begins.
    pub entry: u64,
    /// Its stack pointer.
    pub stack: u64,
    /// What it finds in its first argument's register.
    pub argument: u64,
}

/// Flags that a program begins with: interrupts on.
const FLAGS: u64 = 0x202;

/// The flag that switches SMAP off while it is set, and whose bit a program may set.
const ALIGNMENT_CHECK: u64 = 1 << 18;

/// Makes the processor ready for programs. Once, before the first; interrupts must be off.
pub fn switch_on() {
    CROSSING
        .install
        .set(task::run::install as *const () as usize);
    CROSSING
        .call
        .set(task::calls::dispatch as *const () as usize);
    CROSSING
        .fault
        .set(task::fault::handle as *const () as usize);
    let leaf = core::arch::x86_64::__cpuid_count(7, 0);
    let mut control = Cr4::read() | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    control.set(
        Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        leaf.ebx >> 7 & 1 != 0,
    );
    control.set(
        Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION,
        leaf.ebx >> 20 & 1 != 0,
    );
    control.set(
        Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION,
        leaf.ecx >> 2 & 1 != 0,
    );
    let flags = Cr0::read() | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR;
    // SAFETY: nothing of the kernel's is mapped for programs, so that it loses no access to
    // anything; the kernel itself uses no vector registers.
    unsafe {
        Cr4::write(control);
        Cr0::write((flags - Cr0Flags::EMULATE_COPROCESSOR) | Cr0Flags::TASK_SWITCHED);
    }
    LStar::write(VirtAddr::from_ptr(system_call as *const ()));
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::IOPL_LOW
            | RFlags::IOPL_HIGH,
    );
    // SAFETY: the segments lie in the table as SYSCALL and SYSRET want them: the kernel's data
    // behind its code, the program's code behind its data.
    unsafe {
        Star::write_raw(USER_DATA.0 - 8, tables::CODE.0);
        Efer::update(|flags| *flags |= EferFlags::SYSTEM_CALL_EXTENSIONS);
        tables::serve_programs(&STUBS, &EXCEPTIONS);
    }
    const { assert!(USER_CODE.0 == USER_DATA.0 + 8) };
}

/// Runs a program's thread, until [`leave`].
///
/// # Safety
/// To be called on the thread's own stack. The frame must stay where it is until then, and all
/// that it says must be the program's. Interrupts are on before and off after.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(frame: *mut Frame) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "cli",
        "mov [rdi], rsp",
        "call [rip + {crossing} + 16]",
        "mov rax, [rsp]",
        "mov rcx, [rax + 8]",
        "mov rdi, [rax + 24]",
        "mov rsp, [rax + 16]",
        "mov r11d, {flags}",
        "xor eax, eax",
        "xor ebx, ebx",
        "xor edx, edx",
        "xor esi, esi",
        "xor ebp, ebp",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "sysretq",
        crossing = sym CROSSING,
        flags = const FLAGS,
    )
}

/// Goes on behind the thread's [`enter`], whatever it did in the kernel.
///
/// # Safety
/// To be called by the thread that entered with this frame, with interrupts off; nothing on its
/// stack may be in use that has to be given up.
#[unsafe(naked)]
pub unsafe extern "C" fn leave(frame: *const Frame) -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "pop rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where SYSCALL leads. The number is in RAX, arguments are in RDI, RSI, RDX, R10, R8 and R9;
/// the answer is in RAX and RDX. RBX, RBP and R12 to R15 are kept by whoever is called; what
/// else the kernel has left in registers is not the program's to see.
#[unsafe(naked)]
extern "C" fn system_call() {
    naked_asm!(
        "mov [rip + {crossing} + 8], rsp",
        "mov rsp, [rip + {crossing}]",
        "push qword ptr [rip + {crossing} + 8]",
        "push rcx",
        "push r11",
        "push rax",
        "mov rcx, r10",
        "call [rip + {crossing} + 24]",
        "lea r10, [rsp + 32]",
        "cmp r10, [rip + {crossing}]",
        "jne 3f",
        "2:",
        "add rsp, 8",
        "pop r11",
        "pop rcx",
        "xor edi, edi",
        "xor esi, esi",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "pop rsp",
        "sysretq",
        "3:",
        "push rax",
        "push rdx",
        "mov rdi, [r10]",
        "call [rip + {crossing} + 16]",
        "pop rdx",
        "pop rax",
        "jmp 2b",
        crossing = sym CROSSING,
    )
}

/// The entry points of interrupts, by vector from [`FIRST_VECTOR`] on.
static STUBS: [extern "C" fn(); VECTORS] = {
    macro_rules! stubs {
        ($($index:literal)*) => { [$(stub::<{ FIRST_VECTOR as u32 + $index }>),*] };
    }
    stubs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
};

#[unsafe(naked)]
extern "C" fn stub<const VECTOR: u32>() {
    naked_asm!(
        "push rdi",
        "mov edi, {vector}",
        "jmp {common}",
        vector = const VECTOR,
        common = sym interrupted,
    )
}

/// As in [`super::entry`]; and a program's flags are not believed, and the way back to it is
/// made sure of.
#[unsafe(naked)]
extern "C" fn interrupted() {
    naked_asm!(
        "push rsi",
        "push rax",
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "cld",
        "test dword ptr [rsp + 88], {alignment_check}",
        "jz 2f",
        "pushfq",
        "and dword ptr [rsp], ~{alignment_check}",
        "popfq",
        "2:",
        "call {dispatch}",
        "test byte ptr [rsp + 80], 3",
        "jz 3f",
        "lea rax, [rsp + 112]",
        "cmp rax, [rip + {crossing}]",
        "je 3f",
        "mov rdi, [rax]",
        "call [rip + {crossing} + 16]",
        "3:",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "pop rsi",
        "pop rdi",
        "iretq",
        crossing = sym CROSSING,
        dispatch = sym interrupt::dispatch,
        alignment_check = const ALIGNMENT_CHECK,
    )
}

/// The exceptions that a program can cause, and their entry points. The others stay what they
/// are: nobody survives them.
static EXCEPTIONS: [(u8, extern "C" fn()); 16] = {
    macro_rules! list {
        ($($vector:literal $stub:ident),*) => { [$(($vector, $stub::<$vector>)),*] };
    }
    list!(
        0 without_code, 1 without_code, 3 without_code, 4 without_code, 5 without_code,
        6 without_code, 7 without_code, 10 with_code, 11 with_code, 12 with_code, 13 with_code,
        14 with_code, 16 without_code, 17 with_code, 19 without_code, 20 without_code
    )
};

#[unsafe(naked)]
extern "C" fn with_code<const VECTOR: u64>() {
    naked_asm!("push {vector}", "jmp {common}", vector = const VECTOR, common = sym excepted)
}

#[unsafe(naked)]
extern "C" fn without_code<const VECTOR: u64>() {
    naked_asm!("push 0", "push {vector}", "jmp {common}", vector = const VECTOR, common = sym excepted)
}

/// As in [`super::exception`], and it may return.
#[unsafe(naked)]
extern "C" fn excepted() {
    naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "pushfq",
        "and dword ptr [rsp], ~{alignment_check}",
        "popfq",
        "mov rdi, rsp",
        "call [rip + {crossing} + 32]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        "add rsp, 16",
        "iretq",
        crossing = sym CROSSING,
        alignment_check = const ALIGNMENT_CHECK,
    )
}
