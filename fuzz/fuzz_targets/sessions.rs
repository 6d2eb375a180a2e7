//! Fuzz: two nodes that talk, while a hostile network changes, repeats, drops and invents
//! frames.
//!
//! Nothing that arrives may panic a node, leave it with work that never ends, or lose count of
//! a right: after every run each node's references are recounted.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use norma_flip::{Duration, FRAME_PAGES, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{HeapPage, HeapPages, Name, Page, PageSource, RightKind, SpaceId, ThreadId};
use norma_net::{Config, LookUp, Node, NodeName, seal};
use norma_wire::layout::{FLIP_AT, SESSION_AT};
use std::collections::VecDeque;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Deliver the oldest frame that waits for a node, with some bytes changed.
    Deliver {
        to_b: bool,
        changes: Vec<(u16, u8)>,
    },
    /// Deliver it, and keep it to deliver again.
    Repeat {
        to_b: bool,
    },
    /// Deliver the youngest first.
    Overtake {
        to_b: bool,
    },
    Drop {
        to_b: bool,
    },
    /// Any bytes behind a real head.
    Invent {
        to_b: bool,
        bytes: &'a [u8],
    },
    /// Thread `thread` of node a calls b, with so many bytes and pages and perhaps a right.
    Call {
        thread: u8,
        inline: u16,
        pages: u8,
        right: bool,
    },
    /// The same, with the receive right of a new port in which so many messages wait.
    Move {
        thread: u8,
        queued: u8,
    },
    /// Node b answers, or drops, the first message that it has.
    Serve {
        answer: bool,
    },
    Cancel {
        thread: u8,
    },
    Wait(u16),
}

const THREADS: u32 = 4;

struct Machine {
    node: Node<HeapPages>,
    space: SpaceId,
    port: Name,
    inbound: VecDeque<(Vec<u8>, usize)>,
    last: Option<Vec<u8>>,
}

impl Machine {
    fn new(number: u8) -> Machine {
        let config = Config {
            name: NodeName::new(if number == 0 { "a" } else { "b" }).unwrap(),
            cluster: [7; 16],
            mac: [2, 0, 0, 0, 0, number + 1],
            mtu: 65_521,
            receive_buffers: 32,
            seed: [number + 1; 32],
        };
        let mut node = Node::new(config, HeapPages { left: 4096 }).unwrap();
        let space = node.ipc().create_space(64).unwrap();
        for thread in 0..THREADS {
            node.ipc().register_thread(ThreadId(thread)).unwrap();
        }
        let port = node.ipc().allocate_port(space).unwrap();
        let right = node.ipc().make_right(space, port, RightKind::Send).unwrap();
        let name = node.ipc().insert(space, right).unwrap();
        node.check_in(Instant::ZERO, space, name, "service")
            .unwrap();
        Machine {
            node,
            space,
            port,
            inbound: VecDeque::new(),
            last: None,
        }
    }

    fn receive(&mut self, now: Instant, bytes: &[u8], length: usize) {
        let mut source = HeapPages::default();
        let split = bytes.len().min(HEAD);
        let mut pages: Vec<HeapPage> = Vec::new();
        for chunk in bytes[split..].chunks(norma_ipc::PAGE_SIZE) {
            let mut page = source.allocate().unwrap();
            page.bytes_mut().unwrap()[..chunk.len()].copy_from_slice(chunk);
            pages.push(page);
        }
        let mut frame = Incoming {
            head: &bytes[..split],
            length,
            pages: &mut pages,
        };
        self.node.handle_frame(now, &mut frame);
    }

    /// Wakes nobody, and collects what the node sends.
    fn drain(&mut self, now: Instant, to: &mut VecDeque<(Vec<u8>, usize)>) {
        while self.node.poll_wake().is_some() {}
        let mut sent = 0;
        loop {
            let mut head = [0; HEAD];
            let mut pages = heapless::Vec::<HeapPage, FRAME_PAGES>::new();
            let mut frame = Outgoing {
                head: &mut head,
                pages: &mut pages,
                length: 0,
            };
            if !self.node.poll_transmit(now, &mut frame) {
                break;
            }
            let length = frame.length;
            let mut bytes = vec![0; length];
            assert!(frame.copy_to(0, &mut bytes));
            sent += 1;
            assert!(sent < 4096, "a node that never has done sending");
            if to.len() < 256 {
                to.push_back((bytes, length));
            }
        }
        while self.node.poll_wake().is_some() {}
    }

