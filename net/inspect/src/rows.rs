//! The tables, and what their rows say. (What a number says that is a code: `codes`.)
//!
//! A row is two texts and some numbers. What a number means follows from its place; new ones come
//! behind the others. A reader takes one that is not there for 0, and passes over those that it
//! does not know.

pub use crate::codes::{Holder, Kind, Stage, ThreadState, Wait, port, right};

use crate::limits::TEXT;

/// A text in a row.
pub type Text = heapless::String<TEXT>;

/// As much of a text as a row holds.
pub fn text(from: &str) -> Text {
    let mut text = Text::new();
    for letter in from.chars() {
        if text.push(letter).is_err() {
            break;
        }
    }
    text
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Table {
    /// One row: the node.
    Node = 1,
    /// Its threads.
    Threads,
    /// Its ports, stand-ins included.
    Ports,
    /// What is named in its spaces.
    Names,
    /// Its spaces.
    Spaces,
    /// Its sessions.
    Sessions,
    /// Rights that other nodes hold.
    Exports,
    /// Rights of other nodes for which ports stand in here.
    Imports,
    /// What it has counted.
    Counters,
}

impl Table {
    /// All of them, in the order of their numbers.
    pub const ALL: [Table; 9] = [
        Table::Node,
        Table::Threads,
        Table::Ports,
        Table::Names,
        Table::Spaces,
        Table::Sessions,
        Table::Exports,
        Table::Imports,
        Table::Counters,
    ];

    /// The table of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|table| *table as u32 == number)
    }
}

/// A row of a table.
pub trait Row: Sized {
    /// Which table.
    const TABLE: Table;

    /// What its texts and its numbers are called, in order.
    const NAMES: &'static [&'static str];

    /// Its texts and its numbers.
    fn parts<R>(&self, take: impl FnOnce([&str; 2], &[u64]) -> R) -> R;

    /// The reverse. A text that is too long is cut, a number that is missing is 0.
    fn from_parts(texts: [&str; 2], numbers: impl Iterator<Item = u64>) -> Self;
}

macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $row:ident {
            $(#[$first_doc:meta])* $first:ident, $(#[$second_doc:meta])* $second:ident;
            $($(#[$number_doc:meta])* $number:ident,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $row {
            $(#[$first_doc])*
            pub $first: Text,
            $(#[$second_doc])*
            pub $second: Text,
            $($(#[$number_doc])* pub $number: u64,)*
        }

        impl Row for $row {
            const TABLE: Table = Table::$row;

            const NAMES: &'static [&'static str] =
                &[stringify!($first), stringify!($second), $(stringify!($number)),*];

            fn parts<R>(&self, take: impl FnOnce([&str; 2], &[u64]) -> R) -> R {
                take([&self.$first, &self.$second], &[$(self.$number),*])
            }

            fn from_parts(texts: [&str; 2], mut numbers: impl Iterator<Item = u64>) -> Self {
                Self {
                    $first: text(texts[0]),
                    $second: text(texts[1]),
                    $($number: numbers.next().unwrap_or_default(),)*
                }
            }
        }
    )*};
}

// A row is named as its table is, so that one follows from the other.
rows! {
    /// The node.
    Node {
        /// Its name.
        name,
        /// What runs it: `kernel`, or `netmsgd`.
        platform;
        /// Its address, new at each boot.
        address,
        /// Which of its boots this is: random.
        incarnation,
        /// Nanoseconds since it was started.
        uptime,
        /// Threads.
        threads,
        /// Ports, stand-ins included.
        ports,
        /// Spaces.
        spaces,
        /// Sessions that are established.
        sessions,
    }

    /// A thread.
    Threads {
        /// Its name.
        name,
        /// The task whose thread it is; empty for the image's own.
        task;
        /// Its number.
        number,
        /// [`ThreadState`].
        state,
        /// The priority at which it runs, 0 to 7,
        priority,
        /// and its own, if that is lower: the other was lent to it.
        own_priority,
        /// [`Wait`].
        wait,
        /// For what: a port's number, or the place of a set.
        object,
        /// When it gives up waiting, in nanoseconds since the start; 0 for never.
        deadline,
        /// Bytes of its stack,
        stack,
        /// and how many of them it uses now; 0 for the one that runs.
        stack_used,
        /// The number of the port at which its answers come; 0 if it has never called.
        reply_port,
        /// Rights that it took into its image's space, in 32 bits that wrap,
        rights_taken,
        /// and those that it gave up again or sent on. A task's threads have none of either.
        rights_given_up,
        /// Nanoseconds for which it ran; 0 where that is not counted.
        ran,
    }

    /// A port.
    Ports {
        /// The name under which it is checked in here.
        name,
        /// The node for whose port it stands in.
        peer;
        /// Its number, which no other port of this node ever has: the lower 32 bits are its
        /// place.
        port,
        /// Bits of [`port`].
        flags,
        /// The session by which it stands in for another, and one; 0 if it is a port of this
        /// node.
        session,
        /// [`Holder`] of the receive right,
        holder,
        /// the place of the space, or the number of the port in whose queue it is,
        holder_space,
        /// and its name in that space.
        holder_name,
        /// Messages in its queue,
        queued,
        /// or under way to where it stands in for,
        under_way,
        /// and how many there may be.
        limit,
        /// Send rights on this node, with those that others were given by it,
        sends,
        /// and those among them that nobody can use: the sessions keep the port by them.
        pins,
        /// Send-once rights.
        send_onces,
        /// Messages received.
        received,
        /// Send rights made from the receive right.
        made,
        /// The place of the set in which it is, and one.
        set,
        /// What it is called on all nodes; 0 if none has heard of it.
        identity,
        /// How often its receive right has moved between nodes.
        moves,
        /// The slot of the node's special ports in which it is.
        slot,
    }

    /// What a name of a space denotes.
    Names {
        /// The space's, as in [`Spaces`].
        task,
        /// Nothing yet.
        reserved;
        /// The place of the space.
        space,
        /// The name.
        name,
        /// Bits of [`right`].
        flags,
        /// References to the send right.
        sends,
        /// The port's number; 0 for a set, or for a send-once right of another node.
        port,
        /// The place of the set, and one.
        set,
        /// The session by which a send-once right without a port came, and one.
        session,
    }

    /// A space: the names of a task, or of the image itself.
    Spaces {
        /// The task; `image` for the image.
        task,
        /// Nothing yet.
        reserved;
        /// Its place.
        space,
        /// How many names it has.
        names,
        /// How many it has room for before its table grows.
        places,
    }

    /// A session.
    Sessions {
        /// The peer's name.
        peer,
        /// Nothing yet.
        reserved;
        /// Its place.
        session,
        /// [`Stage`].
        state,
        /// The peer's address.
        address,
        /// The round trip in nanoseconds; 0 before the first measurement.
        round_trip,
        /// Nanoseconds since something came from the peer.
        silence,
        /// The number of the next frame to the peer,
        next_sent,
        /// and of the next one from it.
        next_received,
        /// Frames sent again.
        repeated,
        /// What part of the frames was lost lately, in 1024ths.
        loss,
        /// Frames that are sent and not acknowledged.
        under_way,
        /// Frames that may be, for the network,
        window,
        /// and for the peer.
        credit,
        /// Frames that the peer may have under way.
        credit_given,
        /// Rights that the peer holds.
        exports,
        /// Rights of the peer for which ports stand in here.
        imports,
        /// Messages that left and whose fate is not known.
        outgoing,
        /// Messages of the peer that are incomplete, or wait for their turn.
        incoming,
        /// 1 if a newer one with the same peer has taken its place.
        superseded,
    }

    /// A right that another node holds.
    Exports {
        /// That node.
        peer,
        /// Nothing yet.
        reserved;
        /// The session.
        session,
        /// The number under which it is used.
        index,
        /// The port; 0 for a right of a third node without one.
        port,
        /// How many rights the peer has, or uses of a send-once right.
        rights,
        /// Bits of [`right`].
        flags,
    }

    /// A right of another node for which a port stands in here.
    Imports {
        /// That node.
        peer,
        /// Nothing yet.
        reserved;
        /// The session.
        session,
        /// The number under which it is used.
        index,
        /// The port that stands in.
        port,
        /// How many rights were received and not given back.
        rights,
        /// Messages through it whose fate is not known.
        unsettled,
    }

    /// What was counted, or what there is.
    Counters {
        /// What, in words joined by `_`.
        name,
        /// Of which kind, where there are several: why a frame was dropped, which card.
        label;
        /// How many.
        value,
        /// [`Kind`].
        kind,
    }
}
