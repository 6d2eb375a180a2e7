//! What a program may not do.
//!
//! Owns: telling the page that is to be copied from a mistake, and a mistake to whoever wants to
//! know: a message to the task's exception port, whose answer decides. Without such a port, or
//! without such an answer, the task ends. The kernel's own exceptions are nobody's but its own:
//! it never uses an address of a program's.

use super::life::{self, End};
use super::run::{self, Context};
use crate::arch;
use crate::arch::exception::Registers;
use crate::arch::user::CROSSING;
use crate::face::{Failure, Message, SendRight};
use crate::thread;
use norma_abi::{FAULT, Fault};
use zerocopy::IntoBytes;

const DEVICE_NOT_AVAILABLE: u64 = 7;
const PAGE_FAULT: u64 = 14;
/// The error code of a page fault of a program that wrote to a page that is there.
const WRITE_TO_PRESENT: u64 = 7;

/// Called by the entry points, with interrupts off, which they are when it returns.
pub(crate) extern "C" fn handle(registers: &Registers) {
    if !registers.is_program() {
        crate::panic::exception(registers);
    }
    // SAFETY: from an exception of a program, the first thing that happens.
    let context = unsafe { run::current() };
    let top = CROSSING.kernel_stack.get();
    if !resolved(context, registers) {
        if told(context, registers).is_err() {
            if context.task.is_ending() {
                arch::interrupts_disable();
                run::end(context);
            }
            let end = End::Faulted {
                vector: registers.vector(),
                instruction: registers.instruction(),
                address: registers.fault_address().unwrap_or(0),
            };
            crate::println!("task {}: {end}", context.task.name);
            life::end_own(context, end);
        }
        arch::interrupts_disable();
        thread::leave_interrupt();
        if CROSSING.kernel_stack.get() != top {
            run::install((context as *mut Context).cast());
        }
    }
}

/// What is no mistake.
fn resolved(context: &mut Context, registers: &Registers) -> bool {
    match registers.vector() {
        DEVICE_NOT_AVAILABLE => {
            context.vector().first_use();
            true
        }
        PAGE_FAULT if registers.code() & WRITE_TO_PRESENT == WRITE_TO_PRESENT => {
            let address = registers.fault_address().unwrap_or(0);
            let memory = context.task.memory();
            memory
                .as_ref()
                .is_some_and(|memory| memory.resolve(address) == Ok(true))
        }
        _ => false,
    }
}

/// Tells the task's exception port, and waits for its answer: `Ok` if the program may go on.
fn told(context: &Context, registers: &Registers) -> Result<(), Failure> {
    let fault = Fault {
        vector: registers.vector(),
        code: registers.code(),
        address: registers.fault_address().unwrap_or(0),
        instruction: registers.instruction(),
        stack: registers.stack(),
        flags: registers.flags(),
        registers: *registers.general(),
        thread: u64::from(context.index),
    };
    // A right of its own: the lock is not held while it is used.
    let port: SendRight = match &*context.task.exceptions.lock() {
        Some(port) => port.copy()?,
        None => return Err(Failure::NotSupported),
    };
    let mut message = Message::with_data(fault.as_bytes())?;
    message.set_id(FAULT);
    match port.call(message)?.id() {
        0 => Ok(()),
        _ => Err(Failure::NotSupported),
    }
}
