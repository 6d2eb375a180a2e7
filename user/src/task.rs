//! The task, as `main` is given it.

use crate::failure::Failure;
use crate::rights::{AnyRight, ReceiveRight, SendRight};
use crate::space::Space;
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

    /// The task's rights by their names.
    pub const fn space(&self) -> Space {
        Space::own()
    }

    /// What it was started with.
    pub fn arguments(&self) -> &str {
        core::str::from_utf8(&self.arguments[..self.length]).unwrap_or_default()
    }

    /// Nanoseconds since the machine was started.
    pub fn now(&self) -> u64 {
        plain(call::CLOCK, [0; 4]).unwrap_or(0)
    }

    /// Waits.
    ///
    /// # Errors
    /// [`Failure::Cancelled`].
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        crate::thread::sleep(time)
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
}
