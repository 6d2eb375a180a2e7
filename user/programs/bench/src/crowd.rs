//! Null calls of many threads at once.
//!
//! As in the image `bench`: the threads wait at a gate and are let through with a number of calls,
//! so that nothing but these calls lies between the two times that are taken. The first thread,
//! which holds the gate, is one of the callers: a task has no more than 64 threads.

use crate::call::{Outcome, Peer};
use crate::item::Item;
use crate::marker::marker;
use crate::{BEGIN, ECHO, END};
use alloc::vec::Vec;
use core::time::Duration;
use norma_user::{
    Failure, JoinHandle, Message, ReceiveRight, SendRight, Task, println, sleep, spawn,
};

/// Priority of the callers: below the thread that holds the gate.
const PRIORITY: u8 = 0;
/// How often a thread that finds no room is tried again, a millisecond later.
const PATIENCE: u32 = 1000;
/// What ends a caller.
const STOP: u32 = u32::MAX;
/// A caller cannot go on.
const FAILED: u32 = u32::MAX - 1;

pub fn run(task: &Task, peer: &Peer, item: &Item, callers: usize) -> Result<Outcome, Failure> {
    let mut crowd = Crowd::new(&peer.service, callers)?;
    crowd.call(&peer.service, item.warmup)?;
    peer.tell(BEGIN)?;
    marker::<0x01>();
    let begin = task.now();
    crowd.call(&peer.service, item.n)?;
    let end = task.now();
    marker::<0x02>();
    peer.tell(END)?;
    crowd.end()?;
    Ok(Outcome {
        total: end - begin,
        bytes: 0,
    })
}

/// The threads that call; each waits at the gate for its answer.
struct Crowd {
    gate: ReceiveRight,
    waiting: Vec<Message>,
    threads: Vec<JoinHandle>,
    /// With which the first thread calls.
    own: Option<Message>,
}

impl Crowd {
    /// So many callers, of which the first is this thread.
    fn new(service: &SendRight, callers: usize) -> Result<Self, Failure> {
        let others = callers.saturating_sub(1);
        let mut crowd = Self {
            gate: ReceiveRight::new()?,
            waiting: Vec::with_capacity(others),
            threads: Vec::with_capacity(others),
            own: Some(Message::new()?),
        };
        let mut patience = PATIENCE;
        while crowd.threads.len() < others {
            let (gate, service) = (crowd.gate.make_send()?, service.copy()?);
            match spawn(PRIORITY, move || body(&gate, &service)) {
                // Those of the crowd before have said that they end, and may not be gone yet.
                Err(Failure::TooManyThreads) if patience > 0 => {
                    patience -= 1;
                    sleep(Duration::from_millis(1))?;
                }
                thread => crowd.threads.push(thread?),
            }
        }
        crowd.gather()?;
        Ok(crowd)
    }

    /// Waits until all are at the gate.
    fn gather(&mut self) -> Result<(), Failure> {
        while self.waiting.len() < self.threads.len() {
            let message = self.gate.receive()?;
            if message.id() == FAILED {
                return Err(Failure::Cancelled);
            }
            self.waiting.push(message);
        }
        Ok(())
    }

    /// Lets each through with a number of calls, the first `more` of them with one more.
    fn open(&mut self, calls: u32, more: usize) -> Result<(), Failure> {
        while let Some(mut message) = self.waiting.pop() {
            message.set_id(calls + u32::from(self.waiting.len() < more));
            message.reply()?;
        }
        Ok(())
    }

    /// So many calls, by all together.
    fn call(&mut self, service: &SendRight, calls: usize) -> Result<(), Failure> {
        let callers = self.threads.len() + 1;
        let each = (calls / callers) as u32;
        self.open(each, calls % callers)?;
        let message = self.own.take().ok_or(Failure::Empty)?;
        self.own = Some(several(service, message, each)?);
        self.gather()
    }

    /// Ends the threads.
    fn end(mut self) -> Result<(), Failure> {
        self.open(STOP, 0)?;
        self.threads.into_iter().for_each(JoinHandle::join);
        Ok(())
    }
}

fn body(gate: &SendRight, service: &SendRight) {
    if let Err(failure) = client(gate, service) {
        println!("@bench-error {{\"name\":\"callers\",\"error\":\"{failure}\"}}");
        // If it cannot be sent, the gate is gone and nobody waits.
        let _ = at_gate(gate, FAILED);
    }
}

fn at_gate(gate: &SendRight, id: u32) -> Result<Message, Failure> {
    let mut message = Message::new()?;
    message.set_id(id);
    Ok(gate.call(message)?)
}

fn client(gate: &SendRight, service: &SendRight) -> Result<(), Failure> {
    let mut message = at_gate(gate, ECHO)?;
    loop {
        let calls = message.id();
        if calls == STOP {
            return Ok(());
        }
        message = several(service, message, calls)?;
        message.set_id(ECHO);
        message = gate.call(message)?;
    }
}

/// So many empty calls, one after the other, with one message.
fn several(service: &SendRight, mut message: Message, calls: u32) -> Result<Message, Failure> {
    message.set_id(ECHO);
    for _ in 0..calls {
        message = service.call(message)?;
    }
    Ok(message)
}
