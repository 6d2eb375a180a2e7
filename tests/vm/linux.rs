//! Linux guests, with which norma is compared: they start, find their devices and answer.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Context as _, Result, ensure};
use norma_peer::plan::{Carrier, Item, Kind, Plan as Work, Wait};
use qemu_runner::linux::{Kit, Role};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::Plan;
use std::path::PathBuf;

pub fn tests() -> Vec<Test> {
    vec![Test::new("linux::every_carrier_answers", |lab| {
        let items = [
            item("udp", Carrier::Udp),
            item("tcp", Carrier::Tcp),
            item("raw", Carrier::Raw),
            item("unix", Carrier::Unix),
            Item {
                wait: Wait::Poll,
                ..item("polled", Carrier::Udp)
            },
            Item {
                callers: 4,
                mtu: 1500,
                ..item("crowd", Carrier::Tcp)
            },
            Item {
                kind: Kind::Stream,
                request: 100_000,
                ..item("stream", Carrier::Tcp)
            },
            item("relay", Carrier::Relay),
            Item {
                kind: Kind::Stream,
                request: 100_000,
                wait: Wait::Poll,
                ..item("relay-stream", Carrier::Relay)
            },
        ];
        measured(lab, items.into())
    })]
}

fn item(name: &str, carrier: Carrier) -> Item {
    Item {
        name: name.into(),
        carrier,
        wait: Wait::Block,
        mtu: 9000,
        kind: Kind::Call,
        request: 1000,
        reply: 64,
        callers: 1,
        n: 20,
        warmup: 4,
    }
}

/// Two guests measure these, and every one has a result.
fn measured(lab: &Lab, items: Vec<Item>) -> Result<()> {
    let work = Work {
        rounds: 1,
        items,
        marked: false,
    };
    let folder = tempfile::tempdir()?;
    let (kit, archive) = if lab.is_dry() {
        (
            Kit::expected(lab.context()),
            PathBuf::from("TEMPORARY/archive"),
        )
    } else {
        let kit = Kit::prepare(lab.context())?;
        let file = folder.path().join("archive");
        std::fs::write(&file, kit.archive(Machine::Microvm, &work)?.finish())?;
        (kit, file)
    };
    let node = |name, role| kit.node(name, role, Machine::Microvm, &archive);
    let plan = Plan::pair(node("b", Role::Serving), node("a", Role::Calling));
    lab.run(plan, |run| {
        for item in &work.items {
            let line = run.expect("a", "@bench ", deadline())?;
            let json = line.strip_prefix("@bench ").context("a result")?;
            let result: serde_json::Value = serde_json::from_str(json)?;
            ensure!(result["name"] == item.name.as_str(), "not the next: {line}");
            ensure!(result["total"].as_u64() > Some(0), "no time passed: {line}");
        }
        ends(run, "a", Outcome::Pass)?;
        ends(run, "b", Outcome::Pass)
    })
}
