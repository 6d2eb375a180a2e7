//! Names checked in on this node, and what happens when another node has checked in the same.
//!
//! A name has a FLIP address that follows from the cluster and the name. The node where it is
//! checked in registers that address, so that LOCATE finds the node without a server in the
//! middle, and announces it, so that nobody who waits for it has to ask all the time.
//!
//! A check-in does not wait: it counts at once on this node and for whoever asks it. For a
//! second the claim is **tentative**, then it is **settled**. Two nodes that have the same name
//! hear each other's announcements. A settled claim is better than a tentative one; else that
//! of the node with the lower address is. The holder of the better one announces it again; the
//! other asks him whether he has the name, and if so gives it up. So exactly one claim stays,
//! whatever is lost or delayed: a claim only ever improves, by becoming settled, so that of two
//! neither gives up for the sake of a claim that gave up for its own.
//!
//! Owns the entries, their announcements and their end. Leaves to others: asking (`lookups`).

use alloc::vec::Vec;

use norma_flip::{Address, Instant, PrivateAddress};
use norma_ipc::{Message, Name, PageSource, PortId, Reason, Right, RightError, SpaceId, ThreadId};
use norma_wire::hash;

use crate::limits::{
    ANNOUNCE_AGAIN, ANNOUNCE_CLAIM, ANNOUNCE_LATER, CLAIM_SETTLES, DEFEND_AGAIN, MAX_NAME,
    MAX_NAMES,
};
use crate::lookups::Want;
use crate::node::Node;
use crate::service::answer;

/// The FLIP address space of names.
const NAME_SPACE: u8 = b'N';

/// The FLIP address space of the names of nodes, which nobody can check in.
const NODE_SPACE: u8 = b'H';

pub(crate) type Text = heapless::String<MAX_NAME>;

/// Why a name was not checked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckInError {
    /// The name is empty or longer than [`MAX_NAME`] bytes.
    BadName,
    /// This node has checked that name in already.
    Taken,
    /// The right is not a live send right.
    Right(RightError),
    /// There are [`MAX_NAMES`] names, or no memory.
    Full,
}

impl core::fmt::Display for CheckInError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CheckInError::BadName => write!(f, "a name has 1 to {MAX_NAME} bytes"),
            CheckInError::Taken => f.write_str("this node has checked that name in already"),
            CheckInError::Right(error) => error.fmt(f),
            CheckInError::Full => write!(f, "{MAX_NAMES} names are checked in, or out of memory"),
        }
    }
}

impl core::error::Error for CheckInError {}

/// Who wants to hear what becomes of a check-in.
#[derive(Debug, Default)]
pub struct Interest {
    /// Gets a message with the identifier [`crate::NAME_TAKEN`] and the name of the node that
    /// has the name when this one has lost it. If the name is checked out, or its port dies, the
    /// right is given up unused.
    pub lost: Option<Right>,
    /// Gets the same, or a message with the identifier 0 when the claim is settled.
    pub settled: Option<Right>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    text: Text,
    right: Right,
    port: PortId,
    address: Address,
    interest: Interest,
    settled: bool,
    /// When it was checked in.
    since: Instant,
    /// When it was last announced.
    announced: Instant,
    /// When there is something to do about it.
    due: Instant,
    /// A node that says that it has the better claim is being asked.
    doubted: bool,
}

#[derive(Debug)]
pub(crate) struct Names(Vec<Entry>);

impl Names {
    pub(crate) const fn new() -> Self {
        Names(Vec::new())
    }

    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.0.iter().flat_map(|entry| {
            let Interest { lost, settled } = &entry.interest;
            core::iter::once(&entry.right).chain(lost).chain(settled)
        })
    }

    /// When there is something to do.
    pub(crate) fn next(&self) -> Instant {
        let due = self.0.iter().map(|entry| entry.due).min();
        due.unwrap_or(Instant::NEVER)
    }

    /// The first name of a port.
    pub(crate) fn of_port(&self, port: PortId) -> Option<&str> {
        let entry = self.0.iter().find(|entry| entry.port == port);
        entry.map(|entry| entry.text.as_str())
    }

    fn of(&mut self, text: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.text == text)
    }
}

/// The private address of a name in a space: whoever knows the name knows it.
fn address_of(cluster: &[u8; 16], space: u8, context: &str, text: &str) -> PrivateAddress {
    let mut material = heapless::Vec::<u8, { 16 + MAX_NAME }>::new();
    // It fits: a text has at most MAX_NAME bytes.
    let _ = material.extend_from_slice(cluster);
    let _ = material.extend_from_slice(text.as_bytes());
    let hash = hash::derive(context, &material);
    PrivateAddress::new(space, u64::from_le_bytes(hash.as_chunks().0[0]))
}

/// The private address of a name of a cluster (W-58).
fn name_address(cluster: &[u8; 16], text: &str) -> PrivateAddress {
    address_of(cluster, NAME_SPACE, "norma name address v1", text)
}

