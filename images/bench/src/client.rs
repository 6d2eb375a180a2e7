//! Node `a`: does each operation many times and takes the time of each.

use crate::control::{BEGIN, CONTROL, DONE, ECHO, END, PREPARE_RAW, SERVICE, pack};
use crate::counts::{self, Stretch, Totals};
use crate::ipc::{Around, Operation};
use crate::item::{Item, Kind};
use crate::{Doing, Error, local, moving, ports, raw_client, remote};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use norma_boot::{Message, Node, ReceiveRight, SendRight, println};

/// How long to wait for the other node.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rights that the measurements need.
pub struct Peer {
    control: SendRight,
    /// The service that answers.
    pub service: SendRight,
}

pub fn run(node: &Node, items: &[Item], rounds: u32) -> Result<(), Error> {
    let peer = Peer {
        control: node
            .wait_for(CONTROL, PATIENCE)
            .doing("looking the peer up")?,
        service: node
            .wait_for(SERVICE, PATIENCE)
            .doing("looking the peer up")?,
    };
    request(&peer.service, ECHO).doing("the first call")?;
    println!("bench: first call answered");
    let most = items.iter().map(|item| item.n).max().unwrap_or(0);
    let mut times = Vec::with_capacity(most);
    for round in 0..rounds {
        for (number, item) in items.iter().enumerate() {
            times.clear();
            measure(node, &peer, number as u32, item, round, &mut times).doing(item.name)?;
        }
    }
    peer.tell(DONE, 0, 0).doing("the end")
}

fn measure(
    node: &Node,
    peer: &Peer,
    number: u32,
    item: &Item,
    round: u32,
    times: &mut Vec<u64>,
) -> Result<(), norma_boot::Failure> {
    let result = match item.kind {
        Kind::Floor | Kind::RawStream(_) => {
            peer.tell(PREPARE_RAW, number, round)?;
            raw_client::run(node, item, times)?
        }
        Kind::LocalNull | Kind::Local(Around::Null) => {
            let local = local::Local::start(node)?;
            let mut message = Some(Message::new()?);
            let result = stretch(node, peer, number, item, round, times, || {
                message = Some(local.service.call(take(&mut message)?)?);
                Ok(())
            })?;
            drop(local);
            result
        }
        Kind::Local(around) => {
            let mut operation = Operation::new(node, around)?;
            stretch(node, peer, number, item, round, times, || operation.run())?
        }
        Kind::Inline(request, reply) => {
            let mut caller = remote::Inline::new(request, reply)?;
            stretch(node, peer, number, item, round, times, || caller.call(peer))?
        }
        Kind::Right => {
            let mut caller = remote::Right::new()?;
            stretch(node, peer, number, item, round, times, || caller.call(peer))?
        }
        Kind::OutOfLine(bytes) => {
            let mut caller = remote::OutOfLine::new(bytes)?;
            stretch(node, peer, number, item, round, times, || caller.call(peer))?
        }
        Kind::Ports(ports, callers) => {
            ports::run(node, peer, number, item, round, (ports, callers))?
        }
        Kind::Migrate(queued) => moving::run(node, peer, number, item, round, queued, times)?,
        Kind::Stream(bytes) => {
            let mut caller = remote::OutOfLine::new(bytes)?;
            let mut left = item.warmup;
            stream(node, peer, number, item, round, || {
                left = if left == 0 { item.n - 1 } else { left - 1 };
                if left == 0 {
                    caller.call(peer)
                } else {
                    caller.send(peer)
                }
            })?
        }
    };
    print(item, round, times, &result);
    Ok(())
}

/// Calls with an identifier and nothing else.
#[inline(never)]
pub fn request(to: &SendRight, id: u32) -> Result<Message, norma_boot::Failure> {
    let mut message = Message::new()?;
    message.set_id(id);
    Ok(to.call(message)?)
}

/// Compiled once, for it is long.
#[inline(never)]
pub fn set_queue_limit(port: &ReceiveRight, limit: u16) -> Result<(), norma_boot::Failure> {
    port.set_queue_limit(limit)
}

/// A message that is always there between two operations.
pub fn take(message: &mut Option<Message>) -> Result<Message, norma_boot::Failure> {
    message.take().ok_or(norma_boot::Failure::Empty)
}

