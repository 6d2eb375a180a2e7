//! What is compared with what: systems, one entry each.
//!
//! Owns: their table, and how an operation is called in the program that carries it out.
//! Leaves to others: what an operation is (`operations`), starting what carries it out (`bed`),
//! the figures to reach (`targets`).
//! Why this way: one more rival is one more entry, as long as a bed that is there can run it.

use super::operations::{Operation, Unit, operation, warmup};
use norma_peer::plan::{self, Carrier, Wait};

/// How the ends wait for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// Asleep, until the device's interrupt.
    Blocking,
    /// By looking at the device again and again.
    Polling,
}

/// What carries a system's operations out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// An image of norma, with the image's name for each operation.
    Image {
        /// The image.
        image: &'static str,
        /// Operation, and what the image calls it.
        items: &'static [(&'static str, &'static str)],
    },
    /// Tasks in ring 3, with the name that their program has for each operation.
    Tasks {
        /// Whether a server in a task carries messages, and not the kernel.
        relayed: bool,
        /// Operation, and what the program calls it.
        items: &'static [(&'static str, &'static str)],
    },
    /// Linux guests and their program.
    Peer {
        /// What carries messages.
        carrier: Carrier,
        /// The MTU of their network devices.
        mtu: u32,
        /// The operations that it can do.
        operations: &'static [&'static str],
    },
}

impl Runs {
    /// Whether Linux guests are needed.
    pub fn is_linux(self) -> bool {
        matches!(self, Self::Peer { .. })
    }
}

/// Something that is compared.
#[derive(Debug, PartialEq, Eq)]
pub struct System {
    /// Its name.
    pub name: &'static str,
    /// What it is, for readers.
    pub title: &'static str,
    /// How its ends wait.
    pub waits: Waits,
    /// What carries it out.
    pub runs: Runs,
}

/// What nobody can be quicker than.
pub const FLOOR: &str = "floor";
/// What the others are compared with.
pub const NORMA: &str = "norma";
/// The same between programs in tasks.
pub const NORMA_TASKS: &str = "norma-tasks";
/// The server in a task, between such programs.
pub const SERVER: &str = "ring3-server";

/// What norma does, between threads of the kernel and between programs in tasks.
const BY_NORMA: &[(&str, &str)] = &[
    ("null", "remote-null"),
    ("64", "remote-64"),
    ("1k", "remote-1k"),
    ("4k", "remote-4k"),
    ("64k", "remote-64k"),
    ("1m", "remote-1m"),
    ("stream-1m", "stream-1m"),
    ("callers-4", "callers-4"),
    ("callers-16", "callers-16"),
    ("callers-64", "callers-64"),
    ("local", "local-null"),
];

/// The largest packet of a virtio-net device.
const LARGEST: u32 = 65_535;

const SMALL: &[&str] = &["null", "64", "1k", "4k"];
const DATAGRAMS: &[&str] = &[
    "null",
    "64",
    "1k",
    "4k",
    "callers-4",
    "callers-16",
    "callers-64",
];
const BULK: &[&str] = &["64k", "1m", "stream-1m"];
const POLLED: &[&str] = &["null", "64", "1k", "4k", "64k", "1m"];
const EVERYTHING: &[&str] = &[
    "null",
    "64",
    "1k",
    "4k",
    "64k",
    "1m",
    "stream-1m",
    "callers-4",
    "callers-16",
    "callers-64",
];
const LOCAL: &[&str] = &["local"];

const fn linux(
    name: &'static str,
    title: &'static str,
    carrier: Carrier,
    waits: Waits,
    mtu: u32,
    operations: &'static [&'static str],
) -> System {
    System {
        name,
        title,
        waits,
        runs: Runs::Peer {
            carrier,
            mtu,
            operations,
        },
    }
}

use Carrier::{Raw, Relay, Tcp, Udp, Unix};
use Waits::{Blocking, Polling};

