//! The core and its model side by side: every operation is done to both, and they must agree.
//!
//! After each, the core is audited and all that can be seen of it is compared with the model.
//! The fuzzer and the exhaustive tests use this world too.
#![allow(dead_code, unused_imports)] // Each of them uses a part.

use std::rc::Rc;

use norma_ipc::*;

mod check;
mod ends;
mod exchange;
mod messages;
pub mod model;
mod moves;
mod names;
mod operation;
mod page;
mod queues;
mod requests;
mod rights;
mod waits;

use model::{At, Entry, Model, held};
pub use operation::{Content, Operation, Reply, Wanted};
use page::Alive;
pub use page::CountedPage;

type Core = Ipc<CountedPage>;
pub type Letters = Vec<Message<CountedPage>>;

/// Names that a space may have: few enough to be used up.
pub const QUOTA: u32 = 24;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub spaces: usize,
    pub threads: u32,
    /// Of what there ever was, so many of the latest are chosen from: most steps find something
    /// to work on.
    pub many: usize,
}

impl Size {
    pub const LARGE: Size = Size {
        spaces: 3,
        threads: 4,
        many: 12,
    };
    pub const SMALL: Size = Size {
        spaces: 1,
        threads: 2,
        many: 4,
    };
}

pub struct World {
    pub ipc: Core,
    pub model: Model,
    pub size: Size,
    pub spaces: Vec<SpaceId>,
    /// Every name there ever was, the latest last.
    pub names: Vec<At>,
    pub rights: Vec<Right>,
    /// Receive rights of ports that are arriving.
    pub arriving: Vec<Right>,
    pub messages: Letters,
    pages: Alive,
    /// The last tag, mark or token that was given out.
    next: u32,
}

impl World {
    pub fn new(size: Size) -> Self {
        let mut world = World {
            ipc: Core::new(),
            model: Model::default(),
            size,
            spaces: Vec::new(),
            names: Vec::new(),
            rights: Vec::new(),
            arriving: Vec::new(),
            messages: Vec::new(),
            pages: Alive::default(),
            next: 0,
        };
        for thread in 0..size.threads {
            world.ipc.register_thread(ThreadId(thread)).unwrap();
            world.model.threads.push(Default::default());
        }
        for _ in 0..size.spaces {
            world.spaces.push(world.ipc.create_space(QUOTA).unwrap());
        }
        world
    }

    fn pick<T: Copy>(&self, list: &[T], choice: u8) -> Option<T> {
        // The latest are the likeliest to be alive.
        let back = usize::from(choice) % list.len().clamp(1, self.size.many);
        list.len().checked_sub(back + 1).map(|at| list[at])
    }

    fn space(&self, choice: u8) -> SpaceId {
        self.spaces[usize::from(choice) % self.spaces.len()]
    }

    fn name(&self, choice: u8) -> Option<At> {
        self.pick(&self.names, choice)
    }

    /// Mostly a name that denotes what an operation needs; the choice says which, and whether.
    fn fitting(&self, choice: u8, fits: impl Fn(&Entry) -> bool) -> Option<At> {
        let alive = |at: &&At| self.model.names.get(at).is_some_and(&fits);
        let names: Vec<At> = self.names.iter().filter(alive).copied().collect();
        match self.pick(&names, choice / 8) {
            Some(at) if choice % 8 != 7 => Some(at),
            _ => self.name(choice),
        }
    }

    fn receive_name(&self, choice: u8) -> Option<At> {
        self.fitting(choice, |entry| entry.receive)
    }

    /// Of sets there are fewer than of ports, and they have more to give.
    fn source_name(&self, choice: u8) -> Option<At> {
        let is_set = |entry: &Entry| matches!(entry.target, model::Target::Set(_));
        match choice % 2 {
            0 => self.fitting(choice, is_set),
            _ => self.receive_name(choice),
        }
    }

    fn send_name(&self, choice: u8) -> Option<At> {
        self.fitting(choice, |entry| entry.sends > 0 || entry.once)
    }

    fn port_name(&self, choice: u8) -> Option<At> {
        self.fitting(choice, |entry| {
            matches!(entry.target, model::Target::Port(_))
        })
    }

    /// A right at hand, which is one no longer.
    fn draw_right(&mut self, choice: u8) -> Option<Right> {
        draw(&mut self.rights, choice)
    }

