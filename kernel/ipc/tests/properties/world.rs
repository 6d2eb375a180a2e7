//! The core and its model side by side: every step is done to both, and they must agree.

use norma_ipc::*;

use crate::model::{End, Item, Model, Wait};

type Core = Ipc<HeapPage>;
type Letters = Vec<Message<HeapPage>>;

pub(crate) const THREADS: u32 = 4;
pub(crate) const SPACES: usize = 3;
pub(crate) const KINDS: [RightKind; 3] = [RightKind::Send, RightKind::SendOnce, RightKind::Receive];
/// Kept small, so that most steps find something to work on.
const MANY: usize = 12;

#[derive(Default)]
pub struct World {
    pub(crate) ipc: Core,
    pub(crate) model: Model,
    pub(crate) spaces: Vec<SpaceId>,
    /// Every name there ever was, the latest last.
    pub(crate) names: Vec<(SpaceId, Name)>,
    pub(crate) rights: Vec<Right>,
    pub(crate) messages: Letters,
    pub(crate) next: u32,
}

pub(crate) fn pick<T: Copy>(list: &[T], choice: u8) -> Option<T> {
    // The latest are the likeliest to be alive.
    let back = usize::from(choice) % list.len().clamp(1, MANY);
    list.len().checked_sub(back + 1).map(|at| list[at])
}

pub(crate) fn draw<T>(list: &mut Vec<T>, choice: u8) -> Option<T> {
    if list.is_empty() {
        return None;
    }
    let at = usize::from(choice) % list.len();
    Some(list.swap_remove(at))
}

impl World {
    pub fn new() -> Self {
        let mut world = World::default();
        for thread in 0..THREADS {
            world.ipc.register_thread(ThreadId(thread)).unwrap();
            world.model.threads.push(Default::default());
        }
        for _ in 0..SPACES {
            world.spaces.push(world.ipc.create_space(1000).unwrap());
        }
        world
    }

    /// The audit, and the model's queues against the core's count.
    pub fn check(&self) {
        let messages = self.messages.iter();
        let inside = messages.flat_map(|message| message.rights().iter().chain(message.reply()));
        let census = self.ipc.audit(self.rights.iter().chain(inside)).unwrap();
        assert_eq!(
            census.ports,
            self.model.ports.len() as u64,
            "{:#?}",
            self.model
        );
        let queued = self.model.ports.values().flat_map(|port| &port.queue);
        let queued = queued
            .filter(|item| matches!(item, Item::Letter(_)))
            .count();
        assert_eq!(census.queued, queued as u64);
        let names = self
            .spaces
            .iter()
            .map(|space| self.ipc.name_count(*space).unwrap())
            .sum();
        assert_eq!(self.model.names.len() as u32, names);
    }

    pub fn step(&mut self, [what, a, b, c]: [u8; 4]) {
        match what % 32 {
            0 | 1 => self.allocate_port(a),
            2..=4 => self.make_right(a, b),
            5 => self.copy_send(a),
            6 | 7 => self.extract(a, b),
            8 | 9 => self.insert(a, b),
            10 => self.release(a),
            11 => self.deallocate(a, b),
            12..=15 => self.send(a, b, c),
            16 => self.send_to(a, b, c),
            17 => self.receive(a),
            18 | 19 => self.receive_or_wait(a, b),
            20 => self.take_completion(a),
            21 => self.cancel(a, b),
            22 => self.reply(a),
            23 => self.open(a, b),
            24 => self.set_queue_limit(a, b),
            25 => self.renew_or_unregister(a, b),
            26 => self.end_space_or_port(a, b),
            27 => self.import(a),
            28 => self.carry(a, b),
            29 => self.await_reply(a),
            30 => self.wait_outside(a, b),
            _ => self.poll(),
        }
    }

    fn renew_or_unregister(&mut self, a: u8, b: u8) {
        let thread = u32::from(a) % THREADS;
        if b & 1 == 0 {
            self.ipc.renew_reply_port(ThreadId(thread));
        } else {
            self.ipc.unregister_thread(ThreadId(thread));
            match self.model.cancel(thread as usize) {
                Wait::Sending(_, letter)
                | Wait::Done(End::Received(Item::Letter(letter)) | End::Refused(_, letter)) => {
                    self.model.discard(letter);
                }
                _ => {}
            }
        }
        self.model.renew_reply_port(thread as usize);
    }

    /// Every wake that is owed comes, and the network layer hears of every token once.
    fn poll(&mut self) {
        let mut tokens = Vec::new();
        while let Some(event) = self.ipc.poll_event() {
            match event {
                Event::Wake(ThreadId(thread)) => self.model.threads[thread as usize].owed = false,
                Event::Unused(token) => tokens.push((true, token.0)),
                Event::Unanswered(token) => tokens.push((false, token.0)),
                Event::PortDied(_) | Event::Room(_) => panic!("nobody asked for {event:?}"),
            }
        }
        assert_eq!(tokens, self.model.tokens);
        self.model.tokens.clear();
        assert!(
            self.model.threads.iter().all(|thread| !thread.owed),
            "{:#?}",
            self.model
        );
    }

    /// Gives everything up: nothing must be left.
    pub fn end(mut self) {
        self.poll();
        for thread in 0..THREADS {
            self.renew_or_unregister(thread as u8, 1);
        }
        while !self.messages.is_empty() {
            self.open(0, 0);
        }
        while !self.rights.is_empty() {
            self.release(0);
        }
        for space in 0..SPACES {
            self.end_space_or_port(space as u8, 1);
        }
        self.poll();
        self.check();
        let census = self.ipc.audit(std::iter::empty()).unwrap();
        assert_eq!(census.ports, 0, "{census:?}");
        assert_eq!(census.created, census.destroyed);
    }
}
