//! What every node can be asked for without a name: slots, requests, and answers.
//!
//! Owns the numbers (W-91, W-97, W-98); the contents of requests are typed messages, and
//! `docs/wire.md` has them.

/// The slot of the port that leads to a node's network cards.
pub const DEVICE_PORT: u32 = 1;
/// The slot of the port that leads to a node itself.
pub const HOST_PORT: u32 = 2;
/// The slot of the port that leads to a node's names.
pub const NAME_PORT: u32 = 3;
/// The first slot for services.
pub const FIRST_SERVICE_PORT: u32 = 4;

/// Identifiers of requests at the host port.
pub mod host {
    /// What is to be known about the node.
    pub const INFORMATION: u32 = 1;
    /// What is to be known about the port of a right.
    pub const PORT: u32 = 2;
    /// A right to the port of an entry.
    pub const ENTRY: u32 = 3;
    /// A piece of a table of what the node knows of itself (`norma_inspect`).
    pub const INSPECT: u32 = 4;
}

/// Identifiers of requests at the device port.
pub mod device {
    /// What is to be known about each network card.
    pub const CARDS: u32 = 1;
}

/// Identifiers of requests at the name port.
pub mod name {
    /// The right under a name, if it is checked in on this very node.
    pub const LOOK_UP: u32 = 1;
    /// Checks a right in.
    pub const CHECK_IN: u32 = 2;
}

/// What an answer says by its identifier (W-91).
pub mod answer {
    /// It is done; what was asked for is in the message.
    pub const DONE: u32 = 0;
    /// What was asked for is not there.
    pub const UNKNOWN: u32 = 1;
    /// The node does not know what to do with that.
    pub const NO_OPERATION: u32 = 2;
    /// Somebody has it already.
    pub const TAKEN: u32 = 3;
    /// There is no memory.
    pub const NO_MEMORY: u32 = 4;
    /// The request does not say what it should.
    pub const BAD_REQUEST: u32 = 5;
    /// The port that it is about is dead.
    pub const DEAD: u32 = 6;
}