    /// The same, mostly a send-once right if there is one.
    fn draw_once(&mut self, choice: u8) -> Option<Right> {
        let once = |right: &Right| model::once_to(held(right)).is_some();
        let places: Vec<usize> = (0..self.rights.len())
            .filter(|at| once(&self.rights[*at]))
            .collect();
        match self.pick(&places, choice) {
            Some(at) if choice % 8 != 7 => Some(self.rights.swap_remove(at)),
            _ => self.draw_right(choice),
        }
    }

    /// The same, mostly a receive right if there is one.
    fn draw_receive(&mut self, choice: u8) -> Option<Right> {
        let receive = |right: &Right| right.kind() == RightKind::Receive;
        match self.rights.iter().rposition(receive) {
            Some(at) if choice % 8 != 7 => Some(self.rights.swap_remove(at)),
            _ => self.draw_right(choice),
        }
    }

    fn pick_arriving(&self, choice: u8) -> Option<PortId> {
        let ids: Vec<PortId> = self.arriving.iter().filter_map(Right::port).collect();
        self.pick(&ids, choice)
    }

    fn thread(&self, number: u32) -> usize {
        (number % self.size.threads) as usize
    }

    fn port(&self, choice: u8) -> Option<PortId> {
        let ids: Vec<PortId> = self.model.ports.keys().copied().collect();
        self.pick(&ids, choice)
    }

    fn proxy(&self, choice: u8) -> Option<PortId> {
        let ports = self.model.ports.iter();
        let proxies = ports.filter(|(_, port)| port.proxy.is_some());
        let ids: Vec<PortId> = proxies.map(|(id, _)| *id).collect();
        self.pick(&ids, choice)
    }

    fn wanted(&self, name: Wanted) -> Option<Name> {
        match name {
            Wanted::Old(choice) => self.name(choice).map(|(_, name)| name),
            Wanted::Other(name) => Some(name),
        }
    }

    /// What the model knows under a name.
    fn entry(&self, at: At) -> Result<Entry, RightError> {
        self.model
            .names
            .get(&at)
            .copied()
            .ok_or(RightError::InvalidName)
    }

    /// Does an operation to both. One that finds nothing to work on does nothing.
    pub fn step(&mut self, operation: Operation) {
        let _ = self.try_step(operation);
    }