/// The same of a node's own name (W-96).
fn node_address(cluster: &[u8; 16], name: &str) -> PrivateAddress {
    address_of(cluster, NODE_SPACE, "norma node name address v1", name)
}

impl<S: PageSource> Node<S> {
    pub(crate) fn name_address(&self, text: &Text) -> PrivateAddress {
        name_address(&self.config.cluster, text)
    }

    pub(crate) fn node_address(&self, name: &str) -> PrivateAddress {
        node_address(&self.config.cluster, name)
    }

    /// Makes a copy of the send right under `name` known to the whole cluster as `text`.
    ///
    /// It is known at once. Should another node have the same name, one of the two loses it, as
    /// the head of this file says.
    ///
    /// # Errors
    /// [`CheckInError`].
    pub fn check_in(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        text: &str,
    ) -> Result<(), CheckInError> {
        self.check_in_telling(now, space, name, text, Interest::default())
            .map_err(|(error, _)| error)
    }

    /// As [`Node::check_in`], and `interest` hears what becomes of it.
    ///
    /// # Errors
    /// [`CheckInError`], with `interest`.
    pub fn check_in_telling(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        text: &str,
        interest: Interest,
    ) -> Result<(), (CheckInError, Interest)> {
        let entry = match self.entry(now, space, name, text) {
            Ok(entry) => Entry { interest, ..entry },
            Err(error) => return Err((error, interest)),
        };
        self.ipc.watch(entry.port);
        let address = entry.address;
        self.names.0.push(entry); // In the room that was made.
        self.names_due(now);
        self.name_is_here(now, address);
        Ok(())
    }

    /// An entry, with its address registered and room for it made.
    fn entry(
        &mut self,
        now: Instant,
        space: SpaceId,
        name: Name,
        text: &str,
    ) -> Result<Entry, CheckInError> {
        let text = short(text).ok_or(CheckInError::BadName)?;
        if self.names.of(&text).is_some() {
            return Err(CheckInError::Taken);
        }
        if self.names.0.len() >= MAX_NAMES || self.names.0.try_reserve(1).is_err() {
            return Err(CheckInError::Full);
        }
        let right = self
            .ipc
            .copy_send(space, name)
            .map_err(CheckInError::Right)?;
        let registered = self.flip.register(self.name_address(&text));
        let (Ok(address), Some(port)) = (registered, right.port()) else {
            self.ipc.release(right);
            return Err(CheckInError::Full);
        };
        Ok(Entry {
            text,
            right,
            port,
            address,
            interest: Interest::default(),
            settled: false,
            since: now,
            announced: now,
            due: now,
            doubted: false,
        })
    }

    /// As [`Node::check_in`], for a thread that waits to hear whether the name is its own: at
    /// its reply port arrives a message with the identifier 0 when the claim is settled, after a
    /// second, or [`crate::NAME_TAKEN`] with the name of the node that has the name.
    ///
    /// # Errors
    /// [`CheckInError`].
    pub fn claim(
        &mut self,
        now: Instant,
        thread: ThreadId,
        space: SpaceId,
        name: Name,
        text: &str,
    ) -> Result<(), CheckInError> {
        let reply = self.ipc.make_reply_right(thread);
        let interest = Interest {
            lost: None,
            settled: Some(reply.map_err(CheckInError::Right)?),
        };
        self.check_in_telling(now, space, name, text, interest)
            .map_err(|(error, interest)| {
                if let Some(right) = interest.settled {
                    self.ipc.retract(right);
                }
                error
            })
    }

    /// Forgets a name. Tells whether it was checked in here.
    pub fn check_out(&mut self, text: &str) -> bool {
        let place = self.names.0.iter().position(|entry| entry.text == text);
        let entry = place.map(|place| self.remove_entry(place));
        let found = entry.is_some();
        if let Some(Interest { lost, settled }) = entry {
            for right in lost.into_iter().chain(settled) {
                self.ipc.release(right);
            }
        }
        found
    }

    fn remove_entry(&mut self, place: usize) -> Interest {
        let entry = self.names.0.swap_remove(place);
        self.flip.unregister(entry.address);
        self.ipc.release(entry.right);
        entry.interest
    }

    /// A port that was checked in is dead: nobody finds it any more.
    pub(crate) fn named_port_died(&mut self, port: PortId) {
        while let Some(place) = self.names.0.iter().position(|entry| entry.port == port) {
            let Interest { lost, settled } = self.remove_entry(place);
            for right in lost.into_iter().chain(settled) {
                self.ipc.release_because(right, Reason::Destroyed);
            }
        }
    }

    /// A send right to what is checked in here as `text`.
    pub(crate) fn find_name(&mut self, text: &str) -> Option<Right> {
        let port = self.names.of(text)?.port;
        self.ipc.add_send(port).ok()
    }

