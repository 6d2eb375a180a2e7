//! Other nodes, by their names: what they say about themselves, and threads begun on them.
//!
//! Leaves to others: finding a node (the kernel), and answering (its kernel).

use crate::failure::{CallError, Failure};
use crate::message::Message;
use crate::names::{Location, special_port};
use crate::notify::{Delivery, Notification};
use crate::rights::{ReceiveRight, SendRight};
use alloc::vec::Vec;
use core::time::Duration;
use norma_wire::hello::NodeName;
use norma_wire::special::{DEVICE_PORT, HOST_PORT, NAME_PORT, answer, device, host, name};

/// How long an answer is waited for.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(3);

/// Network cards that a node has at most.
const CARDS: usize = 4;

/// What a node says about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStatus {
    /// Where it is.
    pub location: Location,
    /// If that is the node that was asked: how many messages its queue holds before senders must
    /// wait, and how many are in it.
    pub queue: Option<(u16, u32)>,
}

/// A network card of a node.
#[derive(Debug, Clone, Copy)]
pub struct NetworkCard {
    /// Its station address.
    pub mac: [u8; 6],
    /// The largest Ethernet payload that it carries.
    pub mtu: u16,
    /// What it has counted.
    pub counters: NetCounters,
}

/// What a network card has counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetCounters {
    /// Frames that came.
    pub frames_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Frames that were sent.
    pub frames_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
}

impl PartialEq for NetworkCard {
    fn eq(&self, other: &Self) -> bool {
        (self.mac, self.mtu) == (other.mac, other.mtu)
    }
}

impl Eq for NetworkCard {}

/// The node of that name, this one or another. Nothing is asked yet.
#[must_use]
pub const fn node(name: &str) -> RemoteNode<'_> {
    RemoteNode { name }
}

/// A node, by its name: see [`node`].
#[derive(Debug, Clone, Copy)]
pub struct RemoteNode<'a> {
    name: &'a str,
}

/// What is to be known about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInformation {
    /// Its name.
    pub name: NodeName,
    /// Its FLIP address, new at each boot.
    pub address: u64,
    /// Which of its boots this is: a random number.
    pub incarnation: u64,
    /// How long it has run.
    pub uptime: Duration,
    /// Bytes of memory that are free.
    pub free_memory: u64,
    /// Threads that there are.
    pub threads: u32,
    /// Its network cards; what they count is not told here.
    pub cards: Vec<NetworkCard>,
}

