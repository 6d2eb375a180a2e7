//! The node that answers.

use crate::client::PATIENCE;
use crate::typed::{self, TYPED};
use crate::{Doing, Error, leak, moving, remote};
use core::time::Duration;
use norma_boot::{Failure, Message, Node, ReceiveRight, println};

/// Adds one to a count and answers with the count and what it was sent.
pub const COUNT: &str = "count";
/// Answers with what it was sent, memory included.
pub const ECHO: &str = "echo";
/// Answers with the node's name.
pub const WHO: &str = "who";
/// Looks a name up for whoever asks, and answers with the right.
pub const BROKER: &str = "broker";
/// Passes calls on to another service, which answers them.
pub const FRONT: &str = "front";
/// Keeps calls until it gets one that says [`RELEASE`]; then it answers all.
pub const HOLD: &str = "hold";
pub const RELEASE: &[u8] = b"release";
/// A port from which nobody receives.
pub const FULL: &str = "full";
/// Takes calls and never answers.
pub const NEVER: &str = "never";

/// Priority of the services.
const PRIORITY: u8 = 4;

pub fn run(node: &Node) -> Result<(), Error> {
    let this = node.name();
    serve(node, COUNT, count)?;
    let echo = port(ECHO)?;
    let right = echo.make_send().doing("making a send right")?;
    remote::serve(node, right)?;
    answer_all(node, ECHO, echo, |_, _| Ok(()))?;
    // Under the node's own name too, for those who want this node and no other.
    for name in [WHO, this] {
        serve(node, name, move |message, _| {
            message.set_data(this.as_bytes())
        })?;
    }
    if let Some(back) = node.argument("front") {
        front(node, back)?;
    }
    if node.argument("leak").is_some() {
        leak::offer(node)?;
    }
    if node.argument("hold").is_some() {
        hold(node)?;
    }
    if node.argument("broker").is_some() {
        let kernel = **node;
        serve(node, BROKER, move |message, _| {
            let name = core::str::from_utf8(message.data()).map_err(|_| Failure::NameUnknown)?;
            let right = kernel.wait_for(name, PATIENCE)?;
            message.push_right(right).map_err(|_| Failure::NoMemory)
        })?;
    }
    answer_typed(node, port(TYPED)?)?;
    serve(node, moving::KEEPER, |message, _| moving::keep(message))?;
    let _full = port(FULL)?;
    never(node)?;
    println!("serving");
    loop {
        node.sleep(Duration::from_secs(3600)).doing("waiting")?;
    }
}

/// Offers nothing: a node that is there to join networks.
pub fn rest(node: &Node) -> Result<(), Error> {
    println!("resting");
    loop {
        node.sleep(Duration::from_secs(3600)).doing("waiting")?;
    }
}

/// Answers with the number of calls so far, before what was sent.
fn count(message: &mut Message, count: u64) -> Result<(), Failure> {
    let mut answer = [0; 16];
    answer[..8].copy_from_slice(&count.to_le_bytes());
    if let Some(sent) = message.data().first_chunk::<8>() {
        answer[8..].copy_from_slice(sent);
    }
    message.set_data(&answer)
}

/// A port under a name.
pub fn port(name: &str) -> Result<ReceiveRight, Error> {
    let port = ReceiveRight::new().doing("making a port")?;
    let right = port.make_send().doing("making a send right")?;
    right
        .check_in(name)
        .map_err(|_| Error::Wrong("checking a name in"))?;
    Ok(port)
}

/// Starts a service. `answer` is given a message and how many came so far; what it makes of the
/// message is the answer.
pub fn serve(
    node: &Node,
    name: &'static str,
    answer: impl FnMut(&mut Message, u64) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Error> {
    answer_all(node, name, port(name)?, answer)
}

/// Starts the service of typed messages on a port.
pub fn answer_typed(node: &Node, port: ReceiveRight) -> Result<(), Error> {
    // Whoever drops a send-once right tells its port so: not the one that waits for calls.
    let other = ReceiveRight::new().doing("making a port")?;
    answer_all(node, TYPED, port, move |message, _| {
        while !matches!(other.try_receive_any(), Err(Failure::Empty)) {}
        typed::answer(message, &other)
    })
}

fn answer_all(
    node: &Node,
    name: &'static str,
    port: ReceiveRight,
    mut answer: impl FnMut(&mut Message, u64) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Error> {
    let thread = move || {
        let mut count = 0;
        let mut received = port.receive();
        while let Ok(mut message) = received {
            count += 1;
            received = match answer(&mut message, count) {
                Ok(()) => port.reply_and_receive(message),
                Err(failure) => {
                    println!("{name}: {failure}");
                    drop(message);
                    port.receive()
                }
            };
        }
    };
    spawn(node, name, thread)
}

/// Passes every call on as it is, the right to answer it included.
fn front(node: &Node, back: &'static str) -> Result<(), Error> {
    let port = port(FRONT)?;
    let kernel = **node;
    let thread = move || {
        let back = match kernel.wait_for(back, PATIENCE) {
            Ok(back) => back,
            Err(failure) => return println!("{FRONT}: {failure}"),
        };
        while let Ok(message) = port.receive() {
            if let Err(error) = back.send(message) {
                println!("{FRONT}: {}", error.failure);
            }
        }
    };
    spawn(node, FRONT, thread)
}

fn hold(node: &Node) -> Result<(), Error> {
    let port = port(HOLD)?;
    let thread = move || {
        let mut held = alloc::vec::Vec::new();
        while let Ok(message) = port.receive() {
            let release = message.data() == RELEASE;
            held.push(message);
            if !release {
                println!("holds a call");
                continue;
            }
            for message in held.drain(..) {
                if let Err(error) = message.reply() {
                    println!("{HOLD}: {}", error.failure);
                }
            }
        }
    };
    spawn(node, HOLD, thread)
}

/// Keeps every call, so that its caller waits until this node dies.
fn never(node: &Node) -> Result<(), Error> {
    let port = port(NEVER)?;
    let thread = move || {
        let mut kept = alloc::vec::Vec::new();
        while let Ok(message) = port.receive() {
            println!("kept a call");
            kept.push(message);
        }
    };
    spawn(node, NEVER, thread)
}

fn spawn(node: &Node, name: &str, thread: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    match node.spawn(name, PRIORITY, thread) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Wrong("a thread can be made")),
    }
}
