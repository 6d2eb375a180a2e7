//! What can go wrong while a cluster runs.

use crate::qemu::Outcome;
use crate::status::Status;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The deadline passed.
    #[error("time-out while waiting for {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
    },
    /// Ctrl-C or another request to end.
    #[error("interrupted")]
    Interrupted,
    /// A node ended before it did what was waited for.
    #[error("node {node} {outcome} while {waiting_for} was waited for")]
    Ended {
        /// Which node.
        node: String,
        /// How it ended.
        outcome: Outcome,
        /// What was waited for.
        waiting_for: String,
    },
    /// QEMU or the link could not be started.
    #[error("cannot start node {node}: {source}")]
    Start {
        /// Which node.
        node: String,
        /// Why.
        source: std::io::Error,
    },
    /// A plan that makes no sense.
    #[error("{0}")]
    Plan(String),
}

impl RunError {
    pub(super) fn timed_out(what: &str) -> Self {
        Self::TimedOut { what: what.into() }
    }

    /// The same error with more words about what was waited for.
    pub(super) fn while_waiting(self, node: &str, what: &str) -> Self {
        match self {
            Self::TimedOut { .. } => Self::TimedOut {
                what: format!("{what} of node {node}"),
            },
            Self::Ended { node, outcome, .. } => Self::Ended {
                node,
                outcome,
                waiting_for: what.into(),
            },
            other => other,
        }
    }

    /// How a command that met this error ends.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::TimedOut { .. } => Status::TimedOut,
            Self::Interrupted => Status::Interrupted,
            Self::Ended {
                outcome: Outcome::Panic,
                ..
            } => Status::Panic,
            Self::Plan(_) => Status::Usage,
            Self::Ended { .. } | Self::Start { .. } => Status::Failed,
        }
    }
}
