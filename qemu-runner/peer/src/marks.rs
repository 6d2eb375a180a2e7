//! Marks: what a machine did when, as far as it tells where the time of a call goes.
//!
//! Owns: the marks, their text form on a console, and reading them out of Linux's own trace.
//! Leaves to others: switching that trace on (`tracing`), what follows from marks (the runner).
//! Why Linux's trace: it stamps with the same counter as norma's, in the same places (system
//! calls, switches, interrupts, frames), and what runs on it need not be built otherwise.
//! Source: Linux, Documentation/trace/ftrace.rst and events.rst.

use std::fmt;
use std::str::FromStr;

/// Who has the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The program that calls or serves.
    Program,
    /// The program that carries messages for it.
    Relay,
    /// Any other.
    Other,
    /// Nobody: it is halted.
    Nobody,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The processor goes to somebody, inside the kernel.
    Run(Who),
    /// Who runs calls the kernel.
    Enter,
    /// The kernel goes back to who runs.
    Leave,
    /// Who runs sends a message, inside the kernel.
    Send,
    /// An interrupt begins.
    Interrupt,
    /// A frame has come from the card.
    FrameIn,
    /// A frame is about to go to the card.
    FrameOut,
}

const LETTERS: [(char, What); 10] = [
    ('p', What::Run(Who::Program)),
    ('r', What::Run(Who::Relay)),
    ('o', What::Run(Who::Other)),
    ('n', What::Run(Who::Nobody)),
    ('e', What::Enter),
    ('l', What::Leave),
    ('s', What::Send),
    ('i', What::Interrupt),
    ('f', What::FrameIn),
    ('F', What::FrameOut),
];

/// One mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The processor's time-stamp counter.
    pub ticks: u64,
    /// What happened.
    pub what: What,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = LETTERS.iter().find(|(_, what)| *what == self.what);
        let letter = found.map_or('?', |(letter, _)| *letter);
        write!(f, "{}{letter}", self.ticks)
    }
}

/// With what a line of marks begins.
const LINE: &str = "@marks ";

/// With what the line begins that says what a mark costs.
const COST: &str = "@mark-cost ";

/// The line that says how many ticks a mark takes itself.
#[must_use]
pub fn cost_line(ticks: u64) -> String {
    format!("{COST}{ticks}")
}

/// The ticks of such a line; nothing for any other line.
#[must_use]
pub fn cost_of_console(line: &str) -> Option<u64> {
    line.strip_prefix(COST)?.parse().ok()
}

/// Marks in a line.
const PER_LINE: usize = 100;

/// Marks of an item as lines for a console: in each line the first mark as it is, those behind
/// it with the ticks since the one before.
pub fn lines(item: &str, marks: &[Mark]) -> impl Iterator<Item = String> {
    marks.chunks(PER_LINE).map(move |marks| {
        let mut before = 0;
        let mut line = format!("{LINE}{item}");
        for mark in marks {
            let ticks = mark.ticks.wrapping_sub(before);
            before = mark.ticks;
            line.push_str(&format!(" {}", Mark { ticks, ..*mark }));
        }
        line
    })
}

/// The item and the marks of such a line; nothing for any other line.
///
/// # Errors
/// It begins like one and is none.
pub fn of_console(line: &str) -> Option<Result<(&str, Vec<Mark>), NoMark>> {
    let mut words = line.strip_prefix(LINE)?.split(' ');
    let item = words.next()?;
    let mut before = 0u64;
    let marks = words.map(|word| {
        let mark: Mark = word.parse()?;
        before = before.wrapping_add(mark.ticks);
        Ok(Mark {
            ticks: before,
            ..mark
        })
    });
    Some(marks.collect::<Result<_, _>>().map(|marks| (item, marks)))
}

/// A text that is no mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMark(pub String);

impl std::error::Error for NoMark {}

impl fmt::Display for NoMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no mark: `{}`", self.0)
    }
}

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let found = LETTERS
            .iter()
            .find_map(|(letter, what)| Some((text.strip_suffix(*letter)?, *what)));
        let mark = found.and_then(|(ticks, what)| {
            let ticks = ticks.parse().ok()?;
            Some(Self { ticks, what })
        });
        mark.ok_or_else(|| NoMark(text.to_owned()))
    }
}

