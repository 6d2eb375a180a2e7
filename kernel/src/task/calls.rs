//! The system calls of tasks: which there are, and what is plain about them.
//!
//! Owns: telling one call from another, and those that have to do with the task itself; ports
//! are in [`super::ports`], messages in [`super::messages`]. Nothing that a program passes is
//! believed: numbers are checked, names are looked up in its space, addresses in its tables.
//!
//! A call runs with interrupts off but for its waits, so that whatever it looked at is still so
//! when it acts on it; the longest stretch is bounded by [`TASK_MEMORY`](crate::limits).

use super::life::{self, End};
use super::memory::Pages;
use super::run::{self, Context};
use super::{card, cluster, messages, ports};
use crate::face::Failure;
use crate::limits::{TASK_PRINT, TASK_RESERVE};
use crate::memory::{NoMemory, free_frames};
use crate::thread::{self, Wake};
use crate::{arch, timer, trace};
use norma_abi::{Code, HIGHEST, SENT, call};

/// What a program finds in RAX and RDX: 0 and a value, or a [`Code`] and what comes with it.
#[repr(C)]
pub(crate) struct Answer {
    code: u64,
    value: u64,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) detail: u64,
    /// What was to be sent is gone.
    pub(super) sent: bool,
}

impl Refusal {
    /// The same when what was to be sent is gone.
    pub(super) fn after_sending(self) -> Self {
        Self { sent: true, ..self }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self {
            code,
            detail: 0,
            sent: false,
        }
    }
}

impl From<NoMemory> for Refusal {
    fn from(_: NoMemory) -> Self {
        Code::NoMemory.into()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let (code, detail) = match failure {
            Failure::TimedOut => (Code::TimedOut, 0),
            Failure::Cancelled => (Code::Cancelled, 0),
            Failure::Full => (Code::Full, 0),
            Failure::Empty => (Code::Empty, 0),
            Failure::PortDied => (Code::PortDied, 0),
            Failure::Unanswered => (Code::Unanswered, 0),
            Failure::NodeDied { address, .. } => (Code::NodeDied, address),
            Failure::NameUnknown | Failure::NoSuchEntry => (Code::NameUnknown, 0),
            Failure::BadName => (Code::BadName, 0),
            Failure::NameTaken => (Code::NameTaken, 0),
            Failure::NameTakenBy { .. } => (Code::NameTakenBy, 0),
            Failure::NoMemory => (Code::NoMemory, 0),
            Failure::InvalidRight => (Code::InvalidRight, 0),
            Failure::BadMessage(_) => (Code::BadMessage, 0),
            Failure::InvalidName => (Code::InvalidName, 0),
            Failure::Moved => (Code::Moved, 0),
            Failure::Circular => (Code::Circular, 0),
            Failure::TooLarge { bytes } => (Code::TooLarge, bytes as u64),
            Failure::OutOfRange => (Code::OutOfRange, 0),
            Failure::NotInSet => (Code::NotInSet, 0),
            Failure::NameInUse => (Code::NameInUse, 0),
            Failure::RightHeld(name) => (Code::RightHeld, u64::from(name.raw())),
            Failure::Notified => (Code::Notified, 0),
            Failure::NotSupported => (Code::NotSupported, 0),
            Failure::TooManyThreads => (Code::TooManyThreads, 0),
        };
        Self {
            code,
            detail,
            sent: false,
        }
    }
}

/// What a call yields.
pub(super) type Outcome = Result<u64, Refusal>;

/// The arguments of a call, in their order.
pub(super) type Arguments = [u64; 6];

/// Called by the entry point, with interrupts off, which they are when it returns.
pub(crate) extern "C" fn dispatch(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    number: u64,
) -> Answer {
    // SAFETY: from a system call, the first thing that happens.
    let context = unsafe { run::current() };
    trace::system_call(number);
    let outcome = carry_out(context, number, &[a, b, c, d, e, f]);
    // Some waits switch them on.
    arch::interrupts_disable();
    thread::leave_interrupt();
    trace::system_call_ends();
    match outcome {
        Ok(value) => Answer { code: 0, value },
        Err(refusal) => Answer {
            code: refusal.code.number() | if refusal.sent { SENT } else { 0 },
            value: refusal.detail,
        },
    }
}

