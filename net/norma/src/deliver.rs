//! Delivering: from a message off the wire to a port of this node, or a refusal.
//!
//! Owns: the order of decisions. Whether the port can take the message is asked before any
//! right in it is imported (`import`), so that a refused message leaves no trace.
//! Leaves to others: what concerns more than this session, which is handed back ([`After`]);
//! a message with rights that are new in its session is decided in `adopt`.

use norma_ipc::{
    Expects, Ipc, Message, NoMemory, Page, PortId, Reason, RemoteToken, SendError, Sent, Sink, Step,
};
use norma_wire::control::{self, Control};
use norma_wire::descriptor::{Kind, Repr};
use norma_wire::session::Flags;

use crate::claim;
use crate::counters::Counters;
use crate::import::Hitch;
use crate::inbox::{Contents, Label, Parcel};
use crate::limits::KEEP_RIGHTS;
use crate::rights::{Barred, Export, NO_EXPORT, NODE_SERVICE};
use crate::session::Session;

/// What is left to do about a message that was delivered.
#[derive(Debug)]
pub(crate) enum After<P> {
    /// It asks something of the node itself.
    Serve(Message<P>),
    /// Its port is on a third node: pass it on.
    Relay(RemoteToken, Option<PortId>, Message<P>),
    /// It has not been delivered, for it brings rights that are new to its session.
    Adopt(Parcel<P>),
}

/// Why a message was not delivered.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    Because(control::Reason),
    /// The node must be asked: about its rights, or because it is no plain message to a port.
    New,
}

/// What becomes of a message whose destination does not take it; one that claims a right is for
/// none in this session.
#[cold]
fn refusal(label: Label, rights: &[Repr], refused: Refusal) -> Refusal {
    match claim::of(label, rights) {
        Some(_) => Refusal::New,
        None => refused,
    }
}

/// What the port to which a message is addressed says to it, if it does not refuse it.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    Post(PortId),
    /// The same, and its sender waits to hear that it is there.
    Confirm(PortId),
    Once,
    /// The same, one of several uses.
    Counted,
    Node,
}

/// The last node on the way of a message confirms it: here its port has a queue. Where it is for
/// no port, nobody does.
#[cold]
pub(crate) fn to_confirm<P: Page>(ipc: &Ipc<P>, door: Door, message: &mut Message<P>) -> Door {
    match door {
        Door::Post(port) if ipc.sink(port) == Ok(Sink::Queue) => return Door::Confirm(port),
        Door::Post(_) => {}
        _ => message.set_expects(Expects::NOTHING),
    }
    door
}

const DEAD: Refusal = Refusal::Because(control::Reason::Dead);
const FULL: Refusal = Refusal::Because(control::Reason::Full);

/// An export of a receive right, or of a send-once right by a message that does not say so.
#[cold]
fn knock_at_counted(export: &Export) -> Result<Door, Refusal> {
    match export.barred {
        Barred::Counted | Barred::Uncounted => Ok(Door::Counted),
        _ => Err(DEAD),
    }
}

/// An export to which messages do not go the usual way (W-47).
#[cold]
fn knock_at_barred(barred: &mut Barred, label: Label) -> Result<(), Refusal> {
    match barred {
        Barred::Full if label.flags.contains(Flags::FRESH) => Ok(()),
        Barred::Moved => Err(Refusal::Because(control::Reason::Moved)),
        Barred::Backlog => Err(Refusal::New),
        Barred::Holding => {
            *barred = Barred::HoldingFull;
            Err(FULL)
        }
        _ => Err(FULL),
    }
}

