//! Names for the whole cluster: to check a right in, to look one up, to wait for one.
//!
//! Leaves to others: where names are and who may have one (`norma_net`).

use crate::face::call::await_reply;
use crate::face::error::Failure;
use crate::face::rights::insert;
use crate::face::{AnyRight, Message, Node, SendOnceRight, SendRight};
use crate::limits::LOOK_UP_PATIENCE;
use crate::node::{self, Patience};
use crate::thread::{self, rights as held};
use core::time::Duration;
use norma_flip::Instant;
use norma_ipc::{Name, RightError, RightKind, SpaceId, ThreadId};
use norma_net::{CheckInError, Interest, LookUp, NAME_TAKEN, NodeName};

impl SendRight {
    /// Makes a copy of this right known to the whole cluster under `name`, of 1 to 63 bytes.
    ///
    /// The name counts at once. Should another node have checked in the same, one of the two
    /// loses it within about a second, and for a while either may be found. [`SendRight::claim`]
    /// waits until that is certain, [`SendRight::check_in_telling`] tells of it.
    ///
    /// # Errors
    /// [`CheckInError`].
    pub fn check_in(&self, name: &str) -> Result<(), CheckInError> {
        let mut engine = node::lock();
        let (space, now) = (engine.space, node::now());
        let done = engine.core.check_in(now, space, self.name, name);
        engine.act(now);
        done
    }

    /// As [`SendRight::check_in`], and `lost` is used when this node has lost the name to another
    /// one: a message with the identifier [`NAME_TAKEN`] comes, whose data are that node's name.
    /// When the name is checked out, or the port dies, `lost` is given up unused.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; `lost` is given up.
    pub fn check_in_telling(&self, name: &str, lost: SendOnceRight) -> Result<(), CheckInError> {
        let mut engine = node::lock();
        let (space, now) = (engine.space, node::now());
        let named = lost.into_name();
        let ipc = engine.core.ipc();
        let lost = match ipc.extract(space, named, RightKind::SendOnce) {
            Ok(right) => {
                held::given_up();
                right
            }
            Err(error) => {
                drop(engine);
                drop(SendOnceRight::from_name(named));
                return Err(CheckInError::Right(error));
            }
        };
        let interest = Interest {
            lost: Some(lost),
            settled: None,
        };
        let core = &mut engine.core;
        let done = core.check_in_telling(now, space, self.name, name, interest);
        let done = done.map_err(|(error, interest)| {
            interest
                .lost
                .into_iter()
                .for_each(|right| core.ipc().release(right));
            error
        });
        engine.act(now);
        done
    }

    /// As [`SendRight::check_in`], and waits, for a second, until it is certain that no other
    /// node that can be reached has the name.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; [`Failure::NameTakenBy`] if another node has it,
    /// [`Failure::PortDied`] if the port died meanwhile. When it fails, the name is not
    /// this node's, unless it was before ([`Failure::NameTaken`]).
    pub fn claim(&self, name: &str) -> Result<(), Failure> {
        claim(None, self.name, name)
    }
}

/// The same for what is under a name of a space, or of the kernel's own.
pub(crate) fn claim(space: Option<SpaceId>, right: Name, name: &str) -> Result<(), Failure> {
    let thread = thread::current();
    let mut engine = node::lock();
    let (space, now) = (space.unwrap_or(engine.space), node::now());
    engine.core.claim(now, thread, space, right, name)?;
    engine.act(now);
    let answer = await_reply(&mut engine, thread, None, Patience::Forever);
    if answer.is_err() {
        // Whatever ended the wait, nobody is left to hear of the claim.
        engine.core.check_out(name);
        engine.act(now);
    }
    drop(engine);
    let answer = Message::wrap(answer?);
    if answer.id() == NAME_TAKEN {
        return Err(Failure::NameTakenBy {
            node: node_name(answer.data()),
        });
    }
    Ok(())
}

/// The name of a node, as a message has it.
fn node_name(bytes: &[u8]) -> NodeName {
    let text = core::str::from_utf8(bytes).ok();
    text.and_then(NodeName::new).unwrap_or_default()
}

impl Node {
    /// Looks a name up: on this node, then in the cluster, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] after about a second, or two where the node that had it is gone;
    /// [`Failure::TimedOut`] after three if the node that has the name is there and does not
    /// answer.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        look_up(Patience::of(LOOK_UP_PATIENCE), |core, now, thread| {
            core.look_up(now, thread, name, None)
        })
    }

    /// Looks a name up until somebody has checked it in, for at most `timeout`. To wait costs the
    /// network next to nothing: the node that checks the name in says so.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] when the time is up.
    pub fn wait_for(&self, name: &str, timeout: Duration) -> Result<SendRight, Failure> {
        look_up(Patience::Forever, |core, now, thread| {
            core.look_up(now, thread, name, Some(now + timeout))
        })
    }

    /// What is checked in on this very node.
    pub(crate) fn look_up_here(&self, name: &str) -> Result<SendRight, Failure> {
        let mut engine = node::lock();
        let found = engine.core.find_here(name).ok_or(Failure::NameUnknown)?;
        insert(&mut engine, found)
    }

    /// Makes a name unknown again. Tells whether it was checked in on this node.
    pub fn check_out(&self, name: &str) -> bool {
        let mut engine = node::lock();
        let known = engine.core.check_out(name);
        engine.act(node::now());
        known
    }
}

type Core = norma_net::Node<crate::memory::Frames>;

/// Asks the node for a right, and waits for it.
pub(crate) fn look_up(
    patience: Patience,
    ask: impl FnOnce(&mut Core, Instant, ThreadId) -> Result<LookUp, RightError>,
) -> Result<SendRight, Failure> {
    let thread = thread::current();
    let mut engine = node::lock();
    let now = node::now();
    match ask(&mut engine.core, now, thread) {
        Ok(LookUp::Found(right)) => insert(&mut engine, right),
        Ok(LookUp::Asked) => {
            engine.act(now);
            let answer = await_reply(&mut engine, thread, None, patience)?;
            drop(engine);
            let mut answer = Message::wrap(answer);
            answer.take_right()?.ok_or(Failure::NameUnknown)
        }
        Err(error) => Err(Failure::from_right(&engine, error)),
    }
}
