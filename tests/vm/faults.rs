//! What a guest does wrong ends in a report and an exit code of its own.

use crate::Test;
use crate::lab::{Lab, ends};
use anyhow::{Context, Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::Plan;

/// What the image does wrong, and the words of the report in which it is told, in their order.
const WRONGS: [(&str, &[&str]); 7] = [
    ("overflow", &["stack overflow in thread main"]),
    ("overflow-thread", &["stack overflow in thread deep"]),
    (
        "divide",
        &["in thread main: division by zero or overflow in a division"],
    ),
    (
        "null",
        &[
            "in thread main: page fault: write at 0x8, nothing is mapped there",
            "(a null pointer)",
        ],
    ),
    (
        "execute",
        &[
            "in thread main: page fault: execution at 0x",
            "the page does not allow it",
        ],
    ),
    (
        "write-code",
        &[
            "in thread main: page fault: write at 0x",
            "the page does not allow it",
        ],
    ),
    ("invalid", &["in thread main: invalid instruction"]),
];

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("faults::backtrace_has_names_and_lines", backtrace),
        Test::new("faults::panic", |lab| panics(lab, Machine::Microvm)),
        Test::new("faults::panic::q35", |lab| panics(lab, Machine::Q35)),
        Test::new("faults::failure_has_its_own_code", failure),
        Test::new("faults::killed_is_no_success", killed),
    ];
    tests.extend(WRONGS.into_iter().map(|(what, words)| {
        Test::new(format!("faults::{what}"), move |lab| {
            let mut report = vec!["norma: panic"];
            report.extend(words);
            // An exception tells the registers too.
            report.extend(["norma: rip=0x", " cr2=0x", " rax=0x", "norma: frame 0x"]);
            reports(lab, what, &report, Machine::Microvm)
        })
    }));
    tests
}

fn panics(lab: &Lab, machine: Machine) -> Result<()> {
    let report = [
        "norma: panic in thread main: asked to panic at ",
        "norma: frame 0x",
    ];
    reports(lab, "panic", &report, machine)
}

/// The node ends with a report that has these words, one behind the other.
fn reports(lab: &Lab, what: &str, words: &[&str], machine: Machine) -> Result<()> {
    let node = lab
        .alone("bad", "selftest")?
        .machine(machine)
        .argument(&format!("test={what}"));
    lab.run(Plan::new(vec![node]), |run| {
        ends(run, "bad", Outcome::Panic)?;
        let log = run.log("bad").join("\n");
        let mut rest = log.as_str();
        for word in words {
            let found = rest.split_once(word).map(|(_, behind)| behind);
            rest = found.with_context(|| format!("no line says `{word}`, or too early"))?;
        }
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