    fn audit(&self) {
        let outside: Vec<_> = self.node.held_rights().collect();
        if let Err(error) = self.node.ipc_ref().audit(outside.into_iter()) {
            panic!("{error}");
        }
    }
}

/// A port with something queued, to which node a keeps a send right; its receive right.
fn loaded(a: &mut Machine, now: Instant, queued: u8) -> Option<norma_ipc::Right> {
    let space = a.space;
    let port = a.node.ipc().allocate_port(space).ok()?;
    if let Ok(right) = a.node.ipc().make_right(space, port, RightKind::Send)
        && let Err(refused) = a.node.ipc().insert(space, right)
    {
        a.node.ipc().release(refused.right);
    }
    for _ in 0..queued % 16 {
        let message = a.node.ipc().new_message().ok()?;
        if let Err(error) = a.node.send(now, space, port, message, None) {
            a.node.ipc().discard(error.message);
        }
    }
    a.node.ipc().extract(space, port, RightKind::Receive).ok()
}

fn call(
    a: &mut Machine,
    now: Instant,
    service: Option<Name>,
    step: (u8, u16, u8, bool),
    receive: Option<norma_ipc::Right>,
) {
    let (thread, inline, pages, with_right) = step;
    let thread = ThreadId(u32::from(thread) % THREADS);
    let Some(service) = service else { return };
    let space = a.space;
    let Ok(mut message) = a.node.ipc().new_message() else {
        return;
    };
    if let Some(Err(right)) = receive.map(|right| message.push_right(right)) {
        a.node.ipc().release(right);
    }
    let _ = message.set_data(&vec![1; usize::from(inline) % 8193]);
    for _ in 0..pages % 40 {
        if let Some(page) = a.node.source().allocate() {
            let _ = message.memory_mut().push(page, norma_ipc::PAGE_SIZE);
        }
    }
    if with_right
        && let Ok(right) = a.node.ipc().make_right(space, a.port, RightKind::Send)
        && let Err(right) = message.push_right(right)
    {
        a.node.ipc().release(right);
    }
    if a.node.ipc().attach_reply(thread, &mut message).is_err() {
        return a.node.ipc().discard(message);
    }
    match a.node.send(now, space, service, message, None) {
        Ok(_) => {
            if let Ok(Some(delivery)) = a.node.ipc().await_reply(thread) {
                finish(a, delivery);
            }
        }
        Err(mut error) => {
            a.node.ipc().detach_reply(&mut error.message);
            a.node.ipc().discard(error.message);
        }
    }
}

fn finish(machine: &mut Machine, delivery: norma_ipc::Delivery<HeapPage>) {
    if let norma_ipc::Delivery::Message(message) = delivery {
        machine.node.ipc().discard(message);
    }
}

fn collect(machine: &mut Machine) {
    for thread in 0..THREADS {
        match machine.node.ipc().take_completion(ThreadId(thread)) {
            Some(norma_ipc::Completion::Received(delivery)) => finish(machine, delivery),
            Some(norma_ipc::Completion::Refused(_, message)) => {
                machine.node.ipc().discard(message);
            }
            _ => {}
        }
    }
}