/// What came of a stretch besides the times of its operations.
pub struct Outcome {
    /// Nanoseconds from the first operation to the last.
    pub total: u64,
    /// Payload moved.
    pub bytes: u64,
    /// What this node counted.
    pub totals: Totals,
}

/// Warm-up, then a stretch in which each operation is timed. There is one loop for both, and so
/// one place from which the operation is called: it is compiled into it.
fn stretch(
    node: &Node,
    peer: &Peer,
    number: u32,
    item: &Item,
    round: u32,
    times: &mut Vec<u64>,
    mut operation: impl FnMut() -> Result<(), norma_boot::Failure>,
) -> Result<Outcome, norma_boot::Failure> {
    let mut counting = Stretch::begin(node);
    let mut begin = 0;
    let mut before = 0;
    for i in 0..item.warmup + item.n {
        if i == item.warmup {
            peer.tell(BEGIN, number, round)?;
            counting = Stretch::begin(node);
            times.clear();
            counts::open_calling();
            begin = node.now();
            before = begin;
        }
        operation()?;
        let after = node.now();
        times.push(after - before);
        before = after;
    }
    counts::close_calling();
    let totals = counting.end(node);
    peer.tell(END, number, round)?;
    Ok(Outcome {
        total: before - begin,
        bytes: 0,
        totals,
    })
}

/// As [`stretch`], timed as a whole.
fn stream(
    node: &Node,
    peer: &Peer,
    number: u32,
    item: &Item,
    round: u32,
    mut operation: impl FnMut() -> Result<(), norma_boot::Failure>,
) -> Result<Outcome, norma_boot::Failure> {
    let mut counting = Stretch::begin(node);
    let mut begin = 0;
    for i in 0..item.warmup + item.n {
        if i == item.warmup {
            peer.tell(BEGIN, number, round)?;
            counting = Stretch::begin(node);
            counts::open_calling();
            begin = node.now();
        }
        operation()?;
    }
    let end = node.now();
    counts::close_calling();
    let totals = counting.end(node);
    peer.tell(END, number, round)?;
    let Kind::Stream(bytes) = item.kind else {
        return Err(norma_boot::Failure::InvalidRight);
    };
    Ok(Outcome {
        total: end - begin,
        bytes: (bytes * item.n) as u64,
        totals,
    })
}

impl Peer {
    /// Tells the other node something.
    #[inline(never)]
    pub fn tell(&self, what: u32, item: u32, round: u32) -> Result<(), norma_boot::Failure> {
        self.ask(what, item, round).map(drop)
    }

    /// As [`Peer::tell`], with the answer.
    pub fn ask(&self, what: u32, item: u32, round: u32) -> Result<Message, norma_boot::Failure> {
        request(&self.control, pack(what, item, round))
    }
}

/// Shares of a stretch's operations, in thousandths, whose times are printed.
const SHARES: [usize; 12] = [0, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

/// The time below which that share of sorted operations stayed.
fn at(times: &[u64], share: usize) -> u64 {
    let place = times.len().saturating_sub(1) * share / 1000;
    times.get(place).copied().unwrap_or(0)
}

/// What is printed of sorted times: numbers with commas between them.
struct Shares<'a>(&'a [u64]);

impl fmt::Display for Shares<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for share in SHARES {
            let comma = if share == 0 { "" } else { "," };
            write!(f, "{comma}{}", at(self.0, share))?;
        }
        Ok(())
    }
}

fn print(item: &Item, round: u32, times: &mut [u64], outcome: &Outcome) {
    times.sort_unstable();
    let at = |share| at(times, share);
    let sum: u64 = times.iter().sum();
    println!(
        "@bench {{\"name\":\"{}\",\"round\":{round},\"unit\":\"ns\",\"n\":{},\"p50\":{},\
         \"p99\":{},\"min\":{},\"max\":{},\"mean\":{},\"total\":{},\"bytes\":{},\"dist\":[{}],\"counts\":{}}}",
        item.name,
        item.n,
        at(500),
        at(990),
        at(0),
        at(1000),
        sum / (times.len().max(1) as u64),
        outcome.total,
        outcome.bytes,
        Shares(times),
        outcome.totals,
    );
}
