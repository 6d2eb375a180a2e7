//! Bad input: every operation with every wrong kind of name, and with every number, right and
//! message that it cannot take. Each has its own error, changes nothing and leaks nothing
//! (MUST I-1, I-2, I-12).
// A picture of everything before and after each of a thousand refusals takes Miri many minutes,
// for code that the other tests show it too.
#![cfg(not(miri))]

use norma_ipc::*;

mod messages;
mod names;
mod stage;
mod table;

use stage::{KINDS, NOTHING, Stage, chosen};

type Core = Ipc<HeapPage>;
type Result<T = ()> = std::result::Result<T, Refusal>;

type At = (SpaceId, Name);

const ALICE: ThreadId = ThreadId(0);
/// Waits for something else.
const BUSY: ThreadId = ThreadId(1);
const UNKNOWN: ThreadId = ThreadId(99);

/// Why an operation was refused, whichever error type said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Right(RightError),
    Full,
    Empty,
    TooLarge(usize),
}

impl From<RightError> for Refusal {
    fn from(error: RightError) -> Self {
        Refusal::Right(error)
    }
}

impl From<NoMemory> for Refusal {
    fn from(_: NoMemory) -> Self {
        Refusal::Right(RightError::NoMemory)
    }
}

impl From<ReceiveError> for Refusal {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Empty => Refusal::Empty,
            ReceiveError::TooLarge(bytes) => Refusal::TooLarge(bytes),
            ReceiveError::Right(error) => Refusal::Right(error),
        }
    }
}

const INVALID_NAME: Refusal = Refusal::Right(RightError::InvalidName);
const INVALID_RIGHT: Refusal = Refusal::Right(RightError::InvalidRight);
const DEAD: Refusal = Refusal::Right(RightError::Dead(Reason::NodeDied(1)));
const OUT_OF_RANGE: Refusal = Refusal::Right(RightError::OutOfRange);
const NO_MEMORY: Refusal = Refusal::Right(RightError::NoMemory);
const NAME_IN_USE: Refusal = Refusal::Right(RightError::NameInUse);
const NOT_IN_SET: Refusal = Refusal::Right(RightError::NotInSet);
const CIRCULAR: Refusal = Refusal::Right(RightError::Circular);

/// Does something that is refused: with that error, and all is as it was.
fn refused(stage: &mut Stage, what: &str, error: Refusal, work: impl FnOnce(&mut Stage) -> Result) {
    let before = stage.snapshot();
    assert_eq!(work(stage), Err(error), "{what}");
    assert_eq!(stage.snapshot(), before, "{what}");
}
