//! Threads of the task.

use crate::failure::Failure;
use crate::memory::Memory;
use crate::rights::{ReceiveRight, SendOnceRight};
use crate::send::nanoseconds;
use crate::system::plain;
use alloc::boxed::Box;
use core::arch::asm;
use core::time::Duration;
use norma_abi::call;

/// Bytes of a thread's stack; below it lies a page that is never mapped.
const STACK: usize = 64 * 1024;

/// A thread that can be waited for. Dropping it leaves the thread to itself.
#[derive(Debug)]
pub struct JoinHandle {
    ended: ReceiveRight,
}

impl JoinHandle {
    /// Waits until the thread has ended.
    pub fn join(self) {
        // Word comes that the thread's right was not used, whatever became of it.
        let _ = self.ended.receive_any();
    }
}

/// What a thread begins with.
struct Beginning {
    program: Box<dyn FnOnce() + Send>,
    /// Dropped when the thread ends.
    ended: SendOnceRight,
    stack: (u64, usize),
}

/// Starts a thread that runs `program`. Priorities go from 0 to that of the task.
///
/// # Errors
/// [`Failure::TooManyThreads`], [`Failure::NoMemory`].
pub fn spawn(priority: u8, program: impl FnOnce() + Send + 'static) -> Result<JoinHandle, Failure> {
    let port = ReceiveRight::new()?;
    let ended = port.make_send_once()?;
    let (address, length) = Memory::zeroed(STACK)?.into_parts();
    let beginning = Box::new(Beginning {
        program: Box::new(program),
        ended,
        stack: (address, length),
    });
    let argument = Box::into_raw(beginning);
    // As after a call: the stack is aligned for one, less the return address.
    let top = address + length as u64 - 8;
    let entry = begin as *const () as u64;
    match plain(
        call::SPAWN,
        [entry, top, argument as u64, u64::from(priority)],
    ) {
        Ok(_) => Ok(JoinHandle { ended: port }),
        Err(refused) => {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(argument) });
            drop(Memory::received(address, length));
            Err(refused.into())
        }
    }
}

extern "C" fn begin(argument: *mut Beginning) -> ! {
    // SAFETY: `spawn` made it for this one thread.
    let beginning = *unsafe { Box::from_raw(argument) };
    let Beginning {
        program,
        ended,
        stack: (address, length),
    } = beginning;
    program();
    drop(ended);
    // SAFETY: nothing is used of the stack any more: calls need none.
    unsafe {
        asm!(
            "syscall",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            exit = const call::THREAD_EXIT,
            in("rax") call::UNMAP,
            in("rdi") address,
            in("rsi") length,
            options(noreturn, nostack),
        )
    }
}

/// Ends this thread. What it holds on its stack is not dropped.
pub fn exit_thread() -> ! {
    loop {
        let _ = plain(call::THREAD_EXIT, [0; 4]);
    }
}

/// Waits.
///
/// # Errors
/// [`Failure::Cancelled`].
pub fn sleep(time: Duration) -> Result<(), Failure> {
    plain(call::SLEEP, [nanoseconds(time), 0, 0, 0])?;
    Ok(())
}

/// Lets the other threads of this priority, if any are ready, run first.
pub fn yield_now() {
    let _ = plain(call::YIELD, [0; 4]);
}
