//! Many ports of one node that many threads of the other call.
//!
//! Owns: the server, which makes its ports when it is told to; the threads that call them.
//! Why this way: what is asked is what a port costs that is one of many. So the threads, their
//! calls and the one that answers are the same for one port and for a thousand. The threads
//! wait at a gate between stretches and are let through with a number of calls: nothing but
//! these calls lies between the two times that are taken.

use crate::client::{Outcome, Peer, request, set_queue_limit};
use crate::control::{BEGIN, ECHO, END, PORTS};
use crate::counts::{self, Stretch};
use crate::item::Item;
use crate::{STACK, spawn};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use norma_boot::{Failure, Message, Node, PortSet, ReceiveRight, SendRight, println};

/// Threads that call one port or many.
pub const CLIENTS: usize = 100;
/// Of each; there are many.
const SMALL_STACK: usize = 16 * 1024;
/// Priority of the server: as of the service that all other benchmarks call.
const SERVER: u8 = 5;
/// Priority of the clients: below the thread that holds the gate.
const CLIENT: u8 = 2;
/// Rights in one message; it holds 255.
const AT_ONCE: usize = 250;
/// What ends the server, and a client.
const STOP: u32 = u32::MAX;
/// A client cannot go on.
const FAILED: u32 = u32::MAX - 1;

/// Starts the server. A message to the right that is returned makes as many ports as its
/// identifier says and is answered with a send right to each; [`STOP`] ends them all.
pub fn start(node: &Node) -> Result<SendRight, Failure> {
    let factory = ReceiveRight::new()?;
    let right = factory.make_send()?;
    let body = move || {
        if let Err(failure) = serve(&factory) {
            println!("ports: {failure}");
        }
    };
    spawn(node, "ports", SERVER, STACK, Box::new(body))?;
    Ok(right)
}

fn serve(factory: &ReceiveRight) -> Result<(), Failure> {
    let set = PortSet::new()?;
    set.add(factory)?;
    let mut ports = Vec::new();
    let mut message = set.receive()?;
    loop {
        match message.id() {
            ECHO => {}
            STOP => {
                // The next benchmark begins when this is answered: nothing is left by then.
                drop(ports);
                return Ok(message.reply()?);
            }
            count => make(&set, count, &mut ports, &mut message)?,
        }
        message = set.reply_and_receive(message)?;
    }
}

#[inline(never)]
fn make(
    set: &PortSet,
    count: u32,
    ports: &mut Vec<ReceiveRight>,
    message: &mut Message,
) -> Result<(), Failure> {
    for _ in 0..count {
        let port = ReceiveRight::new()?;
        // Everybody may call the only one.
        set_queue_limit(&port, CLIENTS as u16)?;
        set.add(&port)?;
        message.push_send_to(&port)?;
        ports.push(port);
    }
    Ok(())
}

/// As other stretches of node `a`, for so many ports of the other node and threads of this one.
pub fn run(
    node: &Node,
    peer: &Peer,
    number: u32,
    item: &Item,
    round: u32,
    (ports, clients): (usize, usize),
) -> Result<Outcome, Failure> {
    let (factory, rights) = ask(peer, ports)?;
    let mut crowd = Crowd::new(node, rights, clients)?;
    // Each port is called at least once before, however short the run is.
    crowd.call(item.warmup.max(ports))?;
    peer.tell(BEGIN, number, round)?;
    let counting = Stretch::begin(node);
    counts::open_calling();
    let begin = node.now();
    crowd.call(item.n)?;
    let end = node.now();
    counts::close_calling();
    let totals = counting.end(node);
    peer.tell(END, number, round)?;
    crowd.end(node)?;
    request(&factory, STOP)?;
    Ok(Outcome {
        total: end - begin,
        bytes: 0,
        totals,
    })
}

/// A new server's factory, and a right to each of its ports.
fn ask(peer: &Peer, ports: usize) -> Result<(SendRight, Vec<SendRight>), Failure> {
    let mut answer = peer.ask(PORTS, 0, 0)?;
    let factory = answer.take_right()?.ok_or(Failure::InvalidRight)?;
    let mut rights = Vec::with_capacity(ports);
    while rights.len() < ports {
        let count = (ports - rights.len()).min(AT_ONCE);
        let mut answer = request(&factory, count as u32)?;
        while let Some(right) = answer.take_right()? {
            rights.push(right);
        }
    }
    Ok((factory, rights))
}

/// The threads that call; each waits at the gate for its answer.
struct Crowd {
    gate: ReceiveRight,
    waiting: Vec<Message>,
    ports: Arc<Vec<SendRight>>,
    clients: usize,
}

impl Crowd {
    fn new(node: &Node, ports: Vec<SendRight>, clients: usize) -> Result<Self, Failure> {
        let mut crowd = Crowd {
            gate: ReceiveRight::new()?,
            waiting: Vec::with_capacity(clients),
            ports: Arc::new(ports),
            clients,
        };
        for number in 0..clients {
            let gate = crowd.gate.make_send()?;
            let ports = Arc::clone(&crowd.ports);
            let body = move || {
                // Each has its own share of many ports; a few are everybody's.
                let share = (ports.len() / clients).max(1);
                let ports = ports.chunks(share).cycle().nth(number).unwrap_or(&[]);
                if let Err(failure) = client(&gate, ports) {
                    println!("client {number}: {failure}");
                    // If it cannot be sent, the gate is gone and nobody waits.
                    let _ = request(&gate, FAILED);
                }
            };
            spawn(node, "client", CLIENT, SMALL_STACK, Box::new(body))?;
        }
        crowd.gather()?;
        Ok(crowd)
    }

    /// Waits until all are at the gate.
    fn gather(&mut self) -> Result<(), Failure> {
        while self.waiting.len() < self.clients {
            let message = self.gate.receive()?;
            if message.id() == FAILED {
                return Err(Failure::Empty);
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
    fn call(&mut self, calls: usize) -> Result<(), Failure> {
        self.open((calls / self.clients) as u32, calls % self.clients)?;
        self.gather()
    }

    /// Ends the threads, then gives their rights up.
    fn end(mut self, node: &Node) -> Result<(), Failure> {
        self.open(STOP, 0)?;
        while Arc::strong_count(&self.ports) > 1 {
            node.sleep(Duration::from_millis(1))?;
        }
        Ok(())
    }
}

fn client(gate: &SendRight, ports: &[SendRight]) -> Result<(), Failure> {
    let mut message = Message::new()?;
    let mut next = ports.iter().cycle();
    loop {
        message.set_id(ECHO);
        message = gate.call(message)?;
        let calls = message.id();
        if calls == STOP {
            return Ok(());
        }
        message.set_id(ECHO);
        for port in next.by_ref().take(calls as usize) {
            message = port.call(message)?;
        }
    }
}
