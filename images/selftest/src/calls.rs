//! Calls between threads of one node: a thousand clients of one server, what a caller lends to
//! its server, and giving up.

use crate::{Failure, LONG, check};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use norma_boot::{Message, Node, PortSet, ReceiveRight, SendOnceRight, SendRight};
use norma_kernel::limits::LEAST_STACK;
use norma_kernel::memory::free_frames;
use norma_kernel::thread::{self, JoinHandle, ThreadId};
use norma_kernel::timer;

const CLIENTS: u32 = 1100;
const CALLS: u32 = 3;

/// Tells what the face refused.
pub fn face<T, E: Into<norma_boot::Failure>>(result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| match error.into() {
        norma_boot::Failure::NoMemory => Failure("there is memory"),
        norma_boot::Failure::TimedOut => Failure("an operation ends in time"),
        _ => Failure("an operation on ports succeeds"),
    })
}

/// As many threads as a large service has clients, all in a call to one server at one time.
pub fn many(node: &Node) -> Result<(), Failure> {
    one_server(node)?;
    // Stacks, numbers and reply ports are there now, and serve again.
    let frames = free_frames();
    one_server(node)?;
    check(
        free_frames() + 64 >= frames,
        "the second time takes nothing",
    )
}

fn one_server(node: &Node) -> Result<(), Failure> {
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    ANSWERED.store(0, Ordering::Relaxed);
    let port = face(ReceiveRight::new())?;
    let service = face(port.make_send())?;
    let server = node.spawn("server", 1, move || serve(&port));
    let server = server.map_err(|_| Failure("there is a server"))?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let service = face(service.copy())?;
        let handle = node.spawn_with_stack("client", 0, LEAST_STACK, move || {
            if call(&service, client).is_ok() {
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
        });
        clients.push(handle.map_err(|_| Failure("there are a thousand clients"))?);
    }
    for client in clients {
        client.join();
    }
    server.join();
    let answered = ANSWERED.load(Ordering::Relaxed);
    check(answered == CLIENTS, "every client has its answers")
}

fn call(service: &SendRight, client: u32) -> Result<(), norma_boot::Failure> {
    let mut message = Message::new()?;
    for call in 0..CALLS {
        message.set_id(client);
        message.set_data(&call.to_le_bytes())?;
        message = service.call(message)?;
        if message.id() != client + 1 || message.data() != call.to_le_bytes() {
            return Err(norma_boot::Failure::Unanswered);
        }
    }
    Ok(())
}

/// Answers nobody until everybody has called once, and then all of them; after that, at once.
fn serve(port: &ReceiveRight) {
    let mut first: Vec<(SendOnceRight, Message)> = Vec::new();
    while first.len() < CLIENTS as usize {
        let Ok(mut message) = port.receive() else {
            return;
        };
        let Ok(reply) = message.take_reply() else {
            return;
        };
        first.push((reply, message));
    }
    for (reply, mut message) in first {
        message.set_id(message.id() + 1);
        let _ = reply.send(message);
    }
    let mut left = CLIENTS * (CALLS - 1);
    let mut next = port.receive();
    while let Ok(mut message) = next {
        message.set_id(message.id() + 1);
        left -= 1;
        if left == 0 {
            let _ = message.reply();
            return;
        }
        next = port.reply_and_receive(message);
    }
}

/// What the spinner of middle priority has done.
static TURNS: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// How many messages the servers have taken.
static SERVED: AtomicU32 = AtomicU32::new(0);

/// The thread that is to call while the server is busy, and whether it has its answer.
static OTHER: AtomicU32 = AtomicU32::new(0);
static OTHER_ANSWERED: AtomicBool = AtomicBool::new(false);

/// More than any call here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const LOW: u8 = 1;
const MIDDLE: u8 = 3;
const HIGH: u8 = 5;
const BEST: u8 = 6;

// What a server is asked for: to answer, to call the next server first, to wake the other
// caller first, to end.
const PLAIN: u32 = 0;
const NEST: u32 = 1;
const WAKE: u32 = 2;
const END: u32 = 3;

