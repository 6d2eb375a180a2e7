//! The program on node `a`: does each operation many times and takes the time of each.

use crate::item::{Item, Kind};
use crate::marker::marker;
use crate::{BEGIN, CONTROL, DONE, DROP, ECHO, END, LOCAL, Names, PATIENCE, SERVICE, crowd};
use alloc::vec::Vec;
use core::fmt;
use norma_user::{Clock, Failure, Memory, Message, SendRight, Task, println};

/// The rights that the measurements need.
pub struct Peer {
    control: SendRight,
    pub service: SendRight,
}

/// What came of a stretch besides the times of its operations.
pub struct Outcome {
    /// Nanoseconds from the first operation to the last.
    pub total: u64,
    /// Payload moved.
    pub bytes: u64,
}

pub fn run(task: &Task, names: &Names<'_>, items: &[Item], rounds: u32) -> Result<(), Failure> {
    let peer = Peer {
        control: names.look_up(CONTROL)?,
        service: names.look_up(SERVICE)?,
    };
    request(&peer.service, ECHO)?;
    println!("bench: first call answered");
    // As the kernel's own programs read the time: without a system call.
    let mut clock = Clock::new();
    let mut times = Vec::new();
    for round in 0..rounds {
        for item in items {
            times.clear();
            let outcome = measure(task, &mut clock, &peer, item, &mut times)?;
            print(item, round, &mut times, &outcome);
        }
    }
    peer.tell(DONE)
}

fn request(to: &SendRight, id: u32) -> Result<(), Failure> {
    let mut message = Message::new()?;
    message.set_id(id);
    Ok(to.call(message).map(drop)?)
}

impl Peer {
    /// Tells the other node something.
    pub fn tell(&self, what: u32) -> Result<(), Failure> {
        request(&self.control, what)
    }
}

fn measure(
    task: &Task,
    clock: &mut Clock,
    peer: &Peer,
    item: &Item,
    times: &mut Vec<u64>,
) -> Result<Outcome, Failure> {
    match item.kind {
        Kind::Local => {
            let service = task.wait_for(LOCAL, PATIENCE)?;
            let mut caller = Some(Message::new()?);
            stretch(clock, peer, item, times, || {
                let message = caller.take().ok_or(Failure::Empty)?;
                caller = Some(service.call(message)?);
                Ok(())
            })
        }
        Kind::Inline(request, reply) => {
            let data: [u8; 1024] = core::array::from_fn(|at| at as u8);
            let mut caller = Some(Message::new()?);
            stretch(clock, peer, item, times, || {
                let mut message = caller.take().ok_or(Failure::Empty)?;
                let echo = reply > 0 || request == 0;
                message.set_id(if echo { ECHO } else { DROP });
                if request > 0 {
                    message.set_data(&data[..request])?;
                }
                let answer = peer.service.call(message)?;
                if answer.data().len() != reply {
                    return Err(Failure::Empty);
                }
                caller = Some(answer);
                Ok(())
            })
        }
        Kind::OutOfLine(bytes) => {
            let memory = Memory::zeroed(bytes)?;
            stretch(clock, peer, item, times, || large(peer, &memory, true))
        }
        Kind::Stream(bytes) => {
            let memory = Memory::zeroed(bytes)?;
            stream(clock, peer, item, &memory)
        }
        Kind::Callers(callers) => crowd::run(task, peer, item, callers),
    }
}

/// Sends memory of which a copy stays, made when somebody writes; with an empty answer or none.
fn large(peer: &Peer, memory: &Memory, call: bool) -> Result<(), Failure> {
    let mut message = Message::new()?;
    message.set_id(DROP);
    if !call {
        return Ok(peer.service.send_lending(message, memory)?);
    }
    let answer = peer.service.call_lending(message, memory)?;
    match answer.memory().is_empty() {
        true => Ok(()),
        false => Err(Failure::Empty),
    }
}

/// Warm-up, then a stretch in which each operation is timed.
fn stretch(
    clock: &mut Clock,
    peer: &Peer,
    item: &Item,
    times: &mut Vec<u64>,
    mut operation: impl FnMut() -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    for _ in 0..item.warmup {
        operation()?;
    }
    times.reserve(item.n);
    peer.tell(BEGIN)?;
    marker::<0x01>();
    let begin = clock.now();
    let mut before = begin;
    for _ in 0..item.n {
        operation()?;
        let after = clock.now();
        times.push(after - before);
        before = after;
    }
    marker::<0x02>();
    peer.tell(END)?;
    Ok(Outcome {
        total: before - begin,
        bytes: 0,
    })
}

/// As [`stretch`], timed as a whole.
fn stream(
    clock: &mut Clock,
    peer: &Peer,
    item: &Item,
    memory: &Memory,
) -> Result<Outcome, Failure> {
    let send = |count: usize| -> Result<(), Failure> {
        for left in (0..count).rev() {
            large(peer, memory, left == 0)?;
        }
        Ok(())
    };
    send(item.warmup)?;
    peer.tell(BEGIN)?;
    marker::<0x01>();
    let begin = clock.now();
    send(item.n)?;
    let end = clock.now();
    marker::<0x02>();
    peer.tell(END)?;
    Ok(Outcome {
        total: end - begin,
        bytes: (memory.len() * item.n) as u64,
    })
}

/// Shares of a stretch's operations, in thousandths, whose times are printed.
const SHARES: [usize; 12] = [0, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

/// What is printed of sorted times: numbers with commas between them.
struct Shares<'a>(&'a [u64]);

impl fmt::Display for Shares<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for share in SHARES {
            let comma = if share == 0 { "" } else { "," };
            let place = self.0.len().saturating_sub(1) * share / 1000;
            let time = self.0.get(place).copied().unwrap_or(0);
            write!(f, "{comma}{time}")?;
        }
        Ok(())
    }
}

fn print(item: &Item, round: u32, times: &mut [u64], outcome: &Outcome) {
    times.sort_unstable();
    println!(
        "@bench {{\"name\":\"{}\",\"round\":{round},\"unit\":\"ns\",\"n\":{},\"total\":{},\
         \"bytes\":{},\"dist\":[{}]}}",
        item.name,
        item.n,
        outcome.total,
        outcome.bytes,
        Shares(times),
    );
}