#[inline(always)]
fn carry_out(context: &mut Context, number: u64, arguments: &Arguments) -> Outcome {
    match number {
        call::CALL => messages::call(context, arguments),
        call::REPLY_AND_RECEIVE => messages::reply_and_receive(context, arguments),
        call::SEND => messages::send(context, arguments),
        call::RECEIVE => messages::receive(context, arguments),
        call::REPLY => messages::reply(context, arguments),
        call::EXCHANGE => messages::exchange(context, arguments),
        call::FETCH => messages::fetch(context, arguments),
        call::ALLOCATE_PORT..=call::WITHDRAW => ports::carry_out(context, number, arguments),
        call::CHECK_IN..=call::SET_EXCEPTION_PORT => ports::carry_out(context, number, arguments),
        _ => plain(context, number, arguments),
    }
}

#[inline(never)]
fn plain(context: &mut Context, number: u64, arguments: &Arguments) -> Outcome {
    let &[a, b, c, d, ..] = arguments;
    match number {
        call::EXIT => life::end_own(context, End::Exited(a)),
        call::THREAD_EXIT => run::end(context),
        call::PRINT => print(context, a, b),
        call::CLOCK => Ok(timer::now()),
        call::SPAWN => spawn(context, a, b, c, d),
        call::SLEEP => match thread::sleep(a) {
            Wake::Cancelled => Err(Code::Cancelled.into()),
            Wake::Woken | Wake::TimedOut => Ok(0),
        },
        call::YIELD => {
            thread::yield_now();
            Ok(0)
        }
        call::MAP => map(context, a),
        call::UNMAP => unmap(context, a, b),
        call::ARGUMENTS => started_with(context, a, b),
        call::OPEN_CARD => card::open(context, a, b, c),
        call::EXCHANGE_FRAMES => card::exchange(context),
        call::SEND_CONFIRMED => messages::send_confirmed(context, arguments),
        call::RECEIVE_WITHIN => messages::receive_within(context, arguments),
        call::CLAIM..=call::NODE_NAME => cluster::carry_out(context, number, arguments),
        _ => Err(Code::NoSuchCall.into()),
    }
}

/// Whether there is enough memory for what a task wants of the kernel.
pub(super) fn afford() -> Result<(), Refusal> {
    match free_frames() >= TASK_RESERVE {
        true => Ok(()),
        false => Err(Code::NoMemory.into()),
    }
}

fn print(context: &Context, address: u64, length: u64) -> Outcome {
    let mut text = [0; TASK_PRINT];
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(TASK_PRINT);
    let text = &mut text[..length];
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    memory.read(address, text)?;
    // Nothing that a terminal, or a reader of the node's own lines, could take for something else.
    for byte in &mut *text {
        if !matches!(*byte, b'\n' | b' '..=b'~') {
            *byte = b'?';
        }
    }
    let text = core::str::from_utf8(text).unwrap_or_default();
    for line in text.lines() {
        crate::console::write_text(&["task ", &context.task.name, ": ", line, "\n"]);
    }
    Ok(length as u64)
}

fn spawn(context: &Context, entry: u64, stack: u64, argument: u64, priority: u64) -> Outcome {
    if entry >= HIGHEST {
        return Err(Code::BadAddress.into());
    }
    afford()?;
    let priority = u8::try_from(priority).unwrap_or(u8::MAX);
    let spawned = life::spawn(&context.task, entry, stack, argument, priority);
    spawned
        .map(u64::from)
        .map_err(|error| Failure::from(error).into())
}

fn map(context: &Context, length: u64) -> Outcome {
    let mut memory = context.task.memory();
    let memory = memory.as_mut().ok_or(Code::BadAddress)?;
    Ok(memory.map(length)?)
}

fn unmap(context: &Context, address: u64, length: u64) -> Outcome {
    let pages = Pages::of(address, length).ok_or(Code::BadAddress)?;
    let mut memory = context.task.memory();
    let memory = memory.as_mut().ok_or(Code::BadAddress)?;
    memory.unmap(pages)?;
    Ok(0)
}

fn started_with(context: &Context, address: u64, room: u64) -> Outcome {
    let text = context.task.arguments.as_bytes();
    let memory = context.task.memory();
    let memory = memory.as_ref().ok_or(Code::BadAddress)?;
    let count = text.len().min(usize::try_from(room).unwrap_or(usize::MAX));
    memory.write(address, &text[..count])?;
    Ok(text.len() as u64)
}
