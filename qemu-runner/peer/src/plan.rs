//! A plan: what is measured between two Linux guests, as text.
//!
//! Owns: items and their text form, a line each.
//! Leaves to others: which items there are (the runner), measuring them.
//! Why this way: a file in the initial memory file system has room for any number of items; the
//! kernel's command line has not.

use std::fmt;
use std::str::FromStr;

/// The file that holds the plan in a guest.
pub const FILE: &str = "/plan";

/// The file that holds the daemon, where a plan needs it.
pub const DAEMON: &str = "/netmsgd";

/// Shares of a stretch's operations, in thousandths, whose times are printed as `dist`.
pub const SHARES: [usize; 12] = [0, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

/// Bytes of the header in front of each message: lengths of request and reply, number, flags.
pub const HEADER: usize = 16;

/// The largest message's payload: what buffers are made for.
pub const LARGEST: usize = 1 << 20;

/// Behind the number of rounds: the plan is marked.
const MARKED: &str = " marked";

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Ethernet frames through a packet socket.
    Raw,
    /// UDP datagrams.
    Udp,
    /// A TCP connection, without Nagle's delay.
    Tcp,
    /// A unix stream socket between two processes of the calling guest.
    Unix,
    /// `netmsgd` in each guest, and packet sockets between the two.
    Relay,
}

/// How a process waits for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Asleep until the device's interrupt.
    Block,
    /// Looking again and again.
    Poll,
}

/// What is done with the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each is answered before the next; each is timed.
    Call,
    /// Only the last of a stretch is answered; the stretch is timed.
    Stream,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in what is printed.
    pub name: String,
    /// What carries it.
    pub carrier: Carrier,
    /// How both ends wait.
    pub wait: Wait,
    /// The largest packet that the network device is to send, in bytes without Ethernet's header.
    pub mtu: u32,
    /// What is done.
    pub kind: Kind,
    /// Bytes of payload in a request.
    pub request: usize,
    /// Bytes of payload in a reply.
    pub reply: usize,
    /// Callers at once, each a thread.
    pub callers: usize,
    /// Measured operations per stretch, of all callers together.
    pub n: usize,
    /// Operations before them.
    pub warmup: usize,
}

/// All that is measured in one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often each item has its turn.
    pub rounds: usize,
    /// Whether the guests tell what they did when: marks of each item.
    pub marked: bool,
    /// The items, in their order.
    pub items: Vec<Item>,
}

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no line of a plan: `{}`", self.0)
    }
}

/// Words for the values of an enumeration.
trait Words: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.map_or("?", |(word, _)| word)
    }

    fn of(word: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, value)| *value)
    }
}

impl Words for Carrier {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("raw", Self::Raw),
        ("udp", Self::Udp),
        ("tcp", Self::Tcp),
        ("unix", Self::Unix),
        ("relay", Self::Relay),
    ];
}

impl Words for Wait {
    const WORDS: &'static [(&'static str, Self)] = &[("block", Self::Block), ("poll", Self::Poll)];
}

impl Words for Kind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("call", Self::Call), ("stream", Self::Stream)];
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {} {} {} {} {}",
            self.name,
            self.carrier.word(),
            self.wait.word(),
            self.mtu,
            self.kind.word(),
            self.request,
            self.reply,
            self.callers,
            self.n,
            self.warmup
        )
    }
}

impl Item {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let item = Self {
            name: words.next()?.to_owned(),
            carrier: Carrier::of(words.next()?)?,
            wait: Wait::of(words.next()?)?,
            mtu: words.next()?.parse().ok()?,
            kind: Kind::of(words.next()?)?,
            request: words.next()?.parse().ok()?,
            reply: words.next()?.parse().ok()?,
            callers: words.next()?.parse().ok()?,
            n: words.next()?.parse().ok()?,
            warmup: words.next()?.parse().ok()?,
        };
        let sound = words.next().is_none()
            && item.request.max(item.reply) <= LARGEST
            && item.callers > 0
            && item.n >= item.callers;
        sound.then_some(item)
    }
}

impl FromStr for Item {
    type Err = Malformed;

    fn from_str(line: &str) -> Result<Self, Malformed> {
        Self::parse(line).ok_or_else(|| Malformed(line.to_owned()))
    }
}

impl Plan {
    /// Whether all of it goes by `netmsgd`: then that is what the first call is made through.
    #[must_use]
    pub fn is_of_relays(&self) -> bool {
        self.items.iter().all(|item| item.carrier == Carrier::Relay)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marked = if self.marked { MARKED } else { "" };
        writeln!(f, "{}{marked}", self.rounds)?;
        self.items.iter().try_for_each(|item| writeln!(f, "{item}"))
    }
}

impl FromStr for Plan {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (number, marked) = match first.strip_suffix(MARKED) {
            Some(number) => (number, true),
            None => (first, false),
        };
        let rounds = number.parse().map_err(|_| Malformed(first.to_owned()))?;
        let items = lines.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self {
            rounds,
            marked,
            items,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item {
            name: "tcp/1m".into(),
            carrier: Carrier::Tcp,
            wait: Wait::Poll,
            mtu: 9000,
            kind: Kind::Stream,
            request: 1 << 20,
            reply: 0,
            callers: 4,
            n: 60,
            warmup: 6,
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = Plan {
            rounds: 3,
            marked: false,
            items: vec![
                item(),
                Item {
                    name: "x".into(),
                    carrier: Carrier::Raw,
                    kind: Kind::Call,
                    ..item()
                },
            ],
        };
        assert_eq!(plan.to_string().parse(), Ok(plan.clone()));
        let marked = Plan {
            marked: true,
            ..plan
        };
        assert_eq!(marked.to_string().parse(), Ok(marked));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let line = item().to_string();
        assert!(line.parse::<Item>().is_ok());
        for (right, wrong) in [
            ("tcp ", "pct "),
            (" 1048576 ", " 1048577 "),
            (" 4 ", " 0 "),
            (" 60 ", " 3 "),
            (" 6", " 6 7"),
        ] {
            let line = line.replacen(right, wrong, 1);
            assert!(line.parse::<Item>().is_err(), "{line}");
        }
        assert!("three\n".parse::<Plan>().is_err());
    }
}