impl RemoteNode<'_> {
    /// Its special port in that slot: one of the kernel's, or what a service has put there
    /// (`Node::set_special_port`).
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] if there is no such node, which takes about a second, or nothing
    /// in that slot; [`Failure::InvalidName`] for what cannot be a node's name, or a slot that
    /// no node has.
    pub fn special_port(&self, which: u32) -> Result<SendRight, Failure> {
        special_port(self.name, which)
    }

    /// What is to be known about it.
    ///
    /// # Errors
    /// As for [`RemoteNode::special_port`], and those of a call.
    pub fn information(&self) -> Result<NodeInformation, Failure> {
        let mut answer = self.ask(HOST_PORT, host::INFORMATION, Message::new()?)?;
        let mut reader = answer.read()?;
        let mut information = NodeInformation {
            name: NodeName::new(reader.text()?).unwrap_or_default(),
            address: reader.u64()?,
            incarnation: reader.u64()?,
            uptime: Duration::from_nanos(reader.u64()?),
            free_memory: reader.u64()?,
            threads: reader.u32()?,
            cards: Vec::new(),
        };
        for _ in 0..reader.list()? {
            let card = NetworkCard {
                mac: mac(reader.bytes()?),
                mtu: reader.u32()? as u16,
                counters: NetCounters::default(),
            };
            push(&mut information.cards, card)?;
        }
        Ok(information)
    }

    /// Its network cards, with what they have counted.
    ///
    /// # Errors
    /// As for [`RemoteNode::information`].
    pub fn cards(&self) -> Result<Vec<NetworkCard>, Failure> {
        let mut answer = self.ask(DEVICE_PORT, device::CARDS, Message::new()?)?;
        let mut reader = answer.read()?;
        let mut cards = Vec::new();
        for _ in 0..reader.list()? {
            let (mac, mtu) = (mac(reader.bytes()?), reader.u32()? as u16);
            let mut counts = reader.array::<u64>()?;
            let mut next = || counts.next().unwrap_or_default();
            let counters = NetCounters {
                frames_received: next(),
                bytes_received: next(),
                frames_sent: next(),
                bytes_sent: next(),
            };
            push(&mut cards, NetworkCard { mac, mtu, counters })?;
        }
        Ok(cards)
    }

    /// Where it says that the port of a right is and, if that is there, how full its queue is.
    /// The node of [`SendRight::location`] knows best.
    ///
    /// # Errors
    /// As for [`RemoteNode::information`]; [`Failure::PortDied`].
    pub fn port(&self, right: &SendRight) -> Result<PortStatus, Failure> {
        let mut message = Message::new()?;
        message.write().copy_right(right)?;
        let mut answer = self.ask(HOST_PORT, host::PORT, message)?;
        let mut reader = answer.read()?;
        let location = Location {
            node: NodeName::new(reader.text()?).unwrap_or_default(),
            address: reader.u64()?,
        };
        let queue = match reader.list()? {
            2 => Some((reader.u32()? as u16, reader.u32()?)),
            _ => None,
        };
        Ok(PortStatus { location, queue })
    }

    /// Looks up what is checked in on that very node as `name`.
    ///
    /// # Errors
    /// As for [`RemoteNode::information`]; [`Failure::NameUnknown`] also where the node does not
    /// have the name.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        let mut message = Message::new()?;
        message.write().text(name)?;
        let mut answer = self.ask(NAME_PORT, name::LOOK_UP, message)?;
        Ok(answer.read()?.send_right()?)
    }

    /// Checks a right in on that node: there it stays while its port lives, also when this node
    /// is gone.
    ///
    /// # Errors
    /// As for [`RemoteNode::information`]; [`Failure::NameTaken`], [`Failure::NotSupported`] for
    /// what cannot be a name.
    pub fn check_in(&self, name: &str, right: &SendRight) -> Result<(), Failure> {
        let mut message = Message::new()?;
        message.write().text(name)?.copy_right(right)?;
        self.ask(NAME_PORT, name::CHECK_IN, message).map(drop)
    }

    /// The right to begin threads on it at an entry (`Node::register_entry`).
    ///
    /// # Errors
    /// As for [`RemoteNode::information`]; [`Failure::NoSuchEntry`].
    pub fn entry(&self, name: &str) -> Result<RemoteEntry, Failure> {
        let mut message = Message::new()?;
        message.write().text(name)?;
        let port = self.special_port(HOST_PORT)?;
        let mut answer = ask(&port, host::ENTRY, message, Failure::NoSuchEntry)?;
        let port = answer.read()?.send_right()?;
        Ok(RemoteEntry { port })
    }

    /// Begins a thread on it at an entry, and gives it a message: [`RemoteNode::entry`] and
    /// [`RemoteEntry::spawn`].
    ///
    /// # Errors
    /// As for these; with the message, if it was not sent.
    pub fn spawn(&self, entry: &str, message: Message) -> Result<RemoteThread, CallError> {
        match self.entry(entry) {
            Ok(entry) => entry.spawn(message),
            Err(failure) => Err(CallError {
                failure,
                message: Some(message),
            }),
        }
    }

    fn ask(&self, which: u32, id: u32, message: Message) -> Result<Message, Failure> {
        let port = self.special_port(which)?;
        ask(&port, id, message, Failure::NameUnknown)
    }
}

fn ask(
    port: &SendRight,
    id: u32,
    mut message: Message,
    unknown: Failure,
) -> Result<Message, Failure> {
    message.set_id(id);
    let answer = port.call_timeout(message, LOOK_UP_PATIENCE)?;
    outcome(answer.id(), unknown)?;
    Ok(answer)
}

