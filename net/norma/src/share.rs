//! Sharing the receive buffers: how many frames each peer may have under way to this node.
//!
//! Half of the buffers are shared evenly among all peers, so that each can begin at once; the
//! other half among those who send. Who that is is seen now and then, when a session looks at
//! its deadlines anyway: there is no timer for it. So what all peers may send together never
//! exceeds the buffers, as long as there is one for each.
//!
//! Source: credits that the receiver gives, against storms of many senders, as in Kalia, Kaminsky
//! and Andersen, "Datacenter RPCs can be General and Fast" (2019); there they are for the
//! switch's sake, here for the receiver's.

use norma_ipc::PageSource;
use norma_wire::session::{credit_frames, credit_of};

use crate::limits::{ACKNOWLEDGE_EVERY, MAX_CREDIT};
use crate::node::Node;
use crate::session::{Session, State};

impl<S: PageSource> Node<S> {
    /// Shares the receive buffers among the sessions that there are now (W-81).
    pub(crate) fn share_buffers(&mut self) {
        let established = |session: &Session<S::Page>| session.state == State::Established;
        let mut sessions = 0;
        let mut active = 0;
        for (_, session) in self.sessions.iter() {
            sessions += u32::from(established(session));
            active += u32::from(established(session) && session.active);
        }
        let buffers = u32::from(self.config.receive_buffers);
        let each = buffers / 2 / sessions.max(1);
        let more = (buffers - buffers / 2) / active.max(1);
        for place in 0..self.sessions.places() {
            if let Some(session) = self.sessions.get_mut(place)
                && established(session)
            {
                session.give(if session.active { each + more } else { each });
            }
        }
    }

    /// How many frames each peer may have under way, for tools and tests.
    pub fn credits(&self) -> impl Iterator<Item = u32> {
        let sessions = self.sessions.iter().map(|(_, session)| session);
        let established = sessions.filter(|session| session.state == State::Established);
        established.map(|session| credit_frames(session.credit))
    }

    /// What each of so many sessions may have.
    pub(crate) fn share_of(&self, sessions: usize) -> u32 {
        u32::from(self.config.receive_buffers) / sessions.max(1) as u32
    }

    /// Sees who has sent since the last time, and shares anew.
    pub(crate) fn share_buffers_anew(&mut self) {
        if self.by_peer.len() < 2 {
            return;
        }
        let mut changed = false;
        for place in 0..self.sessions.places() {
            if let Some(session) = self.sessions.get_mut(place) {
                let next = session.inbox.window.next();
                let active = next != session.counted || session.inbox.window.has_gap();
                session.counted = next;
                changed |= active != session.active;
                session.active = active;
            }
        }
        if changed {
            self.share_buffers();
        }
    }
}

impl<P> Session<P> {
    /// The peer may have so many frames under way from now on: it hears of it with the next
    /// frame.
    pub(crate) fn give(&mut self, frames: u32) {
        let frames = frames.clamp(1, MAX_CREDIT);
        self.credit = credit_of(frames);
        // Half of it at most: the other half is on its way while the acknowledgement is, and a
        // stream does not stall.
        let every = frames.div_ceil(2).min(ACKNOWLEDGE_EVERY) as u8;
        self.usual_every = every;
        self.every = every;
    }
}
