//! Threads that send as fast as they may, and one that counts what arrives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use norma_flip::Instant;
use norma_ipc::{Completion, Delivery, HeapPages, Memory, Name, PAGE_SIZE, PageSource};
use norma_net::Posted;
use norma_sim::World;
use norma_sim::actor::{Actor, Context, Next};

/// What has arrived: bytes of memory and messages, by the id of the messages.
#[derive(Debug, Default)]
pub struct Arrived {
    pub bytes: BTreeMap<u32, u64>,
    pub messages: BTreeMap<u32, u64>,
}

impl Arrived {
    /// Bytes of all.
    pub fn total(&self) -> u64 {
        self.bytes.values().sum()
    }
}

pub type Count = Rc<RefCell<Arrived>>;

/// Takes all that comes to a port.
struct Sink {
    port: Name,
    count: Count,
}

impl Actor for Sink {
    fn is_service(&self) -> bool {
        true
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let mut taken = match cx.node.ipc().take_completion(cx.thread) {
            Some(Completion::Received(delivery)) => Some(delivery),
            _ => None,
        };
        loop {
            if let Some(Delivery::Message(message)) = taken {
                let bytes = message.memory().len() as u64;
                let mut count = self.count.borrow_mut();
                *count.bytes.entry(message.id()).or_default() += bytes;
                *count.messages.entry(message.id()).or_default() += 1;
                cx.node.ipc().discard(message);
            }
            match cx
                .node
                .ipc()
                .receive_or_wait(cx.thread, cx.space, self.port)
            {
                Ok(Some(delivery)) => taken = Some(delivery),
                _ => return Next::Wait,
            }
        }
    }
}

/// Sends messages of one size without a pause.
struct Flood {
    to: Name,
    id: u32,
    memory: usize,
    left: u64,
}

impl Actor for Flood {
    fn run(&mut self, cx: &mut Context<'_>) -> Next {
        let completion = cx.node.ipc().take_completion(cx.thread);
        if let Some(Completion::Refused(_, message)) = completion {
            cx.node.ipc().discard(message);
            return Next::Done;
        }
        while self.left > 0 {
            self.left -= 1;
            let mut message = cx.node.ipc().new_message().expect("a message");
            message.set_id(self.id);
            let mut memory = Memory::new();
            let mut source = HeapPages::default();
            for _ in 0..self.memory.div_ceil(PAGE_SIZE) {
                let page = source.allocate().expect("a page");
                memory.push(page, PAGE_SIZE).expect("room");
            }
            let _ = message.replace_memory(memory).expect("it fits");
            let now = Instant(1_000_000_000 + cx.now.as_nanos() as u64);
            let (space, thread) = (cx.space, cx.thread);
            match cx.node.send(now, space, self.to, message, Some(thread)) {
                Ok(Posted::Handed(thread)) => cx.handed.push(thread),
                Ok(Posted::Queued | Posted::Carried) => {}
                Ok(Posted::Waiting) => return Next::Wait,
                Err(error) => {
                    cx.node.ipc().discard(error.message);
                    return Next::Done;
                }
            }
        }
        Next::Done
    }
}

/// A port on `machine` under that name, which takes all that comes.
pub fn sink(w: &mut World, machine: usize, text: &str) -> Count {
    let port = w.serve(machine, text);
    let count = Count::default();
    let sink = Sink {
        port,
        count: Rc::clone(&count),
    };
    w.machine(machine).spawn(Some(Box::new(sink)));
    count
}

/// A thread on `machine` that sends `messages` of `memory` bytes, with that id.
pub fn flood(w: &mut World, machine: usize, to: Name, id: u32, memory: usize, messages: u64) {
    let flood = Flood {
        to,
        id,
        memory,
        left: messages,
    };
    w.machine(machine).spawn(Some(Box::new(flood)));
}

/// Bytes in a second that arrive in `time`, after `before`.
pub fn goodput(w: &mut World, count: &Count, before: Duration, time: Duration) -> f64 {
    w.run_for(before)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let begun = count.borrow().total();
    w.run_for(time)
        .unwrap_or_else(|failure| panic!("{failure}"));
    (count.borrow().total() - begun) as f64 / time.as_secs_f64()
}
