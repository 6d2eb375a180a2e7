//! How a guest ended.
//!
//! Owns the mapping of QEMU's exit status. A guest ends by writing `v` to the device
//! `isa-debug-exit`, and QEMU then exits with `2·v + 1`. Only one status means success: a QEMU
//! that was killed, that crashed or whose guest reset itself is never taken for one that passed.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest said that all is well (v = 16).
    Pass,
    /// The guest said that something went wrong (v = 17).
    Fail,
    /// The guest panicked or met a CPU exception (v = 18).
    Panic,
    /// The guest refused to start, and said why on its console (v = 19).
    Refused,
    /// QEMU exited by itself with status 0: the guest reset the machine, as after a triple
    /// fault.
    Reset,
    /// A fault rule had the node crash.
    Crashed,
    /// A signal ended QEMU.
    Signal(i32),
    /// Any other status; 1 is QEMU's own for a command line that it does not accept.
    Other(i32),
}

impl Outcome {
    /// Whether the guest said that all is well.
    #[must_use]
    pub fn is_pass(self) -> bool {
        self == Self::Pass
    }
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(33), _) => Self::Pass,
            (Some(35), _) => Self::Fail,
            (Some(37), _) => Self::Panic,
            (Some(39), _) => Self::Refused,
            (Some(0), _) => Self::Reset,
            (Some(code), _) => Self::Other(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => write!(f, "passed"),
            Self::Fail => write!(f, "failed (it said so itself, status 35)"),
            Self::Panic => write!(f, "panicked (status 37)"),
            Self::Refused => write!(f, "refused to start (status 39)"),
            Self::Crashed => write!(f, "crashed, as a fault rule says"),
            Self::Reset => write!(f, "reset its machine, as after a triple fault (status 0)"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Other(1) => write!(
                f,
                "was not started: QEMU did not accept its command line (status 1)"
            ),
            Self::Other(code) => write!(f, "ended with the unknown status {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_status_is_success() {
        let exits = (0..=255).map(|code| code << 8);
        let signals = (1..=64).flat_map(|signal| [signal, signal | 0x80]);
        for raw in exits.chain(signals) {
            let outcome = Outcome::from(ExitStatus::from_raw(raw));
            assert_eq!(outcome.is_pass(), raw == 33 << 8, "wait status {raw:#x}");
        }
    }

    #[test]
    fn a_killed_qemu_is_not_a_success() {
        assert_eq!(Outcome::from(ExitStatus::from_raw(9)), Outcome::Signal(9));
        assert_eq!(Outcome::from(ExitStatus::from_raw(0)), Outcome::Reset);
        assert_eq!(Outcome::from(ExitStatus::from_raw(37 << 8)), Outcome::Panic);
    }
}