/// What an answer's identifier says (W-91).
fn outcome(id: u32, unknown: Failure) -> Result<(), Failure> {
    match id {
        answer::DONE => Ok(()),
        answer::UNKNOWN => Err(unknown),
        answer::TAKEN => Err(Failure::NameTaken),
        answer::NO_MEMORY => Err(Failure::NoMemory),
        answer::DEAD => Err(Failure::PortDied),
        _ => Err(Failure::NotSupported),
    }
}

/// Appends a card. More than any node has are not believed.
fn push(cards: &mut Vec<NetworkCard>, card: NetworkCard) -> Result<(), Failure> {
    if cards.len() < CARDS {
        cards.try_reserve(1).map_err(|_| Failure::NoMemory)?;
        cards.push(card);
    }
    Ok(())
}

fn mac(bytes: &[u8]) -> [u8; 6] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// The right to begin threads at an entry of a node. Whoever has it can pass it on.
#[derive(Debug)]
pub struct RemoteEntry {
    port: SendRight,
}

impl RemoteEntry {
    /// Begins a thread with a message: what is in it, rights and memory too, is the thread's.
    ///
    /// # Errors
    /// With the message, if it was not sent. Without it, the message is used up: after
    /// [`Failure::NoMemory`] no thread has begun; after [`Failure::NodeDied`] that is not known.
    pub fn spawn(&self, message: Message) -> Result<RemoteThread, CallError> {
        Self::begun(self.port.call(message)?)
    }

    /// As [`RemoteEntry::spawn`], until `timeout` has passed. Whether a thread has begun is not
    /// known then; if so, nobody has a right to it (`Start::notify_alone`).
    ///
    /// # Errors
    /// As for [`RemoteEntry::spawn`].
    pub fn spawn_timeout(
        &self,
        message: Message,
        timeout: Duration,
    ) -> Result<RemoteThread, CallError> {
        Self::begun(self.port.call_timeout(message, timeout)?)
    }

    fn begun(mut answer: Message) -> Result<RemoteThread, CallError> {
        let taken = outcome(answer.id(), Failure::NoSuchEntry).and_then(|()| answer.take_right());
        match taken.and_then(|right| right.ok_or(Failure::NotSupported)) {
            Ok(control) => Ok(RemoteThread { control }),
            Err(failure) => Err(CallError {
                failure,
                message: None,
            }),
        }
    }

    /// The right itself, to pass it on.
    pub fn into_right(self) -> SendRight {
        self.port
    }

    /// An entry, by a right that was passed on.
    pub fn from_right(port: SendRight) -> Self {
        RemoteEntry { port }
    }
}

/// A thread that was begun on another node: a right to a port that lives as long as it does.
/// Dropping it leaves the thread to itself.
#[derive(Debug)]
pub struct RemoteThread {
    control: SendRight,
}

impl RemoteThread {
    /// The right: what is sent to it the thread receives (`Start::orders`), and it dies with
    /// the thread ([`SendRight::notify_death`]).
    pub const fn control(&self) -> &SendRight {
        &self.control
    }

    /// Waits until the thread has ended, and all that it held was given up, for at most
    /// `timeout`.
    ///
    /// # Errors
    /// [`Failure::TimedOut`]; [`Failure::NodeDied`], and the thread died with it.
    pub fn wait(&self, timeout: Duration) -> Result<(), Failure> {
        let news = ReceiveRight::new()?;
        let before = self.control.notify_death(news.make_send_once()?)?;
        let told = news.receive_any_timeout(timeout);
        if told.is_err() {
            let _ = self.control.withdraw_death();
        }
        if let Some(before) = before {
            // Somebody else wanted to know; if it is dead, he is told at once.
            let _ = self.control.notify_death(before);
        }
        match told? {
            Delivery::Notification(Notification::DeadName { failure, .. }) => match failure {
                Failure::PortDied => Ok(()),
                other => Err(other),
            },
            _ => Err(Failure::Notified),
        }
    }
}
