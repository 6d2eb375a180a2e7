//! Which benchmarks there are, how often each runs, and the list that the image is given.
//!
//! Owns: names, numbers of operations, what each is compared with.
//! Leaves to others: what an operation is (`images/bench`; told in `docs/benchmarks.md`).
//! Why this way: the runner decides the numbers and the image obeys, so that the same image
//! serves quick, full and counting passes; later benchmarks add a line here.

/// Benchmarks that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Calls between two nodes, beside bare frames.
    Net,
    /// Calls between threads of one node, by what is in the message.
    Ipc,
}

impl Suite {
    fn items(self) -> &'static [Item] {
        match self {
            Self::Net => &NET,
            Self::Ipc => &IPC,
        }
    }

    /// Memory of a measured node in MiB.
    pub fn memory(self) -> u32 {
        match self {
            Self::Net => 64,
            // A hundred thousand ports, a thousand stacks.
            Self::Ipc => 512,
        }
    }
}

/// What a benchmark measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Time of one operation, there and back.
    RoundTrip,
    /// The same between threads of one node.
    Local,
    /// Calls of many threads, over all of a stretch.
    Crowd,
    /// Bytes moved one way, over all operations of a stretch.
    Stream,
}

impl Kind {
    /// The unit in which results are given.
    pub fn unit(self) -> &'static str {
        match self {
            Self::RoundTrip | Self::Local => "us",
            Self::Crowd => "calls/s",
            Self::Stream => "MB/s",
        }
    }

    /// The benchmark to which others of this kind are compared: the same without anything of
    /// ours above the driver, an empty call, or a single port.
    pub fn floor(self) -> &'static str {
        match self {
            Self::RoundTrip => "floor",
            Self::Local => "ipc-null",
            Self::Crowd => "ports-1",
            Self::Stream => "raw-stream",
        }
    }
}

/// One benchmark and how often it runs in one stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in all lists and outputs.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Measured operations per stretch.
    pub n: u64,
    /// Operations before them that are not measured.
    pub warmup: u64,
}

const fn item(name: &'static str, kind: Kind, n: u64) -> Item {
    Item {
        name,
        kind,
        n,
        warmup: n / 10,
    }
}

/// Calls between nodes. Numbers are chosen so that each stretch takes some tenths of a second
/// under emulation: long against a time slice of the host, short against its drift.
static NET: [Item; 14] = [
    item("floor", Kind::RoundTrip, 2000),
    item("local-null", Kind::RoundTrip, 5000),
    item("remote-null", Kind::RoundTrip, 2000),
    item("remote-right", Kind::RoundTrip, 2000),
    item("remote-64", Kind::RoundTrip, 2000),
    item("remote-1k", Kind::RoundTrip, 1000),
    item("remote-4k", Kind::RoundTrip, 1000),
    item("remote-64k", Kind::RoundTrip, 300),
    item("remote-1m", Kind::RoundTrip, 60),
    item("stream-1m", Kind::Stream, 100),
    item("raw-stream", Kind::Stream, 100),
    item("migrate-100", Kind::RoundTrip, 100),
    item("ports-1", Kind::Crowd, 10_000),
    item("ports-1000", Kind::Crowd, 10_000),
];

/// Calls on one node. The list begins with that of Mach's own `mach_perf`.
static IPC: [Item; 29] = [
    item("ipc-null", Kind::Local, 5000),
    item("ipc-make-send", Kind::Local, 2000),
    item("ipc-copy-send", Kind::Local, 2000),
    item("ipc-move-send", Kind::Local, 2000),
    item("ipc-make-send-once", Kind::Local, 2000),
    item("ipc-move-send-once", Kind::Local, 2000),
    item("ipc-move-receive", Kind::Local, 2000),
    item("ipc-inline-128", Kind::Local, 2000),
    item("ipc-inline-1k", Kind::Local, 2000),
    item("ipc-inline-4k", Kind::Local, 2000),
    item("ipc-moved-4k", Kind::Local, 2000),
    item("ipc-moved-64k", Kind::Local, 2000),
    item("ipc-moved-1m", Kind::Local, 2000),
    item("ipc-copied-4k", Kind::Local, 2000),
    item("ipc-copied-64k", Kind::Local, 1000),
    item("ipc-copied-1m", Kind::Local, 200),
    item("ipc-touched-4k", Kind::Local, 1000),
    item("ipc-touched-64k", Kind::Local, 200),
    item("ipc-touched-1m", Kind::Local, 50),
    item("ipc-set-1", Kind::Local, 5000),
    item("ipc-set-10", Kind::Local, 5000),
    item("ipc-set-1000", Kind::Local, 5000),
    item("ipc-names-10", Kind::Local, 5000),
    item("ipc-names-100", Kind::Local, 5000),
    item("ipc-names-1000", Kind::Local, 5000),
    item("ipc-names-100000", Kind::Local, 5000),
    item("ipc-clients-1", Kind::Local, 5000),
    item("ipc-clients-10", Kind::Local, 5000),
    item("ipc-clients-1000", Kind::Local, 10_000),
];