/// The events of Linux that marks are made of, by their folder and name.
pub const EVENTS: [&str; 6] = [
    "sched/sched_switch",
    "raw_syscalls/sys_enter",
    "raw_syscalls/sys_exit",
    "irq/irq_handler_entry",
    "net/napi_gro_receive_entry",
    "net/net_dev_start_xmit",
];

/// The mark of a line of Linux's trace, if it is one of the events. `who` knows programs by what
/// they are called.
pub fn of_line(line: &str, who: impl Fn(&str) -> Who) -> Option<Mark> {
    // `  netmsgd-61  [000] d.h1.  123456789: irq_handler_entry: irq=5 name=virtio0`
    let (_, rest) = line.split_once("] ")?;
    let mut words = rest.split_whitespace().skip(1);
    let ticks = words.next()?.strip_suffix(':')?.parse().ok()?;
    let what = match words.next()?.strip_suffix(':')? {
        "sched_switch" => {
            let next = words.find_map(|word| word.strip_prefix("next_comm="))?;
            What::Run(who(next))
        }
        "sys_enter" => What::Enter,
        "sys_exit" => What::Leave,
        "irq_handler_entry" => What::Interrupt,
        "napi_gro_receive_entry" => What::FrameIn,
        "net_dev_start_xmit" => What::FrameOut,
        _ => return None,
    };
    Some(Mark { ticks, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for (letter, what) in LETTERS {
            let mark = Mark { ticks: 17, what };
            assert_eq!(mark.to_string(), format!("17{letter}"));
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
        for text in ["", "p", "17", "17x", "-1p", "1 7p"] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }

    #[test]
    fn marks_come_through_a_console_whole_and_other_lines_are_none() {
        let mark = |number: u64| Mark {
            ticks: 1_000_000 + number * number,
            what: LETTERS[number as usize % LETTERS.len()].1,
        };
        let marks: Vec<_> = (0..250).map(mark).collect();
        let lines: Vec<_> = lines("netmsgd/null", &marks).collect();
        assert_eq!(lines.len(), 3);
        let mut found = Vec::new();
        for line in &lines {
            let (item, some) = of_console(line).unwrap().unwrap();
            assert_eq!(item, "netmsgd/null");
            found.extend(some);
        }
        assert_eq!(found, marks);
        assert_eq!(of_console("peer: ready"), None);
        assert_eq!(cost_of_console(&cost_line(700)), Some(700));
        assert_eq!(cost_of_console(&lines[0]), None);
        assert!(of_console("@marks x 1p 2q").unwrap().is_err());
    }

    #[test]
    fn lines_of_linux_are_marks_and_its_heads_are_none() {
        let who = |name: &str| match name {
            "init" => Who::Program,
            "netmsgd" => Who::Relay,
            "swapper/0" => Who::Nobody,
            _ => Who::Other,
        };
        let of = |line: &str| of_line(line, who).map(|mark| mark.to_string());
        let switch = "            init-1       [000] d..2. 9000: sched_switch: prev_comm=init \
                      prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=netmsgd next_pid=61 \
                      next_prio=120";
        assert_eq!(of(switch).as_deref(), Some("9000r"));
        let idle = switch.replace("next_comm=netmsgd", "next_comm=swapper/0");
        assert_eq!(of(&idle).as_deref(), Some("9000n"));
        let line = |event: &str| format!("          <idle>-0       [000] d.h1.   17: {event}");
        for (event, letter) in [
            ("sys_enter: NR 44 (3, 7ffc, 10, 0, 0, 0)", "17e"),
            ("sys_exit: NR 44 = 116", "17l"),
            ("irq_handler_entry: irq=5 name=virtio0", "17i"),
            ("napi_gro_receive_entry: dev=eth0 napi_id=0x2001", "17f"),
            ("net_dev_start_xmit: dev=eth0 queue_mapping=0", "17F"),
        ] {
            assert_eq!(of(&line(event)).as_deref(), Some(letter), "{event}");
        }
        for other in [
            "",
            "# tracer: nop",
            "# |||| / delay",
            &line("softirq_entry: vec=3"),
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
