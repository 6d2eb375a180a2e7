//! Why something came to nothing, as the core says it and as the kernel does.

use norma_ipc::{Reason, RightError, SendFailure};
use norma_user::{Failure, NodeName};

/// What the kernel's failure is to the core.
pub fn reason(failure: Failure) -> Reason {
    match failure {
        Failure::PortDied => Reason::Destroyed,
        Failure::NodeDied { address, .. } => Reason::NodeDied(address),
        Failure::NoMemory => Reason::NoMemory,
        Failure::Moved => Reason::Moved,
        Failure::Circular => Reason::Circular,
        _ => Reason::Unanswered,
    }
}

/// What the core's reason is to a program.
pub fn failure(reason: Reason) -> Failure {
    match reason {
        Reason::Destroyed => Failure::PortDied,
        Reason::Moved => Failure::Moved,
        Reason::Unanswered => Failure::Unanswered,
        Reason::NodeDied(address) => Failure::NodeDied {
            name: NodeName::default(),
            address,
        },
        Reason::NameUnknown => Failure::NameUnknown,
        Reason::NoMemory => Failure::NoMemory,
        Reason::Circular => Failure::Circular,
    }
}

/// The same of what the core refuses: but for the death of a port, that it has no room.
pub fn refused(error: RightError) -> Failure {
    match error {
        RightError::Dead(reason) => failure(reason),
        RightError::Circular => Failure::Circular,
        _ => Failure::NoMemory,
    }
}

/// The same of a message that it does not send.
pub fn not_sent(error: SendFailure) -> Failure {
    match error {
        SendFailure::Right(error) => refused(error),
        SendFailure::Full => Failure::NoMemory,
    }
}