impl<P: Page> Session<P> {
    /// Decides about a whole message whose turn it is. Room for a refusal was promised.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        ipc: &mut Ipc<P>,
        counters: &mut Counters,
        label: Label,
        mut message: Message<P>,
        contents: Contents,
    ) -> Option<After<P>> {
        match self.admit(ipc, label, &mut message, &contents) {
            Ok(door) => {
                P::watch(Step::Arrived {
                    message: message.number(),
                    session: self.number,
                    sequence: label.sequence,
                });
                self.out.forgive(1);
                counters.delivered += 1;
                if let Contents::Rights(mut rights) = contents
                    && (1..=KEEP_RIGHTS).contains(&rights.capacity())
                {
                    rights.clear();
                    self.spare = rights;
                }
                self.enter(ipc, label, door, message)
            }
            Err(Refusal::Because(reason)) => {
                counters.refused += 1;
                let once = self.spends(label);
                self.refuse(ipc, label.sequence, once, message, reason);
                None
            }
            Err(Refusal::New) => Some(After::Adopt(Parcel {
                label,
                message,
                contents,
            })),
        }
    }

    /// Asks the destination of a message whether it can take it; if so, takes its rights over.
    #[inline(always)]
    fn admit(
        &mut self,
        ipc: &mut Ipc<P>,
        label: Label,
        message: &mut Message<P>,
        contents: &Contents,
    ) -> Result<Door, Refusal> {
        let no_memory = Refusal::Because(control::Reason::NoMemory);
        let Contents::Rights(rights) = contents else {
            return Err(match contents {
                Contents::News(_) => Refusal::New,
                // One that is lost on its way to a port that arrives counts (W-125).
                _ if self.is_backlog(label.destination) => Refusal::New,
                _ => {
                    self.begin_anew(label);
                    no_memory
                }
            });
        };
        let door = self
            .knock(ipc, label)
            .map_err(|refused| refusal(label, rights, refused))?;
        if !rights.is_empty() {
            self.admit_rights(ipc, label, message, rights)?;
        }
        if label.reply != NO_EXPORT {
            match self.import_once(ipc, label.reply) {
                // A message off the wire has no reply right yet.
                Ok(right) => drop(message.set_reply(right)),
                Err(NoMemory) => {
                    self.undo_imports(ipc, message, rights);
                    return Err(no_memory);
                }
            }
            if label.flags.contains(Flags::CONFIRM) {
                return Ok(to_confirm(ipc, door, message));
            }
        } else if label.flags.contains(Flags::CONFIRM) {
            message.set_expects(Expects::NOTHING);
        }
        Ok(door)
    }

    /// Whether what comes to an export was queued where a receive right came from.
    #[cold]
    pub(crate) fn is_backlog(&self, index: u32) -> bool {
        let export = self.exports.get(index);
        export.is_some_and(|export| export.barred == Barred::Backlog)
    }

    /// The first of what was refused for a full queue has come again, and is lost for want of
    /// memory: those behind it are not refused for its sake (W-47).
    #[cold]
    fn begin_anew(&mut self, label: Label) {
        if label.flags.contains(Flags::FRESH)
            && let Some(export) = self.exports.get_mut(label.destination)
            && export.barred == Barred::Full
        {
            export.barred = Barred::No;
        }
    }

    #[inline(never)]
    fn admit_rights(
        &mut self,
        ipc: &mut Ipc<P>,
        label: Label,
        message: &mut Message<P>,
        rights: &[Repr],
    ) -> Result<(), Refusal> {
        let passed_on = rights.last().is_some_and(|repr| repr.kind == Kind::Reply);
        if label.destination == NODE_SERVICE || passed_on {
            // What it means may depend on how the rights came; and not all of them are in it.
            return Err(Refusal::New);
        }
        self.unpack_rights(ipc, message, rights)
            .map_err(|hitch| match hitch {
                Hitch::NoMemory => Refusal::Because(control::Reason::NoMemory),
                Hitch::New => Refusal::New,
            })
    }

    /// Where a message may go, or why not (W-46).
    #[inline(always)]
    pub(crate) fn knock(&mut self, ipc: &mut Ipc<P>, label: Label) -> Result<Door, Refusal> {
        if label.destination == NODE_SERVICE {
            return Ok(Door::Node);
        }
        let export = self.exports.get_mut(label.destination);
        let export = export.ok_or(DEAD)?;
        let once = label.flags.contains(Flags::SEND_ONCE);
        if once != export.is_once() {
            return knock_at_counted(export);
        }
        if once {
            return Ok(Door::Once);
        }
        let port = export.right.port().ok_or(DEAD)?;
        if export.barred != Barred::No {
            knock_at_barred(&mut export.barred, label)?;
        }
        match ipc.is_full(port) {
            Ok(false) => {
                export.barred = Barred::No;
                Ok(Door::Post(port))
            }
            Ok(true) => {
                export.barred = Barred::Full;
                ipc.want_room(port);
                Err(FULL)
            }
            Err(_) => Err(DEAD),
        }
    }

    /// Hands a message over, as it now is with all its rights.
    #[inline(always)]
    pub(crate) fn enter(
        &mut self,
        ipc: &mut Ipc<P>,
        label: Label,
        door: Door,
        message: Message<P>,
    ) -> Option<After<P>> {
        let sent = match door {
            Door::Post(port) => ipc.post(port, message, None),
            Door::Once => {
                let Some(right) = self.exports.remove(label.destination) else {
                    ipc.discard(message);
                    return None;
                };
                ipc.spend(right, message)
            }
            Door::Counted => return self.enter_counted(ipc, label, message),
            Door::Node => return Some(After::Serve(message)),
            Door::Confirm(port) => return Self::confirm(ipc, port, message),
        };
        Self::entered(ipc, sent)
    }

    /// The same by a send-once right that has several uses.
    #[cold]
    fn enter_counted(
        &mut self,
        ipc: &mut Ipc<P>,
        label: Label,
        message: Message<P>,
    ) -> Option<After<P>> {
        let Some(right) = self.exports.use_up(ipc, label.destination) else {
            ipc.discard(message);
            return None;
        };
        let sent = ipc.spend(right, message);
        Self::entered(ipc, sent)
    }

    /// What follows when a message was handed over.
    #[inline(always)]
    fn entered(ipc: &mut Ipc<P>, sent: Result<Sent<P>, SendError<P>>) -> Option<After<P>> {
        if let Ok(Sent::Handed(thread)) = sent {
            ipc.defer_wake(thread);
            return None;
        }
        Self::enter_otherwise(ipc, sent)
    }

    /// Puts a message into the queue of its port, and tells its sender by the right on which the
    /// sender waits. Without memory to say it the right is destroyed, and the sender learns that
    /// nobody knows.
    #[cold]
    fn confirm(ipc: &mut Ipc<P>, port: PortId, mut message: Message<P>) -> Option<After<P>> {
        let waits = message.take_reply();
        message.set_expects(Expects::NOTHING);
        match ipc.post(port, message, None) {
            Ok(Sent::Handed(thread)) => ipc.defer_wake(thread),
            Ok(_) => {}
            Err(error) => {
                ipc.discard(error.message);
                waits.into_iter().for_each(|right| ipc.release(right));
                return None;
            }
        }
        let waits = waits?;
        let Ok(receipt) = ipc.new_message() else {
            ipc.release(waits);
            return None;
        };
        let said = ipc.spend(waits, receipt);
        Self::enter_otherwise(ipc, said)
    }

    /// What follows when a message was not handed to a thread that waits for it.
    #[inline(never)]
    fn enter_otherwise(ipc: &mut Ipc<P>, sent: Result<Sent<P>, SendError<P>>) -> Option<After<P>> {
        match sent {
            Ok(Sent::Handed(_) | Sent::Queued | Sent::Waiting) => {}
            // A right of a third node that was passed on by this one.
            Ok(Sent::Forward {
                token,
                via,
                message,
            }) => return Some(After::Relay(token, via, message)),
            // The port died a moment ago: the message ends here.
            Err(error) => ipc.discard(error.message),
        }
        None
    }

    /// The send-once right that a message is for, or one of those that an export counts.
    #[cold]
    pub(crate) fn spends(&self, label: Label) -> Option<u32> {
        let export = self.exports.get(label.destination);
        let counted =
            |export: &Export| matches!(export.barred, Barred::Counted | Barred::Uncounted);
        let once = label.flags.contains(Flags::SEND_ONCE) || export.is_some_and(counted);
        once.then_some(label.destination)
    }

    /// `once`: the send-once right that it was for.
    #[cold]
    pub(crate) fn refuse(
        &mut self,
        ipc: &mut Ipc<P>,
        sequence: u32,
        once: Option<u32>,
        message: Message<P>,
        reason: control::Reason,
    ) {
        ipc.discard(message);
        self.out.control(Control::Refused { sequence, reason });
        self.out.forgive(1);
        // A reply is not sent twice: whoever waits for it must learn that it is lost.
        if let Some(index) = once
            && self.exports.get(index).is_some_and(Export::is_once)
            && let Some(right) = self.exports.use_up(ipc, index)
        {
            ipc.release_because(right, Reason::NoMemory);
        }
    }
}
