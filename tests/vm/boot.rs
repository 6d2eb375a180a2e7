//! One ELF, two machines.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::Plan;

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("boot::says_who_it_is", says_who_it_is),
        Test::new("boot::what_is_laid_out_together_is_there", laid_out),
    ];
    for machine in [Machine::Microvm, Machine::Q35] {
        let name = format!("boot::{}", machine.word());
        tests.push(Test::new(name, move |lab| boots(lab, machine)));
    }
    tests
}

fn boots(lab: &Lab, machine: Machine) -> Result<()> {
    let node = lab.alone("solo", "hello")?.machine(machine);
    lab.run(Plan::new(vec![node]), |run| {
        run.expect("solo", "norma: ready node=solo", deadline())?;
        run.expect("solo", "hello from node solo", deadline())?;
        ends(run, "solo", Outcome::Pass)
    })
}

/// The command line reaches the image, and QEMU's own additions do not disturb it.
fn says_who_it_is(lab: &Lab) -> Result<()> {
    let node = lab
        .alone("zoe", "selftest")?
        .argument("test=boot")
        .argument("key=value");
    lab.run(Plan::new(vec![node]).cluster("zoo"), |run| {
        let line = run.wait_line("zoe", |line| line.starts_with("command line:"), deadline())?;
        ensure!(
            line.contains("node=zoe cluster=zoo network=off test=boot key=value"),
            "{line}"
        );
        run.expect(
            "zoe",
            "@result {\"test\":\"boot\",\"passed\":true}",
            deadline(),
        )?;
        ends(run, "zoe", Outcome::Pass)
    })
}

/// Every function that the linker's script puts onto the pages of a message's path is in the
/// image that measures it: the linker itself does not mind a name that is not there any more.
fn laid_out(lab: &Lab) -> Result<()> {
    let script = std::fs::read_to_string(lab.root().join("boot/image.ld"))?;
    let image = std::fs::read(lab.image("bench")?)?;
    let words = image
        .split(|byte| *byte == 0)
        .filter_map(|word| str::from_utf8(word).ok());
    let functions: Vec<_> = words.filter(|word| word.starts_with("_ZN")).collect();
    let patterns: Vec<_> = script
        .split(|c: char| c.is_whitespace() || "()".contains(c))
        .filter_map(|word| word.strip_prefix(".text.*"))
        .filter(|pattern| !pattern.is_empty())
        .collect();
    ensure!(!patterns.is_empty(), "the script names no function");
    for pattern in patterns {
        let found = functions.iter().any(|name| has(name, pattern));
        ensure!(found, "boot/image.ld: no function is called {pattern}");
    }
    Ok(())
}

/// Whether the parts of a pattern between its asterisks come in a name, in their order.
fn has(name: &str, pattern: &str) -> bool {
    let mut rest = name;
    pattern.split('*').all(|part| {
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}