    /// What is checked in here as `text`, for somebody who asks this node in particular.
    pub fn find_here(&mut self, text: &str) -> Option<Right> {
        self.find_name(text)
    }

    /// The same by the name's address.
    pub(crate) fn find_address(&mut self, address: Address) -> Option<Right> {
        let mut entries = self.names.0.iter();
        let port = entries.find(|entry| entry.address == address)?.port;
        self.ipc.add_send(port).ok()
    }

    /// Another node asks for a name of ours.
    pub(crate) fn answer_look_up(&mut self, now: Instant, mut message: Message<S::Page>) {
        let text = core::str::from_utf8(message.data()).ok().and_then(short);
        let found = text.as_ref().and_then(|text| self.find_name(text));
        if found.is_some()
            && let Some(entry) = text.and_then(|text| self.names.of(&text))
            && entry.settled
            && now >= entry.announced + ANNOUNCE_LATER
        {
            // Since it was last announced a partition may have healed, and brought another one.
            entry.due = now;
            self.names_due(now);
        }
        self.fill_answer(&mut message, found);
        self.answer(now, message);
    }

    /// What time brings to names.
    pub(crate) fn names_timeout(&mut self, now: Instant) {
        for place in 0..self.names.0.len() {
            let Some(entry) = self.names.0.get_mut(place) else {
                break;
            };
            if entry.due > now {
                continue;
            }
            let settles = entry.since + CLAIM_SETTLES;
            let settled = core::mem::replace(&mut entry.settled, now >= settles);
            let (address, is_settled) = (entry.address, entry.settled);
            entry.due = match self.flip.announce(now, address, is_settled) {
                Err(_) => now + DEFEND_AGAIN,
                Ok(()) if is_settled => Instant::NEVER,
                Ok(()) if entry.interest.settled.is_some() => settles.min(now + ANNOUNCE_CLAIM),
                Ok(()) => settles.min(now + ANNOUNCE_AGAIN),
            };
            entry.announced = now;
            if is_settled
                && !settled
                && let Some(waiting) = entry.interest.settled.take()
            {
                self.tell(now, waiting, answer::DONE, &[]);
            }
        }
    }

    /// Somebody says that he has an address. If it is of a name of ours, one of us two is wrong.
    pub(crate) fn rival_announced(
        &mut self,
        now: Instant,
        address: Address,
        node: Address,
        settled: bool,
    ) {
        let own = self.address;
        let mut entries = self.names.0.iter_mut();
        let Some(entry) = entries.find(|entry| entry.address == address) else {
            return;
        };
        let better = (!entry.settled, own.0) < (!settled, node.0);
        if better {
            // Now, or as soon as that is not too often.
            entry.due = entry.due.min(now.max(entry.announced + DEFEND_AGAIN));
            return self.names_due(now);
        }
        if !core::mem::replace(&mut entry.doubted, true) {
            let text = entry.text.clone();
            if !self.ask_rival(now, Want::Rival(text), node) {
                self.rival_answered(now, address, None);
            }
        }
    }

    /// A node that announced a name of ours was asked for it: `Some` of its name if it has it.
    pub(crate) fn rival_answered(&mut self, now: Instant, address: Address, has: Option<&str>) {
        let entries = &mut self.names.0;
        let Some(place) = entries.iter().position(|entry| entry.address == address) else {
            return;
        };
        let Some(node) = has else {
            // He gave the name up meanwhile, or cannot be reached: then he can do without ours.
            entries[place].doubted = false;
            return;
        };
        let Interest { lost, settled } = self.remove_entry(place);
        for right in lost.into_iter().chain(settled) {
            self.tell(now, right, answer::TAKEN, node.as_bytes());
        }
    }

    /// There may be something to do about names from `due` on.
    pub(crate) fn names_due(&mut self, due: Instant) {
        self.deadline = self.deadline.min(due);
    }
}

/// A text that can be a name.
pub(crate) fn short(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::try_from(text).ok())?
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::node::Config;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    /// The examples of W-57, W-58 and W-96: a change of what is hashed would part new nodes from
    /// old ones.
    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn identities_and_addresses_are_the_documented_ones() {
        let root = env!("CARGO_MANIFEST_DIR");
        let document = std::fs::read_to_string(format!("{root}/../../docs/wire.md")).unwrap();
        let documented = |rule: &str, value: &str| {
            let rule = format!("**{rule}**");
            let mut lines = document.lines();
            let line = lines.find(|line| line.starts_with(&rule)).unwrap();
            assert!(line.contains(value), "{rule} does not say {value}");
        };
        let cluster = Config::cluster_identity("example");
        let bytes: Vec<String> = cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        documented("W-57", &bytes.join(" "));
        for (rule, private) in [
            ("W-58", name_address(&cluster, "echo")),
            ("W-96", node_address(&cluster, "a")),
        ] {
            documented(rule, &format!("{:#018x}", private.to_u64()));
            documented(rule, &format!("{:#018x}", private.image().0));
        }
    }
}
