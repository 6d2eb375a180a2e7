//! Null calls of many threads at once.

use crate::call::{Outcome, Peer};
use crate::item::Item;
use crate::marker::marker;
use crate::{BEGIN, ECHO, END};
use alloc::vec::Vec;
use norma_user::{Failure, Message, SendRight, Task, spawn};

pub fn run(task: &Task, peer: &Peer, item: &Item, callers: usize) -> Result<Outcome, Failure> {
    all(peer, callers, item.warmup)?;
    peer.tell(BEGIN)?;
    marker::<0x01>();
    let begin = task.now();
    all(peer, callers, item.n)?;
    let end = task.now();
    marker::<0x02>();
    peer.tell(END)?;
    Ok(Outcome {
        total: end - begin,
        bytes: 0,
    })
}

/// So many calls, by all together.
fn all(peer: &Peer, callers: usize, calls: usize) -> Result<(), Failure> {
    let mut threads = Vec::with_capacity(callers);
    for number in 0..callers {
        let service = peer.service.copy()?;
        let share = calls / callers + usize::from(number < calls % callers);
        threads.push(spawn(0, move || client(&service, share))?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    Ok(())
}

fn client(service: &SendRight, calls: usize) {
    let called = || -> Result<(), Failure> {
        let mut message = Message::new()?;
        for _ in 0..calls {
            message.set_id(ECHO);
            message = service.call(message)?;
        }
        Ok(())
    };
    if let Err(failure) = called() {
        norma_user::println!("@bench-error {{\"name\":\"callers\",\"error\":\"{failure}\"}}");
    }
}
