//! The network-wide name service, in its simplest form.
//!
//! A name has a FLIP address that follows from the cluster and the name. The node where it is
//! checked in registers that address, so that LOCATE finds the node without a server in the
//! middle; then the node is asked, over a session, and its answer carries the send right.
//!
//! To look a name up is to make a call: the answer, or the news that there is none, comes to
//! the thread's reply port like any other reply.

use alloc::vec::Vec;

use norma_flip::{Address, Instant, PrivateAddress};
use norma_ipc::{Message, Name, PageSource, Reason, Right, RightError, SpaceId, ThreadId};
use norma_wire::hash;

use crate::carry::Target;
use crate::limits::{MAX_LOOKUPS, MAX_NAME, MAX_NAMES};
use crate::node::Node;
use crate::service::{answer, operation};

/// The FLIP address space of names.
const NAME_SPACE: u8 = b'N';

/// Identifier of an answer that says that the name is not known.
pub const NAME_UNKNOWN: u32 = answer::UNKNOWN;

type Text = heapless::String<MAX_NAME>;

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

/// What a look-up found so far.
#[derive(Debug)]
#[must_use]
pub enum LookUp {
    /// The name is checked in on this node.
    Found(Right),
    /// The answer will come to the thread's reply port: [`norma_ipc::Ipc::await_reply`].
    Asked,
}

#[derive(Debug)]
struct Entry {
    text: Text,
    right: Right,
    address: Address,
}

#[derive(Debug)]
pub(crate) struct Names(Vec<Entry>);

impl Names {
    pub(crate) const fn new() -> Self {
        Names(Vec::new())
    }

    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.0.iter().map(|entry| &entry.right)
    }
}

#[derive(Debug)]
struct Asking {
    text: Text,
    target: Address,
    reply: Right,
    /// The session that is being connected for it.
    place: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Lookups(Vec<Asking>);

impl Lookups {
    pub(crate) const fn new() -> Self {
        Lookups(Vec::new())
    }

    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.0.iter().map(|asking| &asking.reply)
    }
}

impl<S: PageSource> Node<S> {
    fn name_address(&self, text: &Text) -> PrivateAddress {
        let cluster = &self.config.cluster;
        let mut material = [0; 16 + MAX_NAME];
        let material = &mut material[..16 + text.len()];
        material[..16].copy_from_slice(cluster);
        material[16..].copy_from_slice(text.as_bytes());
        let hash = hash::derive("norma name address v1", material);
        PrivateAddress::new(NAME_SPACE, u64::from_le_bytes(hash.as_chunks().0[0]))
    }

    /// Makes a copy of the send right under `name` known to the whole cluster as `text`.
    ///
    /// # Errors
    /// [`CheckInError`].
    pub fn check_in(&mut self, space: SpaceId, name: Name, text: &str) -> Result<(), CheckInError> {
        let short = Text::try_from(text).map_err(|_| CheckInError::BadName)?;
        if text.is_empty() {
            return Err(CheckInError::BadName);
        }
        self.forget_dead_name(text);
        if self.names.0.iter().any(|entry| entry.text == text) {
            return Err(CheckInError::Taken);
        }
        if self.names.0.len() >= MAX_NAMES || self.names.0.try_reserve(1).is_err() {
            return Err(CheckInError::Full);
        }
        let right = self
            .ipc
            .copy_send(space, name)
            .map_err(CheckInError::Right)?;
        match self.flip.register(self.name_address(&short)) {
            Ok(address) => {
                self.names.0.push(Entry {
                    text: short,
                    right,
                    address,
                });
                Ok(())
            }
            Err(_) => {
                self.ipc.release(right);
                Err(CheckInError::Full)
            }
        }
    }

    /// Forgets a name. Tells whether it was checked in here.
    pub fn check_out(&mut self, text: &str) -> bool {
        let Some(index) = self.names.0.iter().position(|entry| entry.text == text) else {
            return false;
        };
        let entry = self.names.0.swap_remove(index);
        self.flip.unregister(entry.address);
        self.ipc.release(entry.right);
        true
    }

    fn forget_dead_name(&mut self, text: &str) {
        let entry = self.names.0.iter().find(|entry| entry.text == text);
        let port = entry.and_then(|entry| entry.right.port());
        if port.is_some_and(|port| self.ipc.sink(port).is_err()) {
            self.check_out(text);
        }
    }