/// A quick run does a tenth of the work, but no stretch is shorter than this.
const LEAST_OPERATIONS: u64 = 10;

/// The benchmarks called for: all of a suite, or those in `only` with what they are compared
/// with.
///
/// # Errors
/// A name that does not exist, together with those that do.
pub fn select(suite: Suite, only: &[String], quick: bool) -> Result<Vec<Item>, String> {
    let all = suite.items();
    if let Some(unknown) = only
        .iter()
        .find(|name| all.iter().all(|i| i.name != **name))
    {
        let names: Vec<_> = all.iter().map(|i| i.name).collect();
        return Err(format!(
            "no benchmark `{unknown}` in this suite; there are {}",
            names.join(", ")
        ));
    }
    let wanted = |candidate: &Item| {
        only.is_empty()
            || only.iter().any(|name| {
                let named = all.iter().find(|i| i.name == *name);
                *name == candidate.name || named.is_some_and(|i| i.kind.floor() == candidate.name)
            })
    };
    Ok(all
        .iter()
        .filter(|i| wanted(i))
        .map(|i| if quick { shortened(i) } else { i.clone() })
        .collect())
}

fn shortened(item: &Item) -> Item {
    let n = (item.n / 10).max(LEAST_OPERATIONS);
    Item {
        n,
        warmup: n / 10,
        ..item.clone()
    }
}

/// The items as the image's command line takes them: `name:n:warmup,...`.
pub fn argument(items: &[Item]) -> String {
    let each: Vec<_> = items
        .iter()
        .map(|i| format!("{}:{}:{}", i.name, i.n, i.warmup))
        .collect();
    format!("bench={}", each.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_interface() {
        let names: Vec<_> = select(Suite::Net, &[], false)
            .unwrap()
            .iter()
            .map(|i| i.name)
            .collect();
        assert_eq!(
            names.join(" "),
            "floor local-null remote-null remote-right remote-64 remote-1k remote-4k remote-64k \
             remote-1m stream-1m raw-stream migrate-100 ports-1 ports-1000"
        );
    }

    #[test]
    fn a_selection_brings_its_floor() {
        let names = |only: &str| {
            let items = select(Suite::Net, &[only.to_owned()], false).unwrap();
            items.iter().map(|i| i.name).collect::<Vec<_>>()
        };
        assert_eq!(names("remote-null"), ["floor", "remote-null"]);
        assert_eq!(names("stream-1m"), ["stream-1m", "raw-stream"]);
        assert_eq!(names("ports-1000"), ["ports-1", "ports-1000"]);
        assert_eq!(names("floor"), ["floor"]);
        assert!(
            select(Suite::Net, &["remote-2m".into()], false)
                .unwrap_err()
                .contains("remote-1m")
        );
    }

    #[test]
    fn the_argument_gives_numbers() {
        let items = select(Suite::Net, &["remote-null".into()], true).unwrap();
        assert_eq!(argument(&items), "bench=floor:200:20,remote-null:200:20");
    }

    #[test]
    fn quick_stretches_have_a_least_length() {
        assert!(
            select(Suite::Net, &[], true)
                .unwrap()
                .iter()
                .all(|i| i.n >= LEAST_OPERATIONS)
        );
    }
}
