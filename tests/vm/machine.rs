//! What a machine lacks is said, with the QEMU option that mends it.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Result, ensure};
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("machine::no_randomness", no_randomness),
        Test::new("machine::no_clock", no_clock),
    ];
    for machine in [Machine::Microvm, Machine::Q35] {
        let name = |what: &str| format!("machine::{what}::{}", machine.word());
        tests.push(Test::new(name("no_network_card"), move |lab| {
            no_network_card(lab, machine)
        }));
        tests.push(Test::new(name("legacy_card"), move |lab| {
            legacy_card(lab, machine)
        }));
    }
    tests
}

/// Expects that node `a` of a plan refuses to start, and names this option.
fn refuses(lab: &Lab, plan: Plan, option: &str) -> Result<()> {
    lab.run(plan, |run| {
        let line = run.expect("a", "norma: refused to start: ", deadline())?;
        ensure!(
            line.contains(option),
            "the option `{option}` is not named: {line}"
        );
        ends(run, "a", Outcome::Refused)
    })
}

fn on_a_network(node: NodePlan) -> Plan {
    Plan::new(vec![node]).network("net", vec![0])
}

fn no_clock(lab: &Lab) -> Result<()> {
    let node = lab.alone("a", "hello")?.cpu("max,-tsc");
    refuses(lab, Plan::new(vec![node]), "-cpu")
}

fn no_randomness(lab: &Lab) -> Result<()> {
    let node = lab.alone("a", "hello")?.cpu("max,-rdrand,-rdseed");
    refuses(lab, Plan::new(vec![node]), "-cpu max")
}

fn no_network_card(lab: &Lab, machine: Machine) -> Result<()> {
    let node = lab.node("a", "hello")?.machine(machine);
    refuses(lab, Plan::new(vec![node]), "-device virtio-net")
}

fn legacy_card(lab: &Lab, machine: Machine) -> Result<()> {
    let option = match machine {
        Machine::Microvm => "virtio-mmio.force-legacy=",
        Machine::Q35 => "disable-modern=off",
    };
    refuses(
        lab,
        on_a_network(lab.node("a", "hello")?.machine(machine).legacy_devices()),
        option,
    )
}
