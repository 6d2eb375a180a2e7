//! What is said at the kernel's special ports: which failure an answer means. The numbers are
//! `norma_wire`'s; the contents are typed, and `docs/wire.md` has them (W-98).

use crate::face::Failure;
use norma_wire::special::answer;
pub(crate) use norma_wire::special::device::CARDS;
pub(crate) use norma_wire::special::host::{ENTRY, INFORMATION, INSPECT, PORT};
pub(crate) use norma_wire::special::name::{CHECK_IN, LOOK_UP};

/// Why there is no better answer, as its identifier says it (W-91). 0 is that all is well.
pub(crate) fn refusal(failure: Failure) -> u32 {
    match failure {
        Failure::NameUnknown | Failure::NoSuchEntry => answer::UNKNOWN,
        Failure::NameTaken => answer::TAKEN,
        Failure::NoMemory => answer::NO_MEMORY,
        Failure::BadMessage(_) | Failure::BadName => answer::BAD_REQUEST,
        Failure::PortDied | Failure::NodeDied { .. } => answer::DEAD,
        _ => answer::NO_OPERATION,
    }
}

/// The reverse.
pub(crate) fn outcome(id: u32, unknown: Failure) -> Result<(), Failure> {
    match id {
        answer::DONE => Ok(()),
        answer::UNKNOWN => Err(unknown),
        answer::TAKEN => Err(Failure::NameTaken),
        answer::NO_MEMORY => Err(Failure::NoMemory),
        answer::DEAD => Err(Failure::PortDied),
        _ => Err(Failure::NotSupported),
    }
}
