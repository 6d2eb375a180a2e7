//! What a run yields: counts, or what went wrong and how to see it again.

use core::fmt;
use core::time::Duration;

/// Counts of a run that kept every promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// Frames put on the network.
    pub frames: u64,
    /// Frames that the network was asked to carry to one machine: a broadcast is one to each.
    pub passages: u64,
    /// Frames that the network lost.
    pub dropped: u64,
    /// Frames for which there was no room in front of a wire.
    pub overflows: u64,
    /// Frames that were longer than their receiver's card takes.
    pub overlong: u64,
    /// Messages that left a node for another.
    pub messages: u64,
    /// Calls that were answered.
    pub calls: u64,
    /// Calls that failed as they had to.
    pub failed_calls: u64,
    /// One-way messages that arrived.
    pub one_way: u64,
    /// Messages that were received in the wild, on the same node or another.
    pub received: u64,
    /// Notifications in the wild.
    pub notifications: u64,
    /// Time in the simulation.
    pub virtual_time: Duration,
    /// Steps of the simulation.
    pub steps: u64,
}

impl Report {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Report) {
        self.frames += other.frames;
        self.passages += other.passages;
        self.dropped += other.dropped;
        self.messages += other.messages;
        self.calls += other.calls;
        self.failed_calls += other.failed_calls;
        self.one_way += other.one_way;
        self.received += other.received;
        self.notifications += other.notifications;
        self.virtual_time += other.virtual_time;
        self.steps += other.steps;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {} nodes, ", self.seed, self.nodes)?;
        match self.received {
            0 => write!(
                f,
                "{} calls ({} failed), {} one-way",
                self.calls, self.failed_calls, self.one_way
            )?,
            received => write!(f, "{received} received, {} told", self.notifications)?,
        }
        write!(
            f,
            ", {} messages in {} frames ({} lost), {:.3} s in {} steps",
            self.messages,
            self.frames,
            self.dropped,
            self.virtual_time.as_secs_f64(),
            self.steps,
        )
    }
}

/// What broke, when, and the last frames before.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that repeats it.
    pub seed: u64,
    /// What was promised and did not hold.
    pub what: String,
    /// When, in the simulation.
    pub at: Duration,
    /// What each actor did that has to do with it, in order, one thing to a line.
    pub history: String,
    /// The last events, one to a line.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "simulation failed at {:.6} s: {}",
            self.at.as_secs_f64(),
            self.what
        )?;
        if !self.history.is_empty() {
            writeln!(f, "what was done that has to do with it:\n{}", self.history)?;
        }
        write!(f, "the last frames:\n{}", self.trace)
    }
}

impl std::error::Error for Failure {}
