//! What is said at the kernel's special ports: identifiers of requests and of answers. The
//! contents are typed; `docs/wire.md` has them (W-98).

use crate::face::Failure;

/// At the host port: what is to be known about the node.
pub(crate) const INFORMATION: u32 = 1;
/// At the host port: what is to be known about the port of a right.
pub(crate) const PORT: u32 = 2;
/// At the host port: a right to the port of an entry.
pub(crate) const ENTRY: u32 = 3;

/// At the host port: a piece of a table of what the node knows of itself (`norma_inspect`).
pub(crate) const INSPECT: u32 = 4;

/// At the device port: what is to be known about each network card.
pub(crate) const CARDS: u32 = 1;

/// At the name port: the right under a name, if it is checked in on this very node.
pub(crate) const LOOK_UP: u32 = 1;
/// At the name port: checks a right in.
pub(crate) const CHECK_IN: u32 = 2;

/// Why there is no better answer, as its identifier says it (W-91). 0 is that all is well.
pub(crate) fn refusal(failure: Failure) -> u32 {
    match failure {
        Failure::NameUnknown | Failure::NoSuchEntry => 1,
        Failure::NameTaken => 3,
        Failure::NoMemory => 4,
        Failure::BadMessage(_) | Failure::BadName => 5,
        Failure::PortDied | Failure::NodeDied { .. } => 6,
        _ => 2,
    }
}

/// The reverse.
pub(crate) fn outcome(id: u32, unknown: Failure) -> Result<(), Failure> {
    match id {
        0 => Ok(()),
        1 => Err(unknown),
        3 => Err(Failure::NameTaken),
        4 => Err(Failure::NoMemory),
        6 => Err(Failure::PortDied),
        _ => Err(Failure::NotSupported),
    }
}
