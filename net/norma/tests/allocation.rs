//! The heap fails at every allocation in turn: each request that needed it fails, no node
//! breaks, and everything works again afterwards.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use norma_flip::{FRAME_PAGES, HEAD, Incoming, Instant, Outgoing};
use norma_ipc::{
    Completion, Delivery, HeapPage, HeapPages, Memory, Message, Name, PageSource, RightKind,
    SpaceId, ThreadId,
};
use norma_net::{Config, LookUp, Node, NodeName};

thread_local! {
    /// Allocations that still succeed.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Failing;

fn granted() -> bool {
    LEFT.try_with(|left| match left.get() {
        usize::MAX => true,
        0 => false,
        some => {
            left.set(some - 1);
            true
        }
    })
    .unwrap_or(true)
}

// SAFETY: everything is passed to the system's allocator, or refused with a null pointer, which
// the contract of each function allows at any time.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static HEAP: Failing = Failing;

/// With a heap that fails after so many allocations.
fn with_heap<R>(left: usize, what: impl FnOnce() -> R) -> (R, usize) {
    LEFT.set(left);
    let result = what();
    (result, LEFT.replace(usize::MAX))
}

/// Pages do not come from the heap, in a kernel.
struct Pages;

impl PageSource for Pages {
    type Page = HeapPage;

    fn allocate(&mut self) -> Option<HeapPage> {
        let left = LEFT.replace(usize::MAX);
        let page = HeapPages::default().allocate();
        LEFT.set(left);
        page
    }
}

const THREAD: ThreadId = ThreadId(0);

struct Machine {
    node: Node<Pages>,
    space: SpaceId,
}

struct Pair {
    a: Machine,
    b: Machine,
    port: Name,
    now: Instant,
}

fn machine(number: u8) -> Machine {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("heap"),
        mac: [2, 0, 0, 0, 0, number],
        mtu: 9000,
        receive_buffers: 64,
        seed: [number; 32],
    };
    let mut node = Node::new(config, Pages).unwrap();
    let space = node.ipc().create_space(100).unwrap();
    node.ipc().register_thread(THREAD).unwrap();
    Machine { node, space }
}

/// Carries frames one way; tells whether there were any.
fn carry(now: Instant, from: &mut Machine, to: &mut Machine) -> bool {
    let mut head = [0; HEAD];
    let mut pages: heapless::Vec<HeapPage, FRAME_PAGES> = heapless::Vec::new();
    let mut any = false;
    loop {
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: 0,
        };
        if !from.node.poll_transmit(now, &mut frame) {
            return any;
        }
        any = true;
        let length = frame.length;
        // As over a wire: the receiver's pages are its own.
        let mut received: heapless::Vec<HeapPage, FRAME_PAGES> = heapless::Vec::new();
        let mut source = Pages;
        for page in &pages {
            let mut copy = source.allocate().unwrap();
            norma_ipc::Page::bytes_mut(&mut copy)
                .unwrap()
                .copy_from_slice(norma_ipc::Page::bytes(page));
            let _ = received.push(copy);
        }
        to.node.handle_frame(
            now,
            &mut Incoming {
                head: &head,
                length,
                pages: &mut received,
            },
        );
        pages.clear();
    }
}

impl Pair {
    fn new() -> Self {
        let (a, mut b) = (machine(1), machine(2));
        let port = b.node.ipc().allocate_port(b.space).unwrap();
        let right = b
            .node
            .ipc()
            .make_right(b.space, port, RightKind::Send)
            .unwrap();
        let name = b.node.ipc().insert(b.space, right).unwrap();
        b.node
            .check_in(Instant::from_millis(1000), b.space, name, "echo")
            .unwrap();
        Pair {
            a,
            b,
            port,
            now: Instant::from_millis(1000),
        }
    }

