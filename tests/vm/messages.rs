//! What goes wrong is recognised, and explained with the way out.
//!
//! Each is brought about by a node that does it, or by an image that is none; what a host does (no
//! memory, no KVM or a slow one, a QEMU that is missing or too old) in `setup.rs`.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Context as _, Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Instant;

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("messages::no_output", no_output),
        Test::new("messages::a_test_that_waits_in_vain", in_vain),
        Test::new("messages::frames_that_the_switch_dropped", dropped),
        Test::new("messages::no_image", |lab| {
            let file = lab.root().join("README.md");
            not_started(lab, file, "it is no image of norma")
        }),
        Test::new("messages::another_program", |lab| {
            not_started(lab, std::env::current_exe()?, "it is no image of norma")
        }),
        Test::new("messages::no_file", |lab| {
            not_started(
                lab,
                "/nowhere/image".into(),
                "QEMU cannot read /nowhere/image",
            )
        }),
        Test::new("messages::a_word_that_qemu_does_not_know", |lab| {
            let node = lab.alone("bad", "hello")?.extra(["-nonsense"]);
            explained(
                lab,
                node,
                Outcome::Other(1),
                "did not accept its command line",
            )
        }),
        Test::new("messages::out_of_memory", |lab| {
            let node = lab.alone("bad", "selftest")?.argument("test=exhaust");
            explained(lab, node, Outcome::Panic, "has used up its 64 MiB")
        }),
    ];
    for machine in [Machine::Microvm, Machine::Q35] {
        let word = machine.word();
        tests.push(Test::new(
            format!("messages::triple_fault::{word}"),
            move |lab| {
                let node = lab.alone("bad", "selftest")?.machine(machine);
                let node = node.argument("test=triple");
                explained(lab, node, Outcome::Reset, "a triple fault")
            },
        ));
        tests.push(Test::new(format!("messages::hang::{word}"), move |lab| {
            hang(lab, machine)
        }));
    }
    tests
}

/// A node ends like this, and the report about it has these words.
fn explained(lab: &Lab, node: NodePlan, outcome: Outcome, words: &str) -> Result<()> {
    lab.run(Plan::new(vec![node]), |run| {
        ends(run, "bad", outcome)?;
        let report = run.failure_report("bad");
        ensure!(report.contains("what that means: "), "{report}");
        ensure!(report.contains(words), "no `{words}`: {report}");
        Ok(())
    })
}

fn not_started(lab: &Lab, image: PathBuf, words: &str) -> Result<()> {
    if lab.is_dry() {
        return Ok(());
    }
    explained(lab, NodePlan::new("bad", &image), Outcome::Other(1), words)
}

/// A processor that does not start.
fn no_output(lab: &Lab) -> Result<()> {
    let node = lab.alone("mute", "hello")?.extra(["-S"]);
    lab.run(Plan::new(vec![node]), |run| {
        let report = run.failure_report("mute");
        ensure!(report.contains("is still running"), "{report}");
        ensure!(report.contains("has printed nothing"), "{report}");
        Ok(())
    })
}

/// A test that fails because nothing comes says what the threads of its nodes do.
fn in_vain(lab: &Lab) -> Result<()> {
    if lab.is_dry() {
        return Ok(());
    }
    let node = lab.alone("stuck", "selftest")?.argument("test=hang");
    let failed = lab.run(Plan::new(vec![node]), |run| {
        run.expect("stuck", "hanging", deadline())?;
        let over = Instant::now();
        run.expect("stuck", "what it never says", over)
            .context("in vain")?;
        Ok(())
    });
    let text = failed.err().context("it did not fail")?.to_string();
    for words in [
        "in vain: time-out while waiting for a line that begins with `what it never says`",
        "it was stopped, and said what its threads do",
        "patient: waits for a message at port ",
    ] {
        ensure!(text.contains(words), "no `{words}`: {text}");
    }
    Ok(())
}

/// What no node got and no rule dropped is told.
fn dropped(lab: &Lab) -> Result<()> {
    let node = lab.node("a", "hello")?.extra(["-S"]);
    let plan = Plan::together(vec![node]).switched();
    let host = plan.host_station();
    lab.run(plan, |run| {
        let report = run.failure_reports();
        ensure!(!report.contains("dropped"), "{report}");
        let switch = run.switch(0).context("no switch")?;
        UnixDatagram::from(switch.node_end(host)?).send(&[0; 13])?;
        let deadline = deadline();
        while switch.stats().malformed == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let said = "the runner's switch dropped frames: 1 that";
        for report in [run.failure_reports(), run.failure_reports_in_short()] {
            ensure!(report.contains(said), "{report}");
        }
        Ok(())
    })
}

/// A node that takes no interrupt and answers nobody still says what each thread does.
fn hang(lab: &Lab, machine: Machine) -> Result<()> {
    let node = lab.alone("stuck", "selftest")?.machine(machine);
    let plan = Plan::new(vec![node.argument("test=hang")]);
    lab.run(plan.findable("test"), |run| {
        run.expect("stuck", "hanging", deadline())?;
        run.ask_what_they_do();
        let report = run.failure_report("stuck");
        for words in [
            "it was stopped, and said what its threads do",
            "norma: stopped in thread main",
            // Who called where it is.
            "selftest/src/faults.rs:",
            "patient: waits for a message at port ",
            // Where that thread waits.
            "receive",
            "node: waits for a message at a port of set 0",
        ] {
            ensure!(report.contains(words), "no `{words}`: {report}");
        }
        // In its loop, or still in the line that was waited for.
        let named = report.contains("forever") || report.contains("  hang (");
        ensure!(named, "no function is named: {report}");
        ensure!(!report.contains("frame 0x0\n"), "{report}");
        // Who has seen the consoles is not told all that again.
        let report = run.failure_reports_in_short();
        ensure!(
            report == "node stuck was still running; what its threads did is above\n",
            "{report}"
        );
        Ok(())
    })
}
