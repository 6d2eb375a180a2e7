//! A port that moves between two nodes, again and again, while threads on three nodes send to it
//! and call it without a pause.
//!
//! What is known of each sender travels with the port, so that whoever has it can tell whether
//! the next message is the next one. Everything ends by counts: so many moves, then each sender
//! is told to end in the answer to a call, and then nothing may be left in the queue.

use crate::client::{PATIENCE, call, number, require};
use crate::server::port;
use crate::{Doing, Error};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::sync::atomic::{AtomicU32, Ordering};
use norma_boot::{Failure, JoinHandle, Message, Node, ReceiveRight, SendRight, println};

/// The port that moves.
const WANDERER: &str = "wanderer";
/// Answers when all is over.
const GATE: &str = "gate";

/// Threads that send, on each of the nodes.
const THREADS: u32 = 4;
const NODES: u32 = 3;
const SENDERS: usize = (THREADS * NODES) as usize;

/// One message in so many is a call.
const CALLS: u32 = 8;

/// What the port's queue holds: less than all senders together have under way.
const LIMIT: u16 = 32;

/// What answers tell a sender to do.
const GO_ON: u32 = 0;
const END: u32 = 1;

/// What the keeper of the port knows, and the next keeper is told.
#[derive(Clone, Copy)]
struct Tally {
    /// The number that is expected of each sender.
    next: [u32; SENDERS],
    /// Senders that have not been told to end.
    left: u32,
    /// How often the port has moved, and is to.
    moves: u32,
    until: u32,
    /// Messages that were in the queue when it did.
    carried: u32,
}

/// It, as numbers.
type Numbers = [u32; SENDERS + 4];

impl Tally {
    fn numbers(&self) -> Numbers {
        let mut numbers = [0; SENDERS + 4];
        numbers[..SENDERS].copy_from_slice(&self.next);
        numbers[SENDERS..].copy_from_slice(&[self.left, self.moves, self.until, self.carried]);
        numbers
    }

    fn read(numbers: &[u32]) -> Option<Tally> {
        let (next, rest) = numbers.split_first_chunk()?;
        let [left, moves, until, carried] = *rest else {
            return None;
        };
        Some(Tally {
            next: *next,
            left,
            moves,
            until,
            carried,
        })
    }

    /// Takes messages, each of which must be its sender's next: `count` of them, or all until
    /// every sender has ended.
    fn take(&mut self, port: &ReceiveRight, count: u32) -> Result<(), Error> {
        let last = self.moves == self.until;
        let mut taken = 0;
        while if last { self.left > 0 } else { taken < count } {
            let mut message = port
                .receive()
                .map_err(|error| Error::Failed("receiving", error.failure()))?;
            let (sender, sent) = pair(&message)?;
            let next = self.next.get_mut(sender as usize);
            let next = next.ok_or(Error::Wrong("senders have small numbers"))?;
            require(
                *next == sent,
                "each sender's messages come once and in order",
            )?;
            *next += 1;
            taken += 1;
            if message.expects_reply() {
                message.set_id(if last { END } else { GO_ON });
                self.left -= u32::from(last);
                let answered = message.reply().map_err(|error| error.failure);
                answered.doing("answering")?;
            }
        }
        Ok(())
    }
}

fn pair(message: &Message) -> Result<(u32, u32), Error> {
    let (words, _) = message.data().as_chunks::<4>();
    match *words {
        [sender, number] => Ok((u32::from_le_bytes(sender), u32::from_le_bytes(number))),
        _ => Err(Error::Wrong("a message says who sent it")),
    }
}

/// Sends the port on: in a typed message and in a plain one by turns.
fn move_on(to: &SendRight, port: ReceiveRight, tally: &Tally) -> Result<(), Failure> {
    let numbers = tally.numbers();
    let mut message = Message::new()?;
    if tally.moves.is_multiple_of(2) {
        message.write().array(&numbers)?.receive_right(port)?;
    } else {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        message.set_data(&bytes)?;
        message.push_right(port)?;
    }
    message.set_id(tally.moves);
    Ok(to.send(message)?)
}

fn arrives(home: &ReceiveRight) -> Result<(ReceiveRight, Tally), Failure> {
    let mut message = home.receive()?;
    let (port, numbers) = if message.id().is_multiple_of(2) {
        let mut reader = message.read()?;
        let numbers: Vec<u32> = reader.array()?.collect();
        let port = reader.receive_right()?;
        reader.end()?;
        (Some(port), numbers)
    } else {
        let (words, _) = message.data().as_chunks();
        let numbers = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        (message.take_receive()?, numbers)
    };
    let tally = Tally::read(&numbers);
    port.zip(tally).ok_or(Failure::InvalidRight)
}

