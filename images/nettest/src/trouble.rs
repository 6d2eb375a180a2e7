//! What happens to nodes that others rely on: they are killed in the middle of large transfers,
//! they are cut off, they are asked by everybody at once.

use crate::client::{PATIENCE, call, number, require};
use crate::server::{COUNT, port};
use crate::{Doing, Error, pattern};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use norma_boot::{Failure, Memory, Message, Node, SendRight, println};

/// The largest message there is.
const LARGE: usize = 64 << 20;
/// Of so many bytes, again and again.
const PIECE: usize = 1 << 20;

/// To be kept and not answered.
const KEEP: u32 = 1;
/// To be answered with a large message.
const FETCH: u32 = 2;

/// Answers once.
const LAST: &str = "last";

/// Takes the messages of a hundred senders, and answers whoever asks what came.
const TALLY: &str = "tally";
/// Threads that send to it, over all nodes, and what each sends.
const SENDERS: usize = 100;
const EACH: u32 = 100;

/// So many threads on each node that sends.
const THREADS: usize = 25;

/// 64 MiB, of the pages of one.
fn large() -> Result<Memory, Error> {
    let bytes: Vec<u8> = pattern::bytes(PIECE).collect();
    let mut message = Message::new().doing("a message")?;
    message.set_memory(&bytes).doing("memory for a message")?;
    let piece = message.take_memory();
    let no_memory = |_| Error::Wrong("there is memory for lists of pages");
    let mut whole = Memory::new();
    for _ in 0..LARGE / PIECE {
        let mut copy = piece.share().map_err(no_memory)?;
        whole.append(&mut copy).map_err(no_memory)?;
    }
    Ok(whole)
}

fn share(memory: &Memory) -> Result<Memory, Failure> {
    memory.share().map_err(|_| Failure::NoMemory)
}

/// A node that will be killed: it keeps large messages, and answers with large messages.
pub fn victim(node: &Node) -> Result<(), Error> {
    let port = port(node.name())?;
    let memory = large()?;
    let mut kept = Vec::new();
    println!("serving");
    loop {
        let mut message = port
            .receive()
            .map_err(|error| Error::Failed("receiving", error.failure()))?;
        if message.id() == FETCH {
            let copy = share(&memory).doing("a share of the memory")?;
            if message.replace_memory(copy).is_ok() {
                // Who asked may be dead.
                let _ = message.reply();
            }
        } else {
            kept.push(message);
        }
    }
}