    fn try_step(&mut self, operation: Operation) -> Option<()> {
        use Operation::*;
        match operation {
            Poll => self.poll(),
            AllocatePort { space } => self.allocate_port(self.space(space)),
            AllocatePortAs { space, name } => {
                self.allocate_port_as(self.space(space), self.wanted(name)?);
            }
            AllocateSet { space } => self.allocate_set(self.space(space)),
            AllocateDeadName { space } => self.allocate_dead_name(self.space(space)),
            MakeRight { name, kind } => self.make_right(self.receive_name(name)?, kind),
            CopySend { name } => self.copy_send(self.send_name(name)?),
            CopyIn { name, disposition } => self.copy_in(self.name(name)?, disposition),
            Extract { name, kind } => self.extract(self.name(name)?, kind),
            Insert { space, right } => {
                let right = self.draw_right(right)?;
                self.insert(self.space(space), right)?;
            }
            InsertAs { space, right, name } => {
                let name = self.wanted(name)?;
                let right = self.draw_right(right)?;
                self.insert_as(self.space(space), name, right);
            }
            Rename { name, to } => self.rename(self.name(name)?, self.wanted(to)?),
            ModifyReferences { name, kind, change } => {
                self.modify_references(self.name(name)?, kind, change);
            }
            Deallocate { name, kind } => self.deallocate(self.name(name)?, kind),
            Destroy { name } => self.destroy(self.name(name)?),
            Release { right, how } => {
                let right = self.draw_right(right)?;
                self.release(right, how);
            }
            MoveMember { name, set } => {
                let (space, name) = self.receive_name(name)?;
                // Mostly one of the same space, for it could not be another.
                let sets: Vec<Name> = self.names_of_sets(space);
                let set = set.map(|set| {
                    let other = self.name(set).filter(|_| set % 8 == 7);
                    other.map_or_else(|| self.pick(&sets, set), |(_, name)| Some(name))
                });
                match set {
                    Some(set) => self.move_member((space, name), Some(set?)),
                    None => self.move_member((space, name), None),
                }
            }
            Send {
                name,
                content,
                wait,
            } => {
                let at = self.send_name(name)?;
                let message = self.compose(content);
                self.send(at, message, wait);
            }
            SendTo {
                right,
                content,
                wait,
            } => {
                let right = self.draw_right(right)?;
                let message = self.compose(content);
                self.send_to(right, message, wait);
            }
            Post {
                port,
                content,
                wait,
            } => {
                let id = self.port(port)?;
                let message = self.compose(content);
                self.post(id, message, wait);
            }
            Operation::Reply { message } => {
                let message = draw(&mut self.messages, message)?;
                self.reply(message);
            }
            Receive { name, limit } => {
                self.receive(self.source_name(name)?, limit);
            }
            ReceiveOrWait {
                thread,
                name,
                limit,
            } => {
                self.receive_or_wait(self.thread(thread), self.source_name(name)?, limit);
            }
            CallAtOnce {
                thread,
                name,
                content,
            } => {
                let (thread, name) = (self.thread(thread), self.name(name)?);
                let message = self.compose(content);
                self.call_at_once(thread, name, message);
            }
            AnswerAtOnce {
                thread,
                name,
                message,
            } => {
                let (thread, name) = (self.thread(thread), self.name(name)?);
                let message = draw(&mut self.messages, message)?;
                self.answer_at_once(thread, name, message);
            }
            AwaitReply { thread } => self.await_reply(self.thread(thread)),
            TakeCompletion { thread } => self.take_completion(self.thread(thread)),
            Cancel { thread } => self.cancel(self.thread(thread)),
            RenewReplyPort { thread } => self.renew_reply_port(self.thread(thread)),
            UnregisterThread { thread } => self.unregister_thread(self.thread(thread)),
            WaitOutside { thread } => self.wait_outside(self.thread(thread)),
            Complete { thread, value } => self.complete(self.thread(thread), value),
            Discard {
                message,
                rights_first,
                because,
            } => {
                let message = draw(&mut self.messages, message)?;
                self.discard(message, rights_first, because);
            }
            SetQueueLimit { name, limit } => self.set_queue_limit(self.receive_name(name)?, limit),
            SetSequence { name, sequence } => self.set_sequence(self.receive_name(name)?, sequence),
            SetMakeSends { name, make_sends } => {
                self.set_make_sends(self.receive_name(name)?, make_sends);
            }
            Request {
                name,
                about,
                notify,
            } => {
                let at = self.port_name(name)?;
                let notify = self.draw_once(notify)?;
                self.request(at, about, notify);
            }
            WithdrawRequest { name, about } => self.withdraw_request(self.name(name)?, about),
            RequestNoSenders { name, sync, notify } => {
                let at = self.receive_name(name)?;
                let notify = notify.and_then(|notify| self.draw_once(notify));
                self.request_no_senders(at, sync, notify);
            }
            RequestPortDestroyed { name, notify } => {
                let at = self.receive_name(name)?;
                let notify = notify.and_then(|notify| self.draw_once(notify));
                self.request_port_destroyed(at, notify);
            }
            KillPort { port } => self.kill_port(self.port(port)?),
            DestroySpace { space } => self.destroy_space(space),
            ImportSendOnce => self.import_send_once(),
            CreateProxy { with_right } => self.create_proxy(with_right),
            Carried { proxy } => self.carried(self.proxy(proxy)?),
            HoldBack { proxy, hold } => self.hold_back(self.proxy(proxy)?, hold),
            NextToCarry { proxy } => {
                self.next_to_carry(self.proxy(proxy)?);
            }
            Depart { right, home } => {
                let right = self.draw_receive(right)?;
                self.depart(right, home);
            }
            NextQueued { proxy, give_back } => {
                self.next_queued(self.proxy(proxy)?, give_back);
            }
            BeginArrival { proxy } => {
                let id = proxy.map(|proxy| self.proxy(proxy));
                self.begin_arrival(id.flatten());
            }
            UndoArrival { right } => {
                let right = draw(&mut self.arriving, right)?;
                self.undo_arrival(right);
            }
            DeliverArriving { right, content } => {
                let right = self.pick_arriving(right)?;
                self.deliver_arriving(right, content);
            }
            SetState {
                right,
                limit,
                send_onces,
            } => {
                let right = self.pick_arriving(right)?;
                self.set_state(right, limit, send_onces);
            }
            Open { right } => {
                let right = draw(&mut self.arriving, right)?;
                self.open(right);
            }
            Claim { port } => self.claim(self.port(port)?),
            Watch { port } => self.watch(self.port(port)?),
            WantRoom { port } => self.want_room(self.port(port)?),
        }
        Some(())
    }

    /// The next tag, mark or token.
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn new_page(&mut self) -> CountedPage {
        CountedPage::new(self.number(), &Rc::clone(&self.pages))
    }
}

fn draw<T>(list: &mut Vec<T>, choice: u8) -> Option<T> {
    let at = usize::from(choice).checked_rem(list.len())?;
    Some(list.swap_remove(at))
}
