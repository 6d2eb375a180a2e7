//! The last words of a node: what happened, where, and who called whom.
//!
//! Owns: the report of a panic or an exception, and leaving with the exit code for it. Leaves
//! to others: names of functions (the runner looks addresses up in the image). Lines start with
//! `norma: panic` (or `norma: stopped`, for one that was asked from outside) and, for each return
//! address, `norma: frame 0x`. A fault while reporting is
//! reported too, a second one ends the machine without a word: there is no endless panic.

use crate::arch::backtrace;
use crate::arch::exception::{self, Registers};
use crate::{arch, console, inspect, thread};
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use norma_drivers::exit::{ExitCode, exit};

/// How many reports have begun.
static REPORTS: AtomicU32 = AtomicU32::new(0);

macro_rules! report {
    ($($argument:tt)*) => { console::write_at_once(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Reports a Rust panic and leaves.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    begin();
    let thread = thread::current_name();
    match info.location() {
        Some(location) => report!(
            "norma: panic in thread {thread}: {} at {location}",
            info.message()
        ),
        None => report!("norma: panic in thread {thread}: {}", info.message()),
    }
    trace(None, backtrace::frame_pointer());
    last_events();
    exit(ExitCode::Panic)
}

/// Reports an exception of the processor and leaves.
pub(crate) fn exception(registers: &Registers) -> ! {
    begin();
    if registers.vector() == exception::NON_MASKABLE {
        stopped(registers);
    }
    let thread = thread::current_name();
    if registers.fault_address().is_some_and(thread::is_guard) {
        report!("norma: panic: stack overflow in thread {thread}");
    } else {
        let what = fmt::from_fn(|f| registers.describe(f));
        report!("norma: panic in thread {thread}: {what}");
    }
    report!("{registers}");
    trace(Some(registers.instruction()), registers.frame());
    last_events();
    exit(ExitCode::Panic)
}

/// Somebody outside wants to know what the node does, because it does not answer: the thread that
/// runs says where it is, then the others what they wait for. There is no way back from this
/// interrupt, nor anybody who would want it.
fn stopped(registers: &Registers) -> ! {
    let thread = thread::current_name();
    report!("norma: stopped in thread {thread}: it was asked from outside what it does");
    report!("{registers}");
    trace(Some(registers.instruction()), registers.frame());
    last_events();
    // SAFETY: interrupts are off, and this is the end.
    unsafe { inspect::report_threads(&mut |line| report!("{line}")) };
    exit(ExitCode::Panic)
}

/// What the node did last, if its image traces.
fn last_events() {
    crate::trace::report_last(|ago, name, event| {
        let (whole, part) = (ago / 1000, ago % 1000);
        report!("norma: before {whole}.{part:03} us: {event} ({name})");
    });
}

/// Counts the reports; the third ends the machine, for then reporting is what fails.
fn begin() {
    arch::interrupts_off();
    if REPORTS.fetch_add(1, Ordering::Relaxed) >= 2 {
        exit(ExitCode::Panic);
    }
}

fn trace(instruction: Option<u64>, frame: u64) {
    if let Some(instruction) = instruction {
        report!("norma: frame {instruction:#x}");
    }
    backtrace::walk(frame, thread::current_stack(), |address| {
        report!("norma: frame {address:#x}");
    });
}
