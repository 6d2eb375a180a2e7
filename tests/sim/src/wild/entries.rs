//! What stands in the oracle's books: ports, rights, messages and calls, by the numbers that the
//! simulation gave them.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;

use norma_ipc::RightKind;

use super::calm::Path;

/// A port, as the simulation numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortNo(pub(crate) u32);

/// A send-once right, as the simulation numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OnceNo(pub(crate) u32);

/// A thread of a machine that was started so many times before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) node: usize,
    pub(crate) boots: u64,
    pub(crate) thread: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node{}", self.node)?;
        if self.boots > 0 {
            write!(f, "(boot {})", self.boots + 1)?;
        }
        write!(f, ".{}", self.thread)
    }
}

/// Where a receive right is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(usize, u32),
    InMessage(u64),
    /// Given up, and to come back to who asked for that.
    Returning,
    /// Since when, and whether its holder gave it up (or else its node was lost, or a message).
    Gone(Duration),
}

#[derive(Debug)]
pub(crate) struct PortBook {
    pub(crate) place: Place,
    /// Names of send rights to it, by machine.
    pub(crate) holders: BTreeSet<(usize, u32)>,
    /// Messages with a send right to it that were sent and did not arrive so far.
    pub(crate) carriers: BTreeSet<u64>,
    /// Every node where its receive right was.
    pub(crate) owners: Path,
    /// How often a send right was made from the receive right.
    pub(crate) made: u32,
    pub(crate) onces_made: u32,
    pub(crate) onces_used: u32,
    pub(crate) onces_told: u32,
    /// What so many of them came to may have been in its queue where it was before, and be lost.
    pub(crate) onces_lost: u32,
    /// The bells of the requests about it that are open.
    pub(crate) no_senders: Option<(usize, u32)>,
    pub(crate) destroyed: Option<(usize, u32)>,
    /// Nobody receives from it until then.
    pub(crate) stopped_until: Duration,
    /// The machine where its name is checked in: that is one more send right.
    pub(crate) registered: Option<usize>,
    /// At rest, somebody asked to be told when it has no senders.
    pub(crate) watched: bool,
    /// How many messages its queue holds.
    pub(crate) limit: u16,
    /// Names under which it was checked in on some machine, and that others may have too: whose
    /// they are, and so whether that is one more send right, is for the nodes to agree on.
    pub(crate) shared: BTreeSet<(usize, u32)>,
    /// Slots of machines that it is in: each is one more send right.
    pub(crate) slots: BTreeSet<(usize, u32)>,
}

/// What a name of a machine is worth.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) port: PortNo,
    pub(crate) sends: u32,
    pub(crate) receive: bool,
    pub(crate) once: Option<OnceNo>,
    /// Since when there are send rights under it.
    pub(crate) since: Duration,
    pub(crate) path: Path,
    /// It was seen to be dead.
    pub(crate) dead: bool,
    /// There is a request to be told of its death, with this bell.
    pub(crate) death: Option<u32>,
    /// The same, of room.
    pub(crate) room: Option<u32>,
    /// The roll call has been sent through it.
    pub(crate) called: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnceTarget {
    Port(PortNo),
    /// The reply port of whoever made that call.
    Call(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct OnceBook {
    pub(crate) target: OnceTarget,
    pub(crate) path: Path,
    /// The message that it was put into last.
    pub(crate) carrier: Option<u64>,
    /// Its message was received.
    pub(crate) used: bool,
}

/// A right in a message.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) kind: RightKind,
    pub(crate) port: PortNo,
    pub(crate) once: Option<OnceNo>,
    pub(crate) path: Path,
    pub(crate) since: Duration,
    /// The port told that it has no senders while this one was on its way.
    pub(crate) suspect: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dest {
    Port(PortNo),
    Once(OnceNo),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent, or waiting for room.
    UnderWay,
    Received,
    /// It came back to its sender.
    Returned,
    /// It will never come, for a reason that is none of ours.
    Lost,
}

/// What its sender knows of the fate of a message for which it asked that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Its port was on the sender's node, and had room: there is nothing to wait for.
    Here,
    /// It is to be told.
    Asked,
    /// It was told then that the message is, or was, in the queue of its port.
    Delivered(Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    pub(crate) from: Who,
    pub(crate) dest: Dest,
    pub(crate) rights: Vec<Carried>,
    /// The right for the answer.
    pub(crate) reply: Option<OnceNo>,
    pub(crate) sent: Duration,
    pub(crate) fate: Fate,
    pub(crate) path: Path,
    /// A receive right in it was bound for its own queue, by way of others perhaps.
    pub(crate) circular: bool,
    /// It has out-of-line memory.
    pub(crate) large: bool,
    pub(crate) word: Option<Word>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Waiting,
    Answered,
    /// Its caller was told that there will be no answer.
    Failed,
    /// Its caller did not wait any longer.
    GivenUp,
}

#[derive(Debug)]
pub(crate) struct CallBook {
    pub(crate) caller: Who,
    pub(crate) ended: Ended,
    /// Somebody let go of the right to answer it.
    pub(crate) dropped: bool,
}

/// What a run of the wild is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everybody does as they like.
    Play,
    /// Nobody begins anything; what is under way arrives.
    Settle,
    /// A message through every right.
    RollCall,
    /// All send rights are given up; then the receive rights.
    GiveUpSends,
    GiveUpReceives,
}

/// A promise that did not hold.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) what: String,
    pub(crate) ports: Vec<PortNo>,
    pub(crate) messages: Vec<u64>,
}

/// What an entry of the history is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    pub(crate) port: Option<PortNo>,
    pub(crate) message: Option<u64>,
    pub(crate) name: u32,
    pub(crate) extra: u64,
}

impl Note {
    pub(crate) fn port(port: PortNo) -> Self {
        Note {
            port: Some(port),
            ..Note::default()
        }
    }

    pub(crate) fn message(number: u64) -> Self {
        Note {
            message: Some(number),
            ..Note::default()
        }
    }

    pub(crate) fn name(self, name: u32) -> Self {
        Note { name, ..self }
    }

    pub(crate) fn of(self, port: PortNo) -> Self {
        let port = Some(port).filter(|port| port.0 != u32::MAX);
        Note { port, ..self }
    }
}