    /// Lets time pass, and frames go to and fro.
    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            while carry(self.now, &mut self.a, &mut self.b)
                | carry(self.now, &mut self.b, &mut self.a)
            {}
            self.now += core::time::Duration::from_millis(5);
            for machine in [&mut self.a, &mut self.b] {
                while machine.node.poll_wake().is_some() {}
                if machine
                    .node
                    .poll_timeout()
                    .is_some_and(|due| due <= self.now)
                {
                    machine.node.handle_timeout(self.now);
                }
            }
            // Node B answers whatever came.
            while let Ok(delivery) = self.b.node.ipc().receive(self.b.space, self.port) {
                if let Delivery::Message(message) = delivery
                    && let Err(error) = self.b.node.reply(self.now, message)
                {
                    self.b.node.ipc().discard(error.message);
                }
            }
        }
    }

    /// Waits for the answer; `None` if there is none, or none could be waited for.
    fn answer(&mut self, steps: u32) -> Option<Message<HeapPage>> {
        let mut delivery = self.a.node.ipc().await_reply(THREAD).ok()?;
        if delivery.is_none() {
            self.run(steps);
            delivery = match self.a.node.ipc().take_completion(THREAD) {
                Some(Completion::Received(delivery)) => Some(delivery),
                _ => {
                    let _ = self.a.node.ipc().cancel(THREAD);
                    self.a.node.ipc().renew_reply_port(THREAD);
                    None
                }
            };
        }
        match delivery? {
            Delivery::Message(message) => Some(message),
            Delivery::Notification(_) => None,
        }
    }

    fn look_up(&mut self, steps: u32) -> Option<Name> {
        match self.a.node.look_up(self.now, THREAD, "echo", None).ok()? {
            LookUp::Found(right) => self.keep(right),
            LookUp::Asked => {
                let mut message = self.answer(steps)?;
                let right = message.take_right();
                self.a.node.ipc().discard(message);
                self.keep(right?)
            }
        }
    }

    fn keep(&mut self, right: norma_ipc::Right) -> Option<Name> {
        match self.a.node.ipc().insert(self.a.space, right) {
            Ok(name) => Some(name),
            Err(refused) => {
                self.a.node.ipc().release(refused.right);
                None
            }
        }
    }

    /// A call with memory and a right in it, and an answer with the same.
    fn call(&mut self, name: Name, steps: u32) -> Option<()> {
        let ipc = self.a.node.ipc();
        let mut message = ipc.new_message().ok()?;
        let filled = fill(&mut message);
        let own = ipc.allocate_port(self.a.space);
        if let Ok(own) = own
            && let Ok(right) = ipc.make_right(self.a.space, own, RightKind::Send)
            && let Err(right) = message.push_right(right)
        {
            ipc.release(right);
        }
        let attached = filled.is_some() && ipc.attach_reply(THREAD, &mut message).is_ok();
        if !attached {
            ipc.discard(message);
        } else if let Err(mut error) = self
            .a
            .node
            .send(self.now, self.a.space, name, message, None)
        {
            self.a.node.ipc().detach_reply(&mut error.message);
            self.a.node.ipc().discard(error.message);
        }
        let answer = if attached { self.answer(steps) } else { None };
        let answered = answer.is_some();
        if let Some(answer) = answer {
            self.a.node.ipc().discard(answer);
        }
        if let Ok(own) = own {
            let _ = self
                .a
                .node
                .ipc()
                .deallocate(self.a.space, own, RightKind::Receive);
        }
        answered.then_some(())
    }

    fn check(&self) {
        for machine in [&self.a, &self.b] {
            machine
                .node
                .ipc_ref()
                .audit(machine.node.held_rights())
                .unwrap();
        }
    }
}

fn fill(message: &mut Message<HeapPage>) -> Option<()> {
    message.set_data(&[7; 300]).ok()?;
    let memory = Memory::copy_from(&[9; 50_000], &mut Pages).ok()?;
    message.replace_memory(memory).ok()?;
    Some(())
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of runs; the others cover the same code")]
fn every_allocation_may_fail() {
    let mut needed = 0;
    for left in 0.. {
        let mut pair = Pair::new();
        let ((), unused) = with_heap(left, || {
            if let Some(name) = pair.look_up(400) {
                let _ = pair.call(name, 200);
                let _ = pair.call(name, 200);
                let _ = pair
                    .a
                    .node
                    .ipc()
                    .deallocate(pair.a.space, name, RightKind::Send);
            }
        });
        pair.run(400);
        pair.check();
        // With a heap again, all is well.
        let name = pair.look_up(400).expect("the name is found");
        assert!(pair.call(name, 200).is_some(), "after {left} allocations");
        let _ = pair
            .a
            .node
            .ipc()
            .deallocate(pair.a.space, name, RightKind::Send);
        pair.run(400);
        pair.check();
        for machine in [&pair.a, &pair.b] {
            assert_eq!(
                machine.node.holdings(),
                norma_net::Holdings::default(),
                "after {left}"
            );
        }
        if unused > 0 {
            needed = left;
            break;
        }
    }
    assert!(needed > 20, "{needed} allocations were all that was needed");
}
