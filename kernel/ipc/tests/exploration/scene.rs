//! Two spaces, three ports, and what the games do with them.

use norma_ipc::*;

use crate::world::model::{At, Entry, Item, Letter, Model, News, Target, Thread, Wait};
use crate::world::{Content, Reply, Size, World};

pub struct Scene {
    pub world: World,
    pub server: SpaceId,
    pub client: SpaceId,
    /// Made in the server's space; the first has a place for one message.
    pub ports: [PortId; 3],
    /// What the game of no senders remembers: it was asked before any right was made, and no
    /// right was made since.
    pub asked_early: bool,
}

impl Scene {
    pub fn new() -> Self {
        let mut world = World::new(Size {
            spaces: 2,
            threads: 2,
            many: usize::MAX,
        });
        let (server, client) = (world.spaces[0], world.spaces[1]);
        let ports = [(); 3].map(|()| {
            world.allocate_port(server);
            let at = *world.names.last().unwrap();
            world.ipc.port_of(at.0, at.1).unwrap()
        });
        world.set_queue_limit(world.names[0], 1);
        Scene {
            world,
            server,
            client,
            ports,
            asked_early: false,
        }
    }

    fn model(&self) -> &Model {
        &self.world.model
    }

    fn find(&self, which: impl Fn(&At, &Entry) -> bool) -> Option<At> {
        let mut names = self.model().names.iter();
        let found = names.find(|(at, entry)| which(at, entry));
        found.map(|(at, _)| *at)
    }

    /// Where the receive right of a port is held.
    pub fn receive_name(&self, id: PortId) -> Option<At> {
        let target = Target::Port(id);
        self.find(|_, entry| entry.target == target && entry.receive)
    }

    /// Where a space holds send rights to a port.
    pub fn send_name(&self, space: SpaceId, id: PortId) -> Option<At> {
        let target = Target::Port(id);
        self.find(|at, entry| at.0 == space && entry.target == target && entry.sends > 0)
    }

    /// Where anybody holds a send-once right to a port.
    pub fn once_name(&self, id: PortId) -> Option<At> {
        let target = Target::Port(id);
        self.find(|_, entry| entry.target == target && entry.once)
    }

    /// A message with the right that is at hand, if there is one.
    pub fn message(&mut self, reply: bool) -> Message<crate::world::CountedPage> {
        self.world.compose(Content {
            rights: [(!reply).then_some(0), None],
            reply: if reply {
                Reply::Right(0)
            } else {
                Reply::Nothing
            },
            bytes: 0,
            pages: 0,
            shared: false,
        })
    }

    pub fn post(&mut self, id: PortId, wait: Option<u32>) {
        let message = self.message(false);
        self.world.post(id, message, wait);
    }

    /// Takes apart the messages at hand, and puts all rights into a space.
    pub fn put_away(&mut self, space: SpaceId) {
        while let Some(message) = self.world.messages.pop() {
            self.world.discard(message, true, Reason::Unanswered);
        }
        while let Some(right) = self.world.rights.pop() {
            self.world.insert(space, right).unwrap();
        }
    }

    /// Destroys the messages at hand, with what is in them.
    pub fn throw_away(&mut self) {
        while let Some(message) = self.world.messages.pop() {
            self.world.discard(message, false, Reason::Unanswered);
        }
    }

    /// All of the state that can make a difference. Names and tags are left out: they differ
    /// with the way that led here.
    pub fn shape(&self) -> String {
        let model = self.model();
        let ports = model.ports.iter().map(|(id, port)| {
            let queue: Vec<_> = port.queue.iter().map(shape_of_item).collect();
            let counts = (port.sends, port.onces, port.make_sends, port.limit);
            let waits = (&port.receivers, &port.senders, port.set);
            let told = (port.no_senders, port.destroyed, port.room_wanted);
            let space = self.receive_name(*id).map(|(space, _)| space);
            (*id, port.dead, space, queue, counts, waits, told)
        });
        let mut names: Vec<_> = model
            .names
            .iter()
            .map(|((space, _), entry)| format!("{space:?} {entry:?}"))
            .collect();
        names.sort();
        let requests = model.requests.iter().map(|request| {
            let entry = &model.names[&request.at];
            (
                request.about,
                request.at.0,
                entry.once,
                request.port,
                request.notify,
            )
        });
        format!(
            "{:?} {names:?} {:?} {:?} {}",
            ports.collect::<Vec<_>>(),
            requests.collect::<Vec<_>>(),
            model
                .threads
                .iter()
                .map(shape_of_thread)
                .collect::<Vec<_>>(),
            self.asked_early,
        )
    }
}

fn shape_of_letter(letter: &Letter) -> String {
    let Letter {
        rights,
        reply,
        by_once,
        ..
    } = letter;
    format!("{rights:?} {reply:?} {by_once}")
}

fn shape_of_item(item: &Item) -> String {
    match item {
        Item::Letter(letter) => shape_of_letter(letter),
        Item::News(News::DeadName(_, reason)) => format!("{reason:?}"),
        Item::News(News::NameDeleted(_) | News::Room(_)) => String::from("name"),
        Item::News(news) => format!("{news:?}"),
    }
}

fn shape_of_thread(thread: &Thread) -> String {
    use crate::world::model::End;
    match &thread.wait {
        Wait::Sending(id, letter) => format!("{id:?} {}", shape_of_letter(letter)),
        Wait::Done(End::Received(item)) => shape_of_item(item),
        Wait::Done(End::Refused(reason, letter)) => {
            format!("{reason:?} {}", shape_of_letter(letter))
        }
        wait => format!("{wait:?}"),
    }
}
