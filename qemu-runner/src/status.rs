//! How `cargo norma` ends.
//!
//! Owns the exit codes, which scripts rely on and `cargo norma --help` lists.

use std::process::ExitCode;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All went well.
    Pass,
    /// Something that was tried went wrong.
    Failed,
    /// The command line or an input file makes no sense.
    Usage,
    /// A guest did not do in time what was waited for.
    TimedOut,
    /// A guest panicked.
    Panic,
    /// Ctrl-C, or a signal that asks to end.
    Interrupted,
}

impl Status {
    /// The number that the shell sees: 124 is that of `timeout`, 101 that of a Rust panic, 130
    /// that of a shell for Ctrl-C.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Panic => 101,
            Self::Interrupted => 130,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

/// An error that ends the command with a status of its own. Commands wrap their errors in it;
/// every other error ends as [`Status::Failed`].
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Ended {
    /// The status.
    pub status: Status,
    /// What happened, for the user.
    pub text: String,
}

impl Ended {
    /// An error with this status and text.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// An error in what the user gave.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Status::Usage, text)
    }
}
