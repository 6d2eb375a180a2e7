//! The figures to reach, and whether they were.
//!
//! Owns: each bar, which figures it is about, the verdict.
//! Why this way: what was not measured is neither met nor missed, and says so.

use super::figures::Figure;
use super::history::SERVER_AGAINST_KERNEL;
use super::systems::{NORMA, NORMA_TASKS, Runs, SERVER, SYSTEMS};
use norma_peer::plan::Carrier;
use serde::Serialize;

/// What is to be reached: in JSON `{"at_least":4.0}` or `{"at_most":1500.0}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

/// One figure to reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// What is compared.
    pub what: String,
    /// What is to be reached.
    #[serde(flatten)]
    pub bar: Bar,
    /// The value, if measured.
    pub value: Option<f64>,
    /// Whether it was reached, if measured.
    pub met: Option<bool>,
    /// What others have published of the same, with what it is made of.
    pub published: Option<&'static str>,
}

impl Bar {
    /// As it is printed.
    pub fn words(self) -> String {
        match self {
            Self::AtLeast(bar) => format!(">= {bar}"),
            Self::AtMost(bar) => format!("<= {bar}"),
        }
    }

    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }
}

impl Target {
    /// As it is printed.
    pub fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }
}

fn judged(what: &str, bar: Bar, value: Option<f64>) -> Target {
    Target {
        what: what.into(),
        bar,
        value,
        met: value.map(|value| bar.is_met_by(value)),
        published: None,
    }
}

fn target(what: &str, at_least: f64, value: Option<f64>) -> Target {
    judged(what, Bar::AtLeast(at_least), value)
}

/// All of them, judged.
pub fn judge(figures: &[Figure]) -> Vec<Target> {
    let find = |system: &str, operation: &str| {
        let named = |f: &&Figure| (f.system, f.operation) == (system, operation);
        figures.iter().find(named)
    };
    let software = |system: &str| {
        find(system, "null")?
            .software_ratio
            .map(|ratio| ratio.value)
    };
    let instructions = |system: &str, operation: &str| {
        find(system, operation)?
            .counts
            .as_ref()
            .map(|counts| counts.instructions)
    };
    let more_instructions =
        |system: &str| Some(instructions(system, "null")? / instructions(NORMA, "null")?);
    // Of all sizes of frames, the one that is best for TCP.
    let tcp = SYSTEMS.iter().filter(|system| {
        matches!(
            system.runs,
            Runs::Peer {
                carrier: Carrier::Tcp,
                ..
            }
        )
    });
    let tcp = tcp.filter_map(|system| find(system.name, "1m")?.mb_per_s);
    let tcp = tcp.max_by(f64::total_cmp);
    let norma = find(NORMA, "1m").and_then(|figure| figure.mb_per_s);
    let between_tasks = |ratio: &dyn Fn(&str) -> Option<f64>| {
        let (server, norma) = ratio(SERVER).zip(ratio(NORMA_TASKS))?;
        Some(server / norma)
    };
    vec![
        target(
            "null RPC, software only: Linux UDP / norma",
            4.0,
            software("linux-udp"),
        ),
        target(
            "null RPC, software only: Linux TCP / norma",
            5.0,
            software("linux-tcp"),
        ),
        target(
            "null RPC, software only: Linux netmsgd / norma",
            10.0,
            software("netmsgd"),
        ),
        target(
            "1 MiB with an answer each, MB/s: norma / the best Linux TCP, polling or not",
            2.0,
            norma.zip(tcp).map(|(norma, tcp)| norma / tcp),
        ),
        target(
            "null RPC, guest instructions: Linux UDP / norma",
            6.0,
            more_instructions("linux-udp"),
        ),
        target(
            "null RPC, guest instructions: Linux netmsgd / norma",
            11.0,
            more_instructions("netmsgd"),
        ),
        Target {
            published: Some(SERVER_AGAINST_KERNEL),
            ..target(
                "null RPC between tasks, software only: the server in ring 3 / norma in the kernel",
                3.7,
                between_tasks(&software),
            )
        },
        target(
            "null RPC between tasks, guest instructions: the server in ring 3 / norma in the kernel",
            4.0,
            between_tasks(&more_instructions),
        ),
        judged(
            "null RPC between tasks of one node, guest instructions",
            Bar::AtMost(1500.0),
            instructions(NORMA_TASKS, "local"),
        ),
    ]
}