    fn find_name(&mut self, text: &str) -> Option<Right> {
        self.forget_dead_name(text);
        let port = self
            .names
            .0
            .iter()
            .find(|entry| entry.text == text)?
            .right
            .port()?;
        self.ipc.add_send(port).ok()
    }

    /// Looks a name up for `thread`: on this node, else in the cluster.
    ///
    /// An answer from the cluster is a message with the identifier 0 and one send right, or
    /// with the identifier [`NAME_UNKNOWN`]; if nobody answers at all, the reply port is told
    /// [`Reason::NameUnknown`]. Both come within about a second.
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for a text that cannot be a name, [`RightError::NoMemory`].
    pub fn look_up(
        &mut self,
        now: Instant,
        thread: ThreadId,
        text: &str,
    ) -> Result<LookUp, RightError> {
        let short = Text::try_from(text).map_err(|_| RightError::InvalidName)?;
        if text.is_empty() {
            return Err(RightError::InvalidName);
        }
        if let Some(right) = self.find_name(text) {
            return Ok(LookUp::Found(right));
        }
        let lookups = &mut self.lookups.0;
        if lookups.len() >= MAX_LOOKUPS || lookups.try_reserve(1).is_err() {
            return Err(RightError::NoMemory);
        }
        let reply = self.ipc.make_reply_right(thread)?;
        let target = self.name_address(&short).image();
        self.lookups.0.push(Asking {
            text: short,
            target,
            reply,
            place: None,
        });
        self.seek(now, target);
        Ok(LookUp::Asked)
    }

    /// Somebody holds the address: say HELLO to it.
    pub(crate) fn name_located(&mut self, now: Instant, target: Address) {
        let waits = |asking: &Asking| asking.target == target && asking.place.is_none();
        if !self.lookups.0.iter().any(waits) {
            return;
        }
        match self.connect(now, target) {
            Some(place) => {
                for asking in self.lookups.0.iter_mut().filter(|asking| waits(asking)) {
                    asking.place = Some(place);
                }
            }
            None => self.fail_lookups(target, Reason::NoMemory),
        }
    }

    /// Nobody holds the address, or whoever does never answered.
    pub(crate) fn fail_lookups(&mut self, target: Address, reason: Reason) {
        while let Some(index) = self
            .lookups
            .0
            .iter()
            .position(|asking| asking.target == target)
        {
            let asking = self.lookups.0.swap_remove(index);
            self.ipc.release_because(asking.reply, reason);
        }
    }

    /// What waited for the session at `before` asks over the one at `place`.
    pub(crate) fn connected(&mut self, now: Instant, before: u32, place: u32) {
        while let Some(index) = self
            .lookups
            .0
            .iter()
            .position(|asking| asking.place == Some(before))
        {
            let asking = self.lookups.0.swap_remove(index);
            self.ask(now, place, asking);
        }
    }

    fn ask(&mut self, now: Instant, place: u32, asking: Asking) {
        let Ok(mut message) = self.ipc.new_message() else {
            return self.ipc.release_because(asking.reply, Reason::NoMemory);
        };
        message.set_id(operation::LOOK_UP);
        let filled = message.set_data(asking.text.as_bytes());
        // A fresh message has no reply right yet.
        let _ = message.set_reply(asking.reply);
        message.set_expects_reply(true);
        let sent = match filled {
            Ok(()) => self
                .dispatch(now, place, Target::NodeService, message)
                .map_err(|error| error.message),
            Err(_) => Err(message),
        };
        if let Err(message) = sent {
            self.ipc.discard_because(message, Reason::NoMemory);
        }
    }

    /// Another node asks for a name of ours.
    pub(crate) fn answer_look_up(&mut self, now: Instant, mut message: Message<S::Page>) {
        let mut text = Text::new();
        let known = core::str::from_utf8(message.data())
            .ok()
            .and_then(|t| text.push_str(t).ok());
        let found = known.and_then(|()| self.find_name(&text));
        message.clear_data();
        message.set_id(if found.is_some() {
            answer::DONE
        } else {
            answer::UNKNOWN
        });
        if let Some(right) = found
            && let Err(right) = message.push_right(right)
        {
            self.ipc.release(right);
            message.set_id(answer::UNKNOWN);
        }
        self.answer(now, message);
    }
}
