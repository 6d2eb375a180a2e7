//! Ports: a bounded queue, the references to it, and who waits at it.

use alloc::collections::VecDeque;

use crate::error::{NoMemory, Reason};
use crate::limits::DEFAULT_QUEUE_LIMIT;
use crate::message::{Arrival, Message};
use crate::name::Name;
use crate::request::{About, RequestId, Requests};
use crate::set::Membership;
use crate::space::SpaceId;
use crate::wait::{List, Notification, ThreadId, Waiter};

/// A port, for layers inside the kernel. It names and does not hold: a stale one denotes
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl PortId {
    /// Denotes nothing: no port has generation 0.
    pub(crate) const NONE: PortId = PortId {
        index: u32::MAX,
        generation: 0,
    };

    /// Its place in the table of ports, and how many ports have had that: to be shown.
    #[inline(always)]
    pub fn numbers(self) -> (u32, u32) {
        (self.index, self.generation)
    }
}

/// What the network layer calls a right on another node: opaque here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteToken(pub u64);

impl RemoteToken {
    /// Leads nowhere: no layer gives it a meaning.
    pub const NOWHERE: RemoteToken = RemoteToken(u64::MAX);
}

/// Where a port's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Into its queue: the receive right is on this node (the port is a principal).
    Queue,
    /// To another node: the port is a proxy.
    Remote(RemoteToken),
}

/// What the network layer calls a port that other nodes know: opaque here. A port keeps its
/// label for life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Label {
    /// The same on every node; 0 for a port that no other node has heard of.
    pub identity: u64,
    /// How often its receive right has gone from node to node, as far as is known here.
    pub moves: u16,
}

/// Whether a stand-in stays when its last right is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It goes then.
    No,
    /// It stays, and the layer above is told.
    Yes,
    /// The same, and it was told.
    Told,
}

bitflags::bitflags! {
    /// Why nothing goes through a stand-in now, whatever its limit says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Barred: u8 {
        /// The layer above refused for now to carry more.
        const HELD_BACK = 1;
        /// The receive right is here, but not yet all that was queued where it came from.
        const ARRIVING = 2;
        /// The receive right has left, and not yet all that was queued then.
        const BACKLOG = 4;
    }
}

/// Who has the receive right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// For the audit and for debuggers.
    Space(SpaceId, Name),
    /// It is in a message or in the hands of the layer above.
    Transit,
    /// It is in the queue of that port.
    Queued(PortId),
    /// It is this thread's reply port.
    Thread,
    /// Nobody on this node: the port is a proxy, or its receive right is gone.
    Elsewhere,
}

#[derive(Debug)]
pub(crate) enum Queued<P> {
    Message(Message<P>),
    Notification(Notification),
}

#[derive(Debug)]
pub(crate) struct Port<P> {
    pub(crate) dead: Option<Reason>,
    pub(crate) sink: Sink,
    pub(crate) holder: Holder,
    pub(crate) queue: VecDeque<Queued<P>>,
    pub(crate) limit: u16,
    /// Messages under way to the other node (proxies only); bounded by `limit` as a queue is.
    pub(crate) under_way: u16,
    /// Whether senders wait in any case (proxies only).
    pub(crate) barred: Barred,
    pub(crate) sends: u32,
    /// Those of the send rights that nobody can use: the layer above keeps the record by them.
    pub(crate) pins: u32,
    /// The last sender has gone, but who has a pin may have some that are not counted: it is
    /// looked at again when the last pin has gone.
    pub(crate) overdue: bool,
    pub(crate) send_onces: u32,
    /// Those of the send-once rights that others hold on the node from which the receive right
    /// came: the layer above has their number, and no [`crate::Right`] for each.
    pub(crate) lent: u32,
    /// How many items, the first of the queue, were there when the receive right left (proxies
    /// only); what is behind them came by send-once rights since.
    pub(crate) backlog: u32,
    /// Where what comes by send-once rights goes (proxies only): still there when send rights
    /// have been given another sink.
    pub(crate) onces_to: RemoteToken,
    /// It stands in for one send-once right, and for nothing else (`seat.rs`).
    pub(crate) is_seat: bool,
    /// How many send rights were made from the receive right since it came where it is.
    pub(crate) make_sends: u32,
    /// How many messages were received from it since its receive right came where it is.
    pub(crate) sequence: u32,
    pub(crate) receivers: List,
    pub(crate) senders: List,
    pub(crate) membership: Membership,
    /// The first of the requests to be told of its death, and of room in its queue.
    pub(crate) requests: Requests,
    /// The port to tell when there are no senders, or [`PortId::NONE`].
    pub(crate) no_senders: PortId,
    /// The port to which the receive right goes instead of being destroyed, or
    /// [`PortId::NONE`].
    pub(crate) destroyed: PortId,
    /// Tell the layer above when it dies.
    pub(crate) watched: bool,
    /// The two parts of its [`Label`], which in one piece would waste six bytes of each port.
    pub(crate) identity: u64,
    pub(crate) moves: u16,
    /// For stand-ins.
    pub(crate) keep: Keep,
    /// Tell the layer above when the queue has room.
    pub(crate) room_wanted: bool,
    /// Its [`crate::Event::Room`] is in the queue of events.
    pub(crate) room_told: bool,
    /// Its [`crate::Event::Carry`] is in the queue of events.
    pub(crate) carry_told: bool,
    /// It is in the list of ports whose queues are being emptied.
    pub(crate) doomed: bool,
    /// Next in that list, or [`PortId::NONE`].
    pub(crate) next_doomed: PortId,
}

