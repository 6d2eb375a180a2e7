//! Names for the whole cluster: to check a right in, to look one up, to wait for one.

use crate::connection::Node;
use crate::error::Failure;
use crate::protocol::{FOREVER, Operation, Request};
use crate::rights::{AnyRight, SendOnceRight, SendRight};
use crate::send::patience;
use norma_ipc::Name;
use std::time::Duration;

impl SendRight {
    /// Makes a copy of this right known to the whole cluster under `name`, of 1 to 63 bytes. The
    /// name is checked out when the task ends.
    ///
    /// It counts at once. Should another node have checked in the same, one of the two loses it
    /// within about a second. [`SendRight::claim`] waits until that is certain.
    ///
    /// # Errors
    /// [`Failure::BadName`], [`Failure::NameTaken`], [`Failure::NoMemory`] when there are too many.
    pub fn check_in(&self, name: &str) -> Result<(), Failure> {
        let request = Request::new(Operation::CheckIn, self.name().raw());
        self.shared().ask(&request, name.as_bytes()).map(drop)
    }

    /// As [`SendRight::check_in`], and `lost` is used when this node has lost the name to another
    /// one: a message whose data are that node's name comes to its port.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; `lost` is given up.
    pub fn check_in_telling(&self, name: &str, lost: SendOnceRight) -> Result<(), Failure> {
        let request = Request {
            other: lost.into_name().raw(),
            ..Request::new(Operation::CheckIn, self.name().raw())
        };
        self.shared().ask(&request, name.as_bytes()).map(drop)
    }

    /// As [`SendRight::check_in`], and waits, for a second, until it is certain that no other
    /// node that can be reached has the name.
    ///
    /// # Errors
    /// As for [`SendRight::check_in`]; [`Failure::NameTakenBy`] if another node has it.
    pub fn claim(&self, name: &str) -> Result<(), Failure> {
        let request = Request::new(Operation::Claim, self.name().raw());
        self.shared().ask(&request, name.as_bytes()).map(drop)
    }
}

impl Node {
    /// Looks a name up: on this node, then in the cluster, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] after about a second, or two where the node that had it is gone.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        self.look_up_for(name, 0, FOREVER)
    }

    /// Looks a name up until somebody has checked it in, for at most `timeout`.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] when the time is up.
    pub fn wait_for(&self, name: &str, timeout: Duration) -> Result<SendRight, Failure> {
        self.look_up_for(name, 1, patience(timeout))
    }

    /// What is in a slot of the special ports of a node: 1 leads to its cards, 2 to the node itself,
    /// 3 to its names, the others are for services.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`], after about a second, if there is no such node, or nothing in the
    /// slot; [`Failure::BadName`] for what cannot be a node's name, or a slot that no node has.
    pub fn special_port(&self, node: &str, slot: u32) -> Result<SendRight, Failure> {
        let request = Request {
            other: slot,
            patience: FOREVER,
            ..Request::new(Operation::LookUp, 0)
        };
        if slot == 0 {
            return Err(Failure::BadName);
        }
        let reply = self.ask(&request, node.as_bytes())?;
        Ok(SendRight::new(&self.0, Name::from_raw(reply.name)))
    }

    fn look_up_for(&self, name: &str, waits: u32, patience: u64) -> Result<SendRight, Failure> {
        let request = Request {
            value: waits,
            patience,
            ..Request::new(Operation::LookUp, 0)
        };
        let reply = self.ask(&request, name.as_bytes())?;
        Ok(SendRight::new(&self.0, Name::from_raw(reply.name)))
    }

    /// Makes a name unknown again. Tells whether this task had checked it in.
    ///
    /// # Errors
    /// The daemon is gone.
    pub fn check_out(&self, name: &str) -> Result<bool, Failure> {
        let request = Request::new(Operation::CheckOut, 0);
        let reply = self.ask(&request, name.as_bytes())?;
        Ok(reply.value != 0)
    }
}