fn spawned(
    node: &Node,
    priority: u8,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle, Failure> {
    let handle = node.spawn("helper", priority, body);
    handle.map_err(|_| Failure("a thread can be created"))
}

fn request(id: u32) -> Result<Message, norma_boot::Failure> {
    let mut message = Message::new()?;
    message.set_id(id);
    Ok(message)
}

fn ask(service: &SendRight, id: u32) -> Result<(), norma_boot::Failure> {
    service.call_timeout(request(id)?, PATIENCE)?;
    Ok(())
}

/// A caller of high priority, servers of low priority, and between them a thread that never
/// stops by itself.
pub fn loan(node: &Node) -> Result<(), Failure> {
    let inner_port = face(ReceiveRight::new())?;
    let inner = face(inner_port.make_send())?;
    let outer_port = face(ReceiveRight::new())?;
    let outer = face(outer_port.make_send())?;
    let (next, service) = (face(inner.copy())?, face(outer.copy())?);
    let other = move || {
        thread::block();
        OTHER_ANSWERED.store(ask(&service, PLAIN).is_ok(), Ordering::Relaxed);
    };
    // Each runs at once, until it waits.
    let mut helpers = Vec::new();
    helpers.push(spawned(node, LOW, move || lender(&inner_port, None))?);
    helpers.push(spawned(node, LOW, move || {
        lender(&outer_port, Some(&next))
    })?);
    helpers.push(spawned(node, BEST, other)?);
    OTHER.store(helpers[2].thread().0, Ordering::Relaxed);
    thread::set_priority(HIGH);
    helpers.push(spawned(node, MIDDLE, || {
        while !STOP.load(Ordering::Relaxed) {
            TURNS.fetch_add(1, Ordering::Relaxed);
        }
    })?);
    let result = lent(&outer).and_then(|()| not_lent(&outer));
    STOP.store(true, Ordering::Relaxed);
    thread::set_priority(0);
    for service in [inner, outer] {
        face(service.send(face(request(END))?))?;
    }
    for helper in helpers {
        helper.join();
    }
    result
}

fn lent(service: &SendRight) -> Result<(), Failure> {
    face(ask(service, NEST))?;
    check(SERVED.load(Ordering::Relaxed) == 2, "both servers ran")?;
    check(
        TURNS.load(Ordering::Relaxed) == 0,
        "and the spinner did not, while a better thread waited for them",
    )?;
    face(ask(service, WAKE))?;
    check(
        OTHER_ANSWERED.load(Ordering::Relaxed),
        "a call that was queued lends when it is taken",
    )?;
    check(TURNS.load(Ordering::Relaxed) == 0, "nor did it then")
}

/// The same server, when nobody waits for it.
fn not_lent(service: &SendRight) -> Result<(), Failure> {
    let before = SERVED.load(Ordering::Relaxed);
    face(service.send(face(request(PLAIN))?))?;
    let limit = timer::now() + LONG;
    while TURNS.load(Ordering::Relaxed) == 0 {
        check(timer::now() < limit, "the spinner runs")?;
        thread::sleep(1_000_000);
    }
    check(
        SERVED.load(Ordering::Relaxed) == before,
        "before a server to which nothing is lent",
    )
}

fn lender(port: &ReceiveRight, inner: Option<&SendRight>) {
    let mut next = port.receive();
    while let Ok(message) = next {
        SERVED.fetch_add(1, Ordering::Relaxed);
        match (message.id(), inner) {
            (NEST, Some(inner)) if ask(inner, PLAIN).is_err() => return,
            (WAKE, _) => thread::wake(ThreadId(OTHER.load(Ordering::Relaxed))),
            (END, _) => return,
            _ => {}
        }
        next = port.reply_and_receive(message);
    }
}

/// Threads that are told to give up what they wait for.
pub fn cancel(node: &Node) -> Result<(), Failure> {
    let port = face(ReceiveRight::new())?;
    let service = face(port.make_send())?;
    given_up(node, move || {
        let refused = service.call(request(PLAIN)?);
        let error = refused.err().ok_or(norma_boot::Failure::InvalidRight)?;
        if error.message.is_some() {
            return Err(norma_boot::Failure::InvalidRight);
        }
        Err(error.failure)
    })?;
    let late = face(port.try_receive())?;
    check(
        late.reply().is_err(),
        "a call that was given up has no reply",
    )?;

    let other = face(ReceiveRight::new())?;
    given_up(node, move || Ok(other.receive().map(drop)?))?;
    let set = face(PortSet::new())?;
    given_up(node, move || set.receive_any().map(drop))?;

    let service = face(port.make_send())?;
    face(port.set_queue_limit(1))?;
    face(service.send(face(request(1))?))?;
    given_up(node, move || {
        let refused = service.send(request(2)?);
        let error = refused.err().ok_or(norma_boot::Failure::InvalidRight)?;
        match error.message.id() {
            2 => Err(error.failure),
            _ => Err(norma_boot::Failure::InvalidRight),
        }
    })?;
    check(
        face(port.try_receive())?.id() == 1,
        "what was sent is there",
    )?;
    check(port.try_receive().is_err(), "and what was not is not")?;

    let kernel = **node;
    given_up(node, move || kernel.sleep(Duration::from_secs(3600)))?;
    let ready = spawned(node, 0, || {})?;
    check(!ready.cancel(), "who does not wait is left alone")?;
    ready.join();
    Ok(())
}

/// Runs `operation` in a thread of its own until it blocks, and cancels it there.
fn given_up(
    node: &Node,
    operation: impl FnOnce() -> Result<(), norma_boot::Failure> + Send + 'static,
) -> Result<(), Failure> {
    static CANCELLED: AtomicBool = AtomicBool::new(false);
    CANCELLED.store(false, Ordering::Relaxed);
    let handle = spawned(node, HIGH, move || {
        let failed = operation() == Err(norma_boot::Failure::Cancelled);
        CANCELLED.store(failed, Ordering::Relaxed);
    })?;
    check(handle.cancel(), "it waits")?;
    handle.join();
    check(
        CANCELLED.load(Ordering::Relaxed),
        "an operation that is given up says so",
    )
}
