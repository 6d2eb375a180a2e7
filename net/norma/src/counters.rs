//! What a node counts about its network: each dropped frame has a reason.

/// Why a session frame was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Drop {
    /// The header or the lengths did not make sense.
    Malformed,
    /// The check of its head does not hold: it was changed on the way.
    Changed,
    /// No session has that number, or it is another node's.
    UnknownSession,
    /// A HELLO of another cluster.
    OtherCluster,
    /// A HELLO with no version in common.
    OtherVersion,
    /// The frame had arrived before.
    Duplicate,
    /// Further ahead than any credit that was given.
    Beyond,
    /// There was no memory, or a table was full; the peer will send it again.
    NoMemory,
    /// A control frame about something that does not exist (any more).
    Stale,
    /// Not a frame but a message to the node itself, of an operation that it does not know, and
    /// that wants no answer.
    Unasked,
}

impl Drop {
    /// How many reasons there are.
    pub const COUNT: usize = 10;

    /// All of them with the names that tools print.
    pub const ALL: [(Drop, &'static str); Self::COUNT] = [
        (Drop::Malformed, "malformed"),
        (Drop::Changed, "changed"),
        (Drop::UnknownSession, "unknown_session"),
        (Drop::OtherCluster, "other_cluster"),
        (Drop::OtherVersion, "other_version"),
        (Drop::Duplicate, "duplicate"),
        (Drop::Beyond, "beyond"),
        (Drop::NoMemory, "no_memory"),
        (Drop::Stale, "stale"),
        (Drop::Unasked, "unasked"),
    ];
}

/// Counts since the node began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Messages accepted to be carried to another node.
    pub carried: u64,
    /// Messages from other nodes that reached a port.
    pub delivered: u64,
    /// Messages from other nodes that were refused.
    pub refused: u64,
    /// Messages accepted to be carried that came to nothing: refused for good, or lost with
    /// their session.
    pub failed: u64,
    /// Sequenced frames sent again.
    pub repeated: u64,
    /// Times that inline data was copied into or out of a frame.
    pub inline_copies: u64,
    /// Times that the contents of a page were copied.
    pub page_copies: u64,
    /// Sessions established.
    pub sessions: u64,
    /// Sessions that ended because the peer was dead or had forgotten them.
    pub deaths: u64,
    /// Session frames dropped, by [`Drop`].
    pub dropped: [u64; Drop::COUNT],
}

impl Counters {
    pub(crate) fn drop(&mut self, reason: Drop) {
        self.dropped[reason as usize] += 1;
    }
}
