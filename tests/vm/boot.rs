//! One ELF, two machines.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::Plan;

pub fn tests() -> Vec<Test> {
    let mut tests = vec![Test::new("boot::says_who_it_is", says_who_it_is)];
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