/// Makes the FLIP header say how long the frame is.
fn fit(frame: &mut [u8]) {
    let payload = frame.len().saturating_sub(SESSION_AT) as u32;
    for at in [FLIP_AT + 28, FLIP_AT + 36] {
        if let Some(place) = frame.get_mut(at..at + 4) {
            place.copy_from_slice(&payload.to_le_bytes());
        }
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut now = Instant::from_millis(1000);
    let (mut a, mut b) = (Machine::new(0), Machine::new(1));
    // Session and right first, on a good network: that is where the state is.
    assert!(a.node.check_out("service"));
    let looked_up = a.node.look_up(now, ThreadId(0), "service", None).unwrap();
    assert!(matches!(looked_up, LookUp::Asked));
    assert!(a.node.ipc().await_reply(ThreadId(0)).unwrap().is_none());
    for _ in 0..8 {
        a.drain(now, &mut b.inbound);
        while let Some((bytes, length)) = b.inbound.pop_front() {
            b.receive(now, &bytes, length);
        }
        b.drain(now, &mut a.inbound);
        while let Some((bytes, length)) = a.inbound.pop_front() {
            a.receive(now, &bytes, length);
        }
    }
    while a.node.poll_wake().is_some() {}
    let mut service = None;
    if let Some(norma_ipc::Completion::Received(norma_ipc::Delivery::Message(mut message))) =
        a.node.ipc().take_completion(ThreadId(0))
    {
        let right = message.take_right().expect("a right comes with the answer");
        service = Some(a.node.ipc().insert(a.space, right).unwrap());
        a.node.ipc().discard(message);
    }
    assert!(service.is_some());
    for step in steps.into_iter().take(200) {
        match step {
            Step::Deliver { to_b, changes } => {
                let machine = if to_b { &mut b } else { &mut a };
                if let Some((mut bytes, length)) = machine.inbound.pop_front() {
                    for (at, value) in changes.into_iter().take(8) {
                        let at = usize::from(at) % bytes.len().clamp(1, HEAD);
                        bytes[at] ^= value;
                    }
                    // Or none of them would get past its check (W-64).
                    seal(&mut bytes);
                    machine.receive(now, &bytes, length);
                    machine.last = Some(bytes);
                }
            }
            Step::Repeat { to_b } => {
                let machine = if to_b { &mut b } else { &mut a };
                if let Some(bytes) = machine.last.take() {
                    machine.receive(now, &bytes, bytes.len());
                    machine.last = Some(bytes);
                }
            }
            Step::Overtake { to_b } => {
                let machine = if to_b { &mut b } else { &mut a };
                if let Some((bytes, length)) = machine.inbound.pop_back() {
                    machine.receive(now, &bytes, length);
                }
            }
            Step::Drop { to_b } => {
                let machine = if to_b { &mut b } else { &mut a };
                machine.inbound.pop_front();
            }
            Step::Invent { to_b, bytes } => {
                let machine = if to_b { &mut b } else { &mut a };
                let mut frame = machine.last.clone().unwrap_or_default();
                frame.truncate(116);
                frame.extend(bytes);
                fit(&mut frame);
                seal(&mut frame);
                machine.receive(now, &frame, frame.len());
            }
            Step::Call {
                thread,
                inline,
                pages,
                right,
            } => call(&mut a, now, service, (thread, inline, pages, right), None),
            Step::Move { thread, queued } => {
                let right = loaded(&mut a, now, queued);
                call(&mut a, now, service, (thread, 4, 0, false), right);
            }
            Step::Serve { answer } => {
                let (space, port) = (b.space, b.port);
                if let Ok(norma_ipc::Delivery::Message(message)) = b.node.ipc().receive(space, port)
                {
                    if !answer {
                        b.node.ipc().discard(message);
                    } else if let Err(error) = b.node.reply(now, message) {
                        b.node.ipc().discard(error.message);
                    }
                }
            }
            Step::Cancel { thread } => {
                let thread = ThreadId(u32::from(thread) % THREADS);
                if let norma_ipc::Cancelled::Message(message) = a.node.ipc().cancel(thread) {
                    a.node.ipc().discard(message);
                }
                a.node.ipc().renew_reply_port(thread);
            }
            Step::Wait(time) => {
                now += Duration::from_micros(u64::from(time) * 10);
                for machine in [&mut a, &mut b] {
                    if machine.node.poll_timeout().is_some_and(|due| due <= now) {
                        machine.node.handle_timeout(now);
                    }
                }
            }
        }
        collect(&mut a);
        a.drain(now, &mut b.inbound);
        b.drain(now, &mut a.inbound);
        a.audit();
        b.audit();
    }
});
