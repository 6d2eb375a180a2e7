//! Ports between real threads, through the types that services use.
//!
//! Nothing here waits for time to pass: who waits, waits for what another thread does, and a
//! test that waits for ever fails by the deadline of whoever started the machine. Nor does who
//! runs when depend on it: other threads are better or worse than the one that tests, for of
//! equal ones each may run at any moment, on a host that stops the machine for longer than a
//! slice.

mod moves;
mod names;
mod notifications;
mod senders;
mod sets;

pub use moves::all as moves;
pub use names::all as names;
pub use notifications::all as notifications;
pub use sets::all as sets;

use crate::{Failure, check};
use core::fmt::Display;
use norma_boot::{Delivery, Message, Node, Notification, ReceiveRight, println};
use norma_kernel::thread::{self, JoinHandle};

/// Says what was expected of a result, and prints what it was.
trait Hope<T> {
    fn hope(self, expectation: &'static str) -> Result<T, Failure>;
}

impl<T, E: Display> Hope<T> for Result<T, E> {
    fn hope(self, expectation: &'static str) -> Result<T, Failure> {
        self.map_err(|error| {
            println!("{error}");
            Failure(expectation)
        })
    }
}

impl<T> Hope<T> for Option<T> {
    fn hope(self, expectation: &'static str) -> Result<T, Failure> {
        self.ok_or(Failure(expectation))
    }
}

fn port() -> Result<ReceiveRight, Failure> {
    ReceiveRight::new().hope("a port can be made")
}

fn message(data: &[u8]) -> Result<Message, Failure> {
    Message::with_data(data).hope("a message can be made")
}

/// Tries something in this thread, and has others wait for it or go before it.
pub fn try_out(what: fn(&Node) -> Result<(), Failure>, node: &Node) -> Result<(), Failure> {
    thread::set_priority(OWN);
    what(node)
}

/// The priority of the thread that tests.
const OWN: u8 = 1;

/// A thread that runs when this one waits, and not before.
fn beside(node: &Node, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle, Failure> {
    let thread = node.spawn("beside", OWN - 1, body);
    thread.hope("a thread can be made")
}

/// A thread that runs at once, until it waits.
fn ahead(node: &Node, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle, Failure> {
    let thread = node.spawn("ahead", OWN + 1, body);
    thread.hope("a thread can be made")
}

/// Waits for a notification.
fn told(port: &ReceiveRight) -> Result<Notification, Failure> {
    match port.receive_any().hope("something is received")? {
        Delivery::Notification(notification) => Ok(notification),
        Delivery::Message(_) => Err(Failure("no message, but a notification")),
    }
}

/// Nothing more has come.
fn silent(port: &ReceiveRight) -> Result<(), Failure> {
    let nothing = matches!(port.try_receive_any(), Err(norma_boot::Failure::Empty));
    check(nothing, "nothing more is told")
}