/// Calls each victim again and again, now with and now for a large message, until all have died
/// `rounds` times. Nothing that was half here or half gone may stay: the node has memory for
/// what is under way at one time and little more.
pub fn killed(node: &Node) -> Result<(), Error> {
    let rounds = number(node, "rounds", 1);
    let victims = number(node, "victims", 1) as usize;
    let memory = large()?;
    let failed = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for victim in 1..=victims {
        let (kernel, failed) = (**node, Arc::clone(&failed));
        let memory = share(&memory).doing("a share of the memory")?;
        let body = move || {
            let name = format!("v{victim}");
            for round in 0..rounds {
                let found = kernel
                    .wait_for(&name, PATIENCE)
                    .doing("looking a victim up");
                let died = found.and_then(|right| {
                    println!("{name} round {round}");
                    until_it_dies(&right, round, &memory)
                });
                if let Err(error) = died {
                    println!("{name}, round {round}: {error}");
                    failed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        };
        let thread = node.spawn("caller", 4, body);
        threads.push(thread.map_err(|_| Error::Wrong("a thread can be made"))?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    require(
        failed.load(Ordering::Relaxed) == 0,
        "every death is told to the caller, and nothing else befalls it",
    )
}

fn until_it_dies(victim: &SendRight, round: u64, memory: &Memory) -> Result<(), Error> {
    loop {
        let mut message = Message::new().doing("a message")?;
        if round.is_multiple_of(2) {
            message.set_id(KEEP);
            let copy = share(memory).doing("a share of the memory")?;
            require(message.replace_memory(copy).is_ok(), "64 MiB are allowed")?;
        } else {
            message.set_id(FETCH);
        }
        match call(victim, message) {
            Ok(answer) => {
                let pieces = || answer.memory().chunks().step_by(PIECE / 4096);
                let first: Vec<u8> = pattern::bytes(4096).collect();
                require(
                    answer.memory().len() == LARGE && pieces().all(|piece| piece == first),
                    "what came whole is what was sent",
                )?;
            }
            Err(Failure::NodeDied { .. }) => return Ok(()),
            Err(failure) => return Err(Error::Failed("calling a victim", failure)),
        }
    }
}

fn ask(service: &SendRight) -> Result<(), Failure> {
    call(service, Message::with_data(&[0; 8])?).map(drop)
}

/// Calls a service until the node is cut off from it for so long that it gives it up, and then
/// until it is back: old rights stay dead, new ones are to be had.
pub fn cut_off(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    ask(&service).doing("calling `count`")?;
    println!("ready to be cut off");
    let failure = loop {
        if let Err(failure) = ask(&service) {
            break failure;
        }
    };
    require(
        matches!(failure, Failure::NodeDied { .. }),
        "a node that cannot be heard counts as dead",
    )?;
    println!("cut off");
    let again = node
        .wait_for(COUNT, PATIENCE)
        .doing("looking `count` up again")?;
    ask(&again).doing("calling `count` again")?;
    require(ask(&service).is_err(), "an old right stays dead")
}

/// Calls a service for ever, and says so from time to time.
pub fn steady(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    loop {
        for _ in 0..200 {
            ask(&service).doing("calling `count`")?;
        }
        println!("@steady");
    }
}

/// Answers one call with what came, and ends.
pub fn last_words() -> Result<(), Error> {
    let port = port(LAST)?;
    println!("serving");
    let message = port
        .receive()
        .map_err(|error| Error::Failed("receiving", error.failure()))?;
    message
        .reply()
        .map_err(|error| Error::Failed("answering", error.failure))
}

/// Calls a node that ends with its answer: all of it arrives.
pub fn listen(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(LAST, PATIENCE).doing("looking `last` up")?;
    let words: Vec<u8> = pattern::bytes(PIECE).collect();
    let mut message = Message::new().doing("a message")?;
    message.set_memory(&words).doing("memory for a message")?;
    let answer = call(&service, message).doing("calling `last`")?;
    let same = pattern::matches(answer.memory().chunks(), PIECE);
    require(same, "memory came back otherwise")
}

/// Takes what a hundred threads on several nodes send at once: of each all, in order. It has
/// little memory.
pub fn tally() -> Result<(), Error> {
    let port = port(TALLY)?;
    let mut next = vec![0_u32; SENDERS];
    let mut left = SENDERS;
    println!("serving");
    while left > 0 {
        let message = port
            .receive()
            .map_err(|error| Error::Failed("receiving", error.failure()))?;
        let number = |at: usize| {
            let bytes = message.data().get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let (Some(sender), Some(sent)) = (number(0), number(4)) else {
            return Err(Error::Wrong("a message says who sent it"));
        };
        let expected = next
            .get_mut(sender as usize)
            .ok_or(Error::Wrong("senders have numbers below a hundred"))?;
        require(*expected == sent, "each sender's messages come in order")?;
        *expected += 1;
        if *expected == EACH {
            left -= 1;
            message
                .reply()
                .map_err(|error| Error::Failed("answering the last one", error.failure))?;
        }
    }
    Ok(())
}

/// A quarter of the hundred senders; `first=` is the number of the first of them.
pub fn send(node: &Node) -> Result<(), Error> {
    let first = number(node, "first", 0) as u32;
    let service = node.wait_for(TALLY, PATIENCE).doing("looking `tally` up")?;
    let service = Arc::new(service);
    let failed = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for sender in first..first + THREADS as u32 {
        let (service, failed) = (Arc::clone(&service), Arc::clone(&failed));
        let body = move || {
            for sent in 0..EACH {
                let mut data = [0; 8];
                data[..4].copy_from_slice(&sender.to_le_bytes());
                data[4..].copy_from_slice(&sent.to_le_bytes());
                // The last is a call, so that this node does not end before all has arrived.
                let last = sent + 1 == EACH;
                let sent = Message::with_data(&data).and_then(|message| match last {
                    true => call(&service, message).map(drop),
                    false => service.send(message).map_err(|error| error.failure),
                });
                if let Err(failure) = sent {
                    println!("sender {sender}: {failure}");
                    failed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        };
        let thread = node.spawn("sender", 4, body);
        threads.push(thread.map_err(|_| Error::Wrong("a thread can be made"))?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    let sent = failed.load(Ordering::Relaxed) == 0;
    require(sent, "whoever sends is sent for")
}