/// Has the port whenever it is here, until it has moved often enough: then the two nodes between
/// which it moves are told apart by who has it. The senders of this node go on meanwhile.
fn keep(node: &Node, other: &str, mut here: Option<(ReceiveRight, Tally)>) -> Result<(), Error> {
    let home = port(&format!("home of {}", node.name()))?;
    let there = node
        .wait_for(&format!("home of {other}"), PATIENCE)
        .doing("looking the other home up")?;
    loop {
        let (port, mut tally) = match here.take() {
            Some(here) => here,
            None => arrives(&home).doing("taking the port")?,
        };
        let status = port.status().doing("asking the port")?;
        require(status.queue_limit == LIMIT, "the limit moves with the port")?;
        // Some messages, and not always as many.
        tally.take(&port, 1 + tally.moves * 7 % 40)?;
        if tally.moves == tally.until {
            return finish(&port, &tally);
        }
        tally.moves += 1;
        tally.carried += port.status().doing("asking the port")?.queued;
        let last = tally.moves == tally.until;
        move_on(&there, port, &tally).doing("moving the port")?;
        if last {
            return Ok(());
        }
    }
}

/// Every sender has been told to end, so that it sends nothing more.
fn finish(port: &ReceiveRight, tally: &Tally) -> Result<(), Error> {
    let Tally { moves, carried, .. } = tally;
    let taken: u32 = tally.next.iter().sum();
    println!("{taken} messages came, {carried} of them moved, in {moves} moves");
    require(
        matches!(port.try_receive_any(), Err(Failure::Empty)),
        "nothing comes twice",
    )?;
    require(*carried > *moves, "messages move with the port")
}

/// Sends and calls until an answer says that it is enough.
fn send(service: &SendRight, sender: u32) -> Result<(), Error> {
    for number in 0_u32.. {
        let mut data = [0; 8];
        data[..4].copy_from_slice(&sender.to_le_bytes());
        data[4..].copy_from_slice(&number.to_le_bytes());
        let message = Message::with_data(&data).doing("a message")?;
        if number % CALLS < CALLS - 1 {
            let sent = service.send(message).map_err(|error| error.failure);
            sent.doing("sending to the port")?;
            continue;
        }
        let answer = call(service, message).doing("calling the port")?;
        let same = pair(&answer)? == (sender, number);
        require(same, "each call is answered once, and by its own answer")?;
        if answer.id() == END {
            return Ok(());
        }
    }
    Ok(())
}

/// The senders of this node.
struct Senders {
    threads: Vec<JoinHandle>,
    failed: Arc<AtomicU32>,
}

impl Senders {
    fn start(node: &Node) -> Result<Senders, Error> {
        let service = node
            .wait_for(WANDERER, PATIENCE)
            .doing("looking the port up")?;
        let service = Arc::new(service);
        let failed = Arc::new(AtomicU32::new(0));
        let mut threads = vec![];
        let first = number(node, "first", 0) as u32;
        for sender in first..first + THREADS {
            let (service, failed) = (Arc::clone(&service), Arc::clone(&failed));
            let body = move || {
                if let Err(error) = send(&service, sender) {
                    println!("sender {sender}: {error}");
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            };
            let thread = node.spawn("sender", 4, body);
            threads.push(thread.map_err(|_| Error::Wrong("a thread can be made"))?);
        }
        Ok(Senders { threads, failed })
    }

    fn join(self) -> Result<(), Error> {
        self.threads.into_iter().for_each(|thread| thread.join());
        let sent = self.failed.load(Ordering::Relaxed) == 0;
        require(
            sent,
            "whoever sends is sent for, and whoever calls answered",
        )
    }
}

/// `moves=` on the node that makes the port and has it at the end; `other=` on it and the node
/// between which and it the port moves.
pub fn run(node: &Node) -> Result<(), Error> {
    let moves = number(node, "moves", 0) as u32;
    let (mut here, mut gate) = (None, None);
    if moves > 0 {
        gate = Some(port(GATE)?);
        let wanderer = port(WANDERER)?;
        wanderer.set_queue_limit(LIMIT).doing("setting a limit")?;
        let tally = Tally {
            next: [0; SENDERS],
            left: SENDERS as u32,
            moves: 0,
            until: moves,
            carried: 0,
        };
        here = Some((wanderer, tally));
    }
    let senders = Senders::start(node)?;
    if let Some(other) = node.argument("other") {
        keep(node, other, here)?;
    }
    senders.join()?;
    if let Some(gate) = gate {
        return open(node, &gate);
    }
    let gate = node.wait_for(GATE, PATIENCE).doing("looking the gate up")?;
    let message = Message::new().doing("a message")?;
    call(&gate, message).map(drop).doing("waiting at the gate")
}

/// No node ends while another may need it, and this one not at all: the others may ask for its
/// answer again.
fn open(node: &Node, gate: &ReceiveRight) -> Result<(), Error> {
    let mut others = vec![];
    for _ in 1..NODES {
        let message = gate
            .receive()
            .map_err(|error| Error::Failed("receiving", error.failure()))?;
        others.push(message);
    }
    for message in others {
        let answered = message.reply().map_err(|error| error.failure);
        answered.doing("opening the gate")?;
    }
    println!("the gate is open");
    loop {
        node.sleep(PATIENCE).doing("waiting")?;
    }
}
