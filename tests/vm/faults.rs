//! What a guest does wrong ends in a report and an exit code of its own.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::Plan;

/// What the image does wrong, and a word of the report.
const WRONGS: [(&str, &str); 8] = [
    ("panic", "asked to panic"),
    ("overflow", ""),
    ("overflow-thread", ""),
    ("divide", ""),
    ("null", ""),
    ("execute", ""),
    ("write-code", ""),
    ("invalid", ""),
];

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("faults::backtrace_has_names_and_lines", backtrace),
        Test::new("faults::panic::q35", |lab| {
            reports(lab, "panic", "asked to panic", Machine::Q35)
        }),
        Test::new("faults::failure_has_its_own_code", failure),
        Test::new("faults::killed_is_no_success", killed),
    ];
    tests.extend(WRONGS.into_iter().map(|(what, word)| {
        Test::new(format!("faults::{what}"), move |lab| {
            reports(lab, what, word, Machine::Microvm)
        })
    }));
    tests
}

fn reports(lab: &Lab, what: &str, word: &str, machine: Machine) -> Result<()> {
    let node = lab
        .alone("bad", "selftest")?
        .machine(machine)
        .argument(&format!("test={what}"));
    lab.run(Plan::new(vec![node]), |run| {
        run.expect("bad", "norma: panic", deadline())?;
        run.expect("bad", "norma: frame 0x", deadline())?;
        ends(run, "bad", Outcome::Panic)?;
        ensure!(
            run.log("bad").iter().any(|line| line.contains(word)),
            "no line says `{word}`"
        );
        Ok(())
    })
}

/// The runner turns the addresses of a backtrace into names and lines.
fn backtrace(lab: &Lab) -> Result<()> {
    let node = lab.alone("bad", "selftest")?.argument("test=panic");
    lab.run(Plan::new(vec![node]), |run| {
        ends(run, "bad", Outcome::Panic)?;
        let log = run.log("bad");
        let has = |name: &str, place: &str| {
            log.iter()
                .any(|line| line.contains(name) && line.contains(place))
        };
        ensure!(
            has("deeper", "selftest/src/faults.rs:"),
            "the function that panicked has no name"
        );
        ensure!(
            has("main", "selftest/src/main.rs:"),
            "its caller has no name"
        );
        Ok(())
    })
}

fn failure(lab: &Lab) -> Result<()> {
    let node = lab.alone("bad", "selftest")?.argument("test=fail");
    lab.single(node, "norma: ", Outcome::Fail)
}

/// A QEMU that was killed has not passed, whatever it printed.
fn killed(lab: &Lab) -> Result<()> {
    let node = lab.alone("gone", "hello")?.extra(["-S"]);
    lab.run(Plan::new(vec![node]), |run| {
        run.kill("gone");
        ends(run, "gone", Outcome::Signal(9))
    })
}
