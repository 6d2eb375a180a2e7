//! Names for the whole cluster, and where ports are.

use crate::failure::Failure;
use crate::rights::{AnyRight, SendOnceRight, SendRight, named};
use crate::send::nanoseconds;
use crate::system;
use crate::task::Task;
use core::time::Duration;
use norma_abi::{Code, Whereabouts, call};
use norma_wire::hello::NodeName;
use zerocopy::IntoBytes;

/// The identifier of the message that tells that a name was lost to another node.
pub const NAME_TAKEN: u32 = norma_wire::special::answer::TAKEN;

/// Where a port is, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The node's name.
    pub node: NodeName,
    /// Its FLIP address.
    pub address: u64,
}

/// Makes a call whose first two arguments are a text.
fn with_text(number: u64, text: &str, rest: [u64; 2]) -> Result<u64, system::Refused> {
    let arguments = [text.as_ptr() as u64, text.len() as u64, rest[0], rest[1]];
    // SAFETY: the kernel reads the text; what else it does is what the callers below pass.
    unsafe { system::call(number, arguments) }
}

impl SendRight {
    /// Makes a copy of this right known to the whole cluster under `name`, of 1 to 63 bytes.
    ///
    /// The name counts at once. Should another node have checked in the same, one of the two
    /// loses it within about a second, and for a while either may be found. [`SendRight::claim`]
    /// waits until that is certain, [`SendRight::check_in_telling`] tells of it.
    ///
    /// # Errors
    /// [`Failure::BadName`], [`Failure::NameTaken`], [`Failure::NoMemory`], the port's death.
    pub fn check_in(&self, name: &str) -> Result<(), Failure> {
        with_text(call::CHECK_IN, name, [self.name.raw().into(), 0])?;
        Ok(())
    }

    /// As [`SendRight::check_in`], and `lost` is used when this node has lost the name to another
    /// one: a message with the identifier [`NAME_TAKEN`] comes, whose data are that node's name.
    /// When the name is checked out, or the port dies, `lost` is given up unused.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; `lost` is given up.
    pub fn check_in_telling(&self, name: &str, lost: SendOnceRight) -> Result<(), Failure> {
        let rest = [self.name.raw(), lost.name().raw()].map(u64::from);
        with_text(call::CHECK_IN, name, rest)?;
        let _ = lost.into_name();
        Ok(())
    }

    /// As [`SendRight::check_in`], and waits, for a second, until it is certain that no other
    /// node that can be reached has the name.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; [`Failure::NameTakenBy`] if another node has it,
    /// [`Failure::PortDied`] if the port died meanwhile. When it fails, the name is not
    /// this node's, unless it was before ([`Failure::NameTaken`]).
    pub fn claim(&self, name: &str) -> Result<(), Failure> {
        let mut holder = [0; 16];
        let place = holder.as_mut_ptr() as u64;
        match with_text(call::CLAIM, name, [self.name.raw().into(), place]) {
            Ok(_) => Ok(()),
            Err(refused) if refused.code == Some(Code::NameTakenBy) => Err(Failure::NameTakenBy {
                node: NodeName::from_bytes(holder).unwrap_or_default(),
            }),
            Err(refused) => Err(refused.into()),
        }
    }

    /// On which node its port is, as far as is known here; it may have moved since.
    ///
    /// # Errors
    /// The port may be dead.
    pub fn location(&self) -> Result<Location, Failure> {
        let mut told = Whereabouts::default();
        let place = told.as_mut_bytes().as_mut_ptr() as u64;
        // SAFETY: the kernel writes where it is, and no more.
        unsafe { system::call(call::LOCATE, [self.name.raw().into(), place, 0, 0]) }?;
        Ok(Location {
            node: NodeName::from_bytes(told.name).unwrap_or_default(),
            address: told.address,
        })
    }
}

/// The name of the node with that address; empty if it is not known.
pub(crate) fn node_name(address: u64) -> NodeName {
    let mut name = [0; 16];
    let place = name.as_mut_ptr() as u64;
    // SAFETY: the kernel writes the name.
    match unsafe { system::call(call::NODE_NAME, [address, place, 0, 0]) } {
        Ok(_) => NodeName::from_bytes(name).unwrap_or_default(),
        Err(_) => NodeName::default(),
    }
}

/// What is in a slot of the node of that name.
pub(crate) fn special_port(node: &str, which: u32) -> Result<SendRight, Failure> {
    let found = with_text(call::LOOK_UP_SPECIAL, node, [which.into(), 0])?;
    Ok(SendRight::from_name(named(found)))
}

impl Task {
    /// Looks a name up: on this node, then in the cluster, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] after about a second, or two where the node that had it is gone;
    /// [`Failure::TimedOut`] after three if the node that has the name is there and does not
    /// answer.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        look_up(name, 0)
    }

    /// Looks a name up until somebody has checked it in, for at most `timeout`.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] when the time is up.
    pub fn wait_for(&self, name: &str, timeout: Duration) -> Result<SendRight, Failure> {
        look_up(name, nanoseconds(timeout).max(1))
    }

    /// Makes a name unknown again. Tells whether it was checked in on this node.
    pub fn check_out(&self, name: &str) -> bool {
        with_text(call::CHECK_OUT, name, [0; 2]).is_ok_and(|known| known != 0)
    }
}

fn look_up(name: &str, wait: u64) -> Result<SendRight, Failure> {
    let found = with_text(call::LOOK_UP, name, [wait, 0])?;
    Ok(SendRight::from_name(named(found)))
}
