//! Where exceptions of the processor enter, and what they mean.
//!
//! Owns: the registers at the time, the name of the exception and the meaning of its error
//! code. Leaves to others: printing and leaving ([`crate::panic`]). No exception is survived
//! today: the kernel and the services in an image are one program, and a fault in it is a bug.
//! Source: Intel SDM volume 3, chapter 6.

use core::arch::naked_asm;
use core::fmt;
use x86_64::registers::control::Cr2;

/// Everything the processor was at when the exception came, in the order of the stack.
#[repr(C)]
#[derive(Debug)]
pub struct Registers {
    general: [u64; 15],
    vector: u64,
    code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack: u64,
    stack_segment: u64,
}

const NAMES: [&str; 15] = [
    "r15", "r14", "r13", "r12", "r11", "r10", "r9 ", "r8 ", "rbp", "rdi", "rsi", "rdx", "rcx",
    "rbx", "rax",
];

/// The interrupt by which a node is asked from outside what it does.
pub(crate) const NON_MASKABLE: u64 = 2;

const PAGE_FAULT: u64 = 14;
const DOUBLE_FAULT: u64 = 8;

impl Registers {
    /// Whether it happened to a program in ring 3.
    pub(crate) fn is_program(&self) -> bool {
        self.code_segment & 3 != 0
    }

    /// The number of the exception.
    pub(crate) fn vector(&self) -> u64 {
        self.vector
    }

    /// Its error code; 0 for those without one.
    pub(crate) fn code(&self) -> u64 {
        self.code
    }

    /// The stack pointer at the time.
    pub(crate) fn stack(&self) -> u64 {
        self.stack
    }

    /// The flags at the time.
    pub(crate) fn flags(&self) -> u64 {
        self.flags
    }

    /// The general registers, in the order of the stack.
    pub(crate) fn general(&self) -> &[u64; 15] {
        &self.general
    }

    /// Address of the instruction.
    pub fn instruction(&self) -> u64 {
        self.instruction
    }

    /// The frame pointer.
    pub fn frame(&self) -> u64 {
        self.general[8]
    }

    /// The address whose access failed, where the exception tells one. A double fault tells
    /// that of the page fault which could not be delivered.
    pub fn fault_address(&self) -> Option<u64> {
        matches!(self.vector, PAGE_FAULT | DOUBLE_FAULT).then(Cr2::read_raw)
    }

    /// What happened, in a sentence.
    pub fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.vector))?;
        match self.vector {
            PAGE_FAULT => self.describe_page_fault(f),
            10..=13 => self.describe_selector(f),
            _ => Ok(()),
        }
    }

    fn describe_page_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bit = |n: u32| self.code >> n & 1 == 1;
        let action = match (bit(4), bit(1)) {
            (true, _) => "execution",
            (false, true) => "write",
            (false, false) => "read",
        };
        let reason = match (bit(3), bit(0)) {
            (true, _) => "a page table is malformed",
            (false, true) => "the page does not allow it",
            (false, false) => "nothing is mapped there",
        };
        let address = Cr2::read_raw();
        write!(f, ": {action} at {address:#x}, {reason}")?;
        if address < 4096 {
            f.write_str(" (a null pointer)")?;
        }
        write!(f, ", error code {:#x}", self.code)
    }

    fn describe_selector(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => Ok(()),
            code => write!(
                f,
                ": segment selector {:#x}, error code {code:#x}",
                code & !7
            ),
        }
    }
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "norma: rip={:#018x} rsp={:#018x} flags={:#x} cr2={:#x}",
            self.instruction,
            self.stack,
            self.flags,
            Cr2::read_raw()
        )?;
        for (index, (name, value)) in NAMES.iter().zip(self.general).rev().enumerate() {
            f.write_str(if index % 4 == 0 { "\nnorma: " } else { " " })?;
            write!(f, "{name}={value:#018x}")?;
        }
        Ok(())
    }
}

fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero or overflow in a division",
        1 => "debug exception",
        NON_MASKABLE => "non-maskable interrupt",
        3 => "breakpoint",
        6 => "invalid instruction",
        7 => "floating-point instruction without floating-point state",
        DOUBLE_FAULT => "double fault",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        PAGE_FAULT => "page fault",
        16 | 19 => "floating-point exception",
        17 => "misaligned access",
        18 => "machine check",
        _ => "unexpected exception",
    }
}

/// The entry of an exception for which the processor pushes an error code.
#[unsafe(naked)]
pub extern "C" fn with_code<const VECTOR: u64>() {
    naked_asm!("push {vector}", "jmp {common}", vector = const VECTOR, common = sym common)
}

/// The entry of an exception without an error code.
#[unsafe(naked)]
pub extern "C" fn without_code<const VECTOR: u64>() {
    naked_asm!("push 0", "push {vector}", "jmp {common}", vector = const VECTOR, common = sym common)
}

#[unsafe(naked)]
extern "C" fn common() {
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
        "mov rdi, rsp",
        "cld",
        "call {handler}",
        "ud2",
        handler = sym handle,
    )
}

extern "C" fn handle(registers: &Registers) -> ! {
    crate::panic::exception(registers)
}
