//! The task, as `main` is given it.

use crate::failure::Failure;
use crate::rights::{AnyRight, ReceiveRight, SendRight, named};
use crate::send::nanoseconds;
use crate::start::exit;
use crate::system::{self, plain};
use core::time::Duration;
use norma_abi::call;
use norma_ipc::Name;

/// Bytes of the longest arguments.
const ARGUMENTS: usize = 256;

/// This task.
#[derive(Debug)]
pub struct Task {
    port: ReceiveRight,
    arguments: [u8; ARGUMENTS],
    length: usize,
}

impl Task {
    pub(crate) fn new(port: Name) -> Self {
        let mut arguments = [0; ARGUMENTS];
        let address = arguments.as_mut_ptr() as u64;
        // SAFETY: the kernel writes no more than the array has.
        let length = unsafe { system::call(call::ARGUMENTS, [address, ARGUMENTS as u64, 0, 0]) };
        Task {
            port: ReceiveRight::from_name(port),
            arguments,
            length: length.map_or(0, |length| ARGUMENTS.min(length as usize)),
        }
    }

    /// The port that the task has from the beginning: whoever started it can send to it.
    pub const fn port(&self) -> &ReceiveRight {
        &self.port
    }

    /// What it was started with.
    pub fn arguments(&self) -> &str {
        core::str::from_utf8(&self.arguments[..self.length]).unwrap_or_default()
    }

    /// Nanoseconds since the machine was started.
    pub fn now(&self) -> u64 {
        plain(call::CLOCK, [0; 4]).unwrap_or(0)
    }

    /// Ends the task.
    pub fn exit(&self, code: u64) -> ! {
        exit(code)
    }

    /// Has the kernel tell this port of faults of the task's threads: see
    /// [`FAULT`](crate::FAULT). Without one a fault ends the task.
    ///
    /// # Errors
    /// The port may be dead.
    pub fn set_exception_port(&self, port: &SendRight) -> Result<(), Failure> {
        plain(
            call::SET_EXCEPTION_PORT,
            [port.name().raw().into(), 0, 0, 0],
        )?;
        Ok(())
    }

    /// Looks a name up: on this node, then in the cluster, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`], [`Failure::TimedOut`].
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
        let (address, length) = (name.as_ptr() as u64, name.len() as u64);
        // SAFETY: the kernel reads the name.
        let known = unsafe { system::call(call::CHECK_OUT, [address, length, 0, 0]) };
        known.is_ok_and(|known| known != 0)
    }
}

fn look_up(name: &str, wait: u64) -> Result<SendRight, Failure> {
    let (address, length) = (name.as_ptr() as u64, name.len() as u64);
    // SAFETY: the kernel reads the name.
    let found = unsafe { system::call(call::LOOK_UP, [address, length, wait, 0]) }?;
    Ok(SendRight::from_name(named(found)))
}