impl<P> Port<P> {
    pub(crate) const fn new(sink: Sink, holder: Holder) -> Self {
        Port {
            dead: None,
            sink,
            holder,
            queue: VecDeque::new(),
            limit: DEFAULT_QUEUE_LIMIT,
            under_way: 0,
            barred: Barred::empty(),
            sends: 0,
            pins: 0,
            overdue: false,
            send_onces: 0,
            lent: 0,
            backlog: 0,
            onces_to: match sink {
                Sink::Remote(token) => token,
                Sink::Queue => RemoteToken::NOWHERE,
            },
            is_seat: false,
            make_sends: 0,
            sequence: 0,
            receivers: List::new(),
            senders: List::new(),
            membership: Membership::NONE,
            requests: Requests::NONE,
            no_senders: PortId::NONE,
            destroyed: PortId::NONE,
            watched: false,
            identity: 0,
            moves: 0,
            keep: Keep::No,
            room_wanted: false,
            room_told: false,
            carry_told: false,
            doomed: false,
            next_doomed: PortId::NONE,
        }
    }

    /// What the space that holds its receive right calls it.
    #[inline]
    pub(crate) fn name(&self) -> Option<Name> {
        match self.holder {
            Holder::Space(_, name) => Some(name),
            _ => None,
        }
    }

    /// What the space of its receive right calls it, or 0.
    #[inline]
    pub(crate) fn raw_name(&self) -> u32 {
        self.name().map_or(0, Name::raw)
    }

    /// Notes on a message that it is received from here, as which one.
    #[inline]
    pub(crate) fn stamp(&mut self, message: &mut Message<P>) {
        message.body_mut().arrival = Arrival {
            port: self.raw_name(),
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Gives a message to `first`, the thread that has waited longest.
    #[inline(always)]
    pub(crate) fn hand_to(
        &mut self,
        waiters: &mut [Waiter<P>],
        first: u32,
        message: Message<P>,
    ) -> ThreadId {
        self.receivers.remove_first(waiters, first);
        self.give(waiters, first, message)
    }

    /// Gives a message to a thread that has left the list in which it waited.
    #[inline(always)]
    pub(crate) fn give(
        &mut self,
        waiters: &mut [Waiter<P>],
        thread: u32,
        mut message: Message<P>,
    ) -> ThreadId {
        self.stamp(&mut message);
        waiters[thread as usize].hand(message);
        ThreadId(thread)
    }

    /// Whether anybody asked to be told of room in its queue.
    #[inline]
    pub(crate) fn wants_room(&self) -> bool {
        self.room_wanted || self.requests.about(About::Room) != RequestId::NONE
    }

    /// One more send right.
    #[inline]
    pub(crate) fn make_send(&mut self) -> Result<(), NoMemory> {
        self.sends = self.sends.checked_add(1).ok_or(NoMemory)?;
        Ok(())
    }

    /// One more send-once right, with a place in the queue for what becomes of it.
    #[inline]
    pub(crate) fn make_send_once(&mut self) -> Result<(), NoMemory> {
        self.reserve_place()?;
        self.send_onces += 1;
        Ok(())
    }

    /// Makes sure that the queue has one place besides those of the send-once rights.
    #[inline]
    pub(crate) fn reserve_place(&mut self) -> Result<(), NoMemory> {
        let places = self.send_onces as usize + 1;
        if self.queue.capacity() - self.queue.len() >= places {
            return Ok(());
        }
        self.queue.try_reserve(places).map_err(|_| NoMemory)
    }

    /// Whether a stand-in serves nobody.
    pub(crate) fn is_unused(&self) -> bool {
        self.sends == 0
            && self.send_onces == 0
            && self.holder == Holder::Elsewhere
            && self.senders.is_empty()
            && self.queue.is_empty()
    }

    /// Whether an ordinary message is refused now.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match self.sink {
            Sink::Queue => self.queue.len() >= self.limit as usize,
            Sink::Remote(_) => !self.barred.is_empty() || self.under_way >= self.limit,
        }
    }
}
