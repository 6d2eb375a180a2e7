//! What all systems are to do: operations, one entry each.
//!
//! Owns: their table, and how often each is done.
//! Leaves to others: who does them (`systems`).

/// In what an operation's figure is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time of one operation, in microseconds; less is better.
    Microseconds,
    /// Payload of all operations in 10^6 bytes per second; more is better.
    Megabytes,
    /// Operations of all callers per second; more is better.
    Calls,
}

impl Unit {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Microseconds => "us",
            Self::Megabytes => "MB/s",
            Self::Calls => "calls/s",
        }
    }
}

/// Something that all systems can do, if they can.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// What it is, for readers.
    pub title: &'static str,
    /// In what its figure is given.
    pub unit: Unit,
    /// Bytes of payload in a request.
    pub request: usize,
    /// Bytes of payload in a reply.
    pub reply: usize,
    /// Callers at once.
    pub callers: usize,
    /// Measured operations per stretch.
    pub n: usize,
    /// Whether guest instructions are counted for it.
    pub counted: bool,
}

const fn call(
    name: &'static str,
    title: &'static str,
    (request, reply): (usize, usize),
    n: usize,
    counted: bool,
) -> Operation {
    Operation {
        name,
        title,
        unit: Unit::Microseconds,
        request,
        reply,
        callers: 1,
        n,
        counted,
    }
}

const fn crowd(name: &'static str, title: &'static str, callers: usize) -> Operation {
    Operation {
        unit: Unit::Calls,
        callers,
        ..call(name, title, (0, 0), 4000, false)
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Stretches of some tenths of a second under emulation, as in the benchmarks of norma alone.
pub static OPERATIONS: [Operation; 11] = [
    call(
        "null",
        "a call and its answer, both empty",
        (0, 0),
        2000,
        true,
    ),
    call("64", "64 bytes there, 64 bytes back", (64, 64), 2000, false),
    call("1k", "1 KiB there, an empty answer", (KIB, 0), 1000, false),
    call(
        "4k",
        "4 KiB there, an empty answer",
        (4 * KIB, 0),
        1000,
        false,
    ),
    call(
        "64k",
        "64 KiB there, an empty answer",
        (64 * KIB, 0),
        300,
        false,
    ),
    call("1m", "1 MiB there, an empty answer", (MIB, 0), 60, true),
    Operation {
        unit: Unit::Megabytes,
        ..call(
            "stream-1m",
            "1 MiB one way, again and again; the last is answered",
            (MIB, 0),
            60,
            false,
        )
    },
    crowd("callers-4", "empty calls of 4 callers at once", 4),
    crowd("callers-16", "empty calls of 16 callers at once", 16),
    crowd("callers-64", "empty calls of 64 callers at once", 64),
    call("local", "an empty call on one machine", (0, 0), 5000, true),
];

/// The operation of this name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// Operations before those that are measured: each caller has made some.
pub fn warmup(operation: &Operation, n: usize) -> usize {
    (n / 10).max(operation.callers)
}

/// Measured operations of a stretch in a quick run.
pub fn shortened(operation: &Operation) -> usize {
    (operation.n / 10).max(20).max(operation.callers * 4)
}
