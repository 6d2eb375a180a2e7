//! Typed messages: what is written is read, by like and by unlike machines, and whatever else a
//! message says is an error that takes nothing. A test's name begins with the number of the MUST
//! in `docs/ipc.md` that it checks.

use norma_ipc::*;

mod errors;
mod hostile;
mod order;
mod round_trip;
mod values;

type Core = Ipc<HeapPage>;

/// A core with a port whose receive right is in a space.
struct Bench {
    ipc: Core,
    space: SpaceId,
    port: Name,
    source: HeapPages,
}

impl Bench {
    fn new() -> Self {
        let mut ipc = Core::new();
        let space = ipc.create_space(limits::DEFAULT_NAMES).unwrap();
        let port = ipc.allocate_port(space).unwrap();
        Bench {
            ipc,
            space,
            port,
            source: HeapPages::default(),
        }
    }

    fn message(&mut self) -> Message<HeapPage> {
        self.ipc.new_message().unwrap()
    }

    /// A right of this kind; each receive right is to a port of its own.
    fn right(&mut self, kind: RightKind) -> Right {
        if kind == RightKind::Receive {
            let name = self.ipc.allocate_port(self.space).unwrap();
            return self.ipc.extract(self.space, name, kind).unwrap();
        }
        self.ipc.make_right(self.space, self.port, kind).unwrap()
    }

    /// Gives up a message and rights, and checks that no right is lost or there twice.
    fn end(&mut self, message: Message<HeapPage>, rights: Vec<Right>) {
        let inside = message.rights().iter().chain(message.reply());
        self.ipc.audit(inside.chain(&rights)).unwrap();
        self.ipc.discard(message);
        for right in rights {
            self.ipc.release(right);
        }
        self.ipc.audit(std::iter::empty()).unwrap();
    }
}