/// All systems, in the order of the report.
pub static SYSTEMS: [System; 15] = [
    System {
        name: FLOOR,
        title: "a bare frame, from driver to driver",
        waits: Blocking,
        runs: Runs::Image {
            image: "bench",
            items: &[("null", "floor"), ("stream-1m", "raw-stream")],
        },
    },
    System {
        name: NORMA,
        title: "norma, messages in the kernel, between threads",
        waits: Blocking,
        runs: Runs::Image {
            image: "bench",
            items: BY_NORMA,
        },
    },
    System {
        name: NORMA_TASKS,
        title: "norma, messages in the kernel, between programs in ring 3",
        waits: Blocking,
        runs: Runs::Tasks {
            relayed: false,
            items: BY_NORMA,
        },
    },
    System {
        name: SERVER,
        title: "a network message server in ring 3 on each side, between such programs",
        waits: Blocking,
        runs: Runs::Tasks {
            relayed: true,
            items: BY_NORMA,
        },
    },
    linux(
        "linux-raw",
        "Linux, frames through a packet socket",
        Raw,
        Blocking,
        LARGEST,
        SMALL,
    ),
    linux(
        "linux-raw-polling",
        "Linux, frames through a packet socket",
        Raw,
        Polling,
        LARGEST,
        SMALL,
    ),
    linux("linux-udp", "Linux, UDP", Udp, Blocking, LARGEST, DATAGRAMS),
    linux(
        "linux-udp-polling",
        "Linux, UDP",
        Udp,
        Polling,
        LARGEST,
        SMALL,
    ),
    linux(
        "linux-tcp",
        "Linux, TCP without delay, largest frames",
        Tcp,
        Blocking,
        LARGEST,
        EVERYTHING,
    ),
    linux(
        "linux-tcp-polling",
        "Linux, TCP without delay, largest frames",
        Tcp,
        Polling,
        LARGEST,
        POLLED,
    ),
    linux(
        "linux-tcp-9000",
        "Linux, TCP, frames of 9,000 bytes",
        Tcp,
        Blocking,
        9000,
        BULK,
    ),
    linux(
        "linux-tcp-1500",
        "Linux, TCP, frames of 1,500 bytes",
        Tcp,
        Blocking,
        1500,
        BULK,
    ),
    linux(
        "linux-unix",
        "Linux, a unix socket between two processes",
        Unix,
        Blocking,
        LARGEST,
        LOCAL,
    ),
    linux(
        "netmsgd",
        "Linux, a netmsgd on each side, frames through packet sockets",
        Relay,
        Blocking,
        LARGEST,
        EVERYTHING,
    ),
    linux(
        "netmsgd-polling",
        "Linux, a netmsgd on each side, frames through packet sockets",
        Relay,
        Polling,
        LARGEST,
        POLLED,
    ),
];

/// The system of this name.
pub fn system(name: &str) -> Option<&'static System> {
    SYSTEMS.iter().find(|system| system.name == name)
}

impl System {
    /// The operations that it can do, each with what its program calls it.
    pub fn operations(&self) -> Vec<(&'static Operation, String)> {
        let named = |name: &str, item: String| Some((operation(name)?, item));
        match self.runs {
            Runs::Image { items, .. } | Runs::Tasks { items, .. } => {
                let items = items.iter();
                items
                    .filter_map(|(name, item)| named(name, (*item).into()))
                    .collect()
            }
            Runs::Peer { operations, .. } => {
                let names = operations.iter();
                names
                    .filter_map(|name| named(name, format!("{}/{name}", self.name)))
                    .collect()
            }
        }
    }

    /// An item of a Linux guest's plan; nothing for a system that runs otherwise.
    pub fn peer_item(&self, operation: &Operation, name: &str, n: usize) -> Option<plan::Item> {
        let Runs::Peer { carrier, mtu, .. } = self.runs else {
            return None;
        };
        Some(plan::Item {
            name: name.to_owned(),
            carrier,
            wait: match self.waits {
                Waits::Blocking => Wait::Block,
                Waits::Polling => Wait::Poll,
            },
            mtu,
            kind: match operation.unit {
                Unit::Megabytes => plan::Kind::Stream,
                Unit::Microseconds | Unit::Calls => plan::Kind::Call,
            },
            request: operation.request,
            reply: operation.reply,
            callers: operation.callers,
            n,
            warmup: warmup(operation, n),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations::shortened;
    use super::*;

    #[test]
    fn every_name_that_a_system_gives_is_an_operation_and_names_are_told_apart() {
        for system in &SYSTEMS {
            let count = match system.runs {
                Runs::Image { items, .. } | Runs::Tasks { items, .. } => items.len(),
                Runs::Peer { operations, .. } => operations.len(),
            };
            assert_eq!(system.operations().len(), count, "{}", system.name);
        }
        let mut names: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SYSTEMS.len());
        assert!(system(FLOOR).is_some() && system(NORMA).is_some());
    }

    #[test]
    fn the_guests_program_takes_every_item() {
        for system in &SYSTEMS {
            for (operation, name) in system.operations() {
                for n in [operation.n, shortened(operation)] {
                    if let Some(item) = system.peer_item(operation, &name, n) {
                        assert_eq!(item.to_string().parse(), Ok(item));
                    }
                }
            }
        }
    }

    #[test]
    fn no_datagram_is_larger_than_its_packet() {
        for system in &SYSTEMS {
            let Runs::Peer {
                carrier,
                mtu,
                operations,
            } = system.runs
            else {
                continue;
            };
            for name in operations.iter().filter(|_| matches!(carrier, Raw | Udp)) {
                let largest = operation(name).map(|o| o.request.max(o.reply));
                assert!(
                    largest.unwrap() + plan::HEADER + 28 <= mtu as usize,
                    "{name}"
                );
            }
        }
    }
}
