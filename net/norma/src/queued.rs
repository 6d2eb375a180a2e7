//! What came to a stand-in by a send-once right: it lies in the queue of the stand-in until it
//! is carried from here.
//!
//! Leaves to others: messages to send rights, which never lie there (`carry`).

use norma_flip::Instant;
use norma_ipc::{Carried, Delivery, PageSource, PortId, Reason};

use crate::node::Node;
use crate::rights::parse_token;

impl<S: PageSource> Node<S> {
    /// Carries all that lies at a stand-in. News of the kernel's own says to another node only
    /// that no reply will come.
    pub(crate) fn carry_queued(&mut self, port: PortId) {
        while let Some(Carried { token, what, .. }) = self.ipc.next_queued(port) {
            let message = match what {
                Delivery::Message(message) => message,
                news => {
                    self.ipc.discard_delivery(news);
                    self.unanswered(token);
                    continue;
                }
            };
            // Whoever asks does not know the time; that of the last frame does as well.
            let (place, ..) = parse_token(token);
            let session = self.sessions.get(place);
            let now = session.map_or(Instant::ZERO, |session| session.liveness.heard_at());
            if let Err(refused) = self.forward(now, token, None, message) {
                self.ipc
                    .discard_because(refused.message, Reason::Unanswered);
            }
        }
    }
}
