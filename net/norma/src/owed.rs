//! A RELEASE that waits for a message: a right that goes home is named by the peer's export, so
//! the export must not be given back while a message that names it is on its way.
//!
//! It can come to that when a stand-in has been led to another import meanwhile (`switch`). The
//! RELEASE is then owed by such a message, with the room that was promised for it, and handed to
//! the next one that names the export, or sent, when the fate of the first is known. So nothing
//! needs memory.

use norma_ipc::{Page, PageSource};
use norma_wire::control::Control;
use norma_wire::descriptor::{Kind, Origin, Repr};

use crate::node::Node;
use crate::outbound::Packed;
use crate::session::Session;

/// Whether it names an export of the peer to which send rights lead.
fn names(repr: &Repr, index: u32) -> bool {
    repr.origin == Origin::Receiver && repr.kind == Kind::Send && repr.index == index
}

impl<P: Page> Session<P> {
    /// Gives `count` rights to an export of the peer back, for which a RELEASE was promised: now,
    /// or when no message names the export any more.
    pub(crate) fn give_back(&mut self, export: u32, count: u32) {
        if count > 0 {
            let messages = self.out.messages.iter_mut();
            let named = messages
                .flat_map(|outbound| &mut outbound.rights)
                .find(|packed| names(&packed.repr, export));
            match named {
                Some(packed) => {
                    if packed.owed == 0 {
                        packed.owed = count;
                        return;
                    }
                    packed.owed += count;
                }
                None => self.out.control(Control::Release { export, count }),
            }
        }
        self.out.forgive(1);
    }
}

impl<S: PageSource> Node<S> {
    /// The fate of a message is known in which this right was.
    #[inline]
    pub(crate) fn pay(&mut self, place: u32, packed: &Packed) {
        if packed.owed > 0
            && let Some(session) = self.sessions.get_mut(place)
        {
            session.give_back(packed.repr.index, packed.owed);
            self.list(place);
        }
    }
}
