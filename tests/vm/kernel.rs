//! The platform half of the kernel, tried by the image `selftest`.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::Result;
use qemu_runner::qemu::{Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan};

/// What the image tries, on which machine. The PC differs in its interrupt routing, so what
/// waits for interrupts runs on both.
const TRIES: [(&str, Machine); 17] = [
    ("threads", Machine::Microvm),
    ("threads", Machine::Q35),
    ("many", Machine::Microvm),
    ("loan", Machine::Microvm),
    ("cancel", Machine::Microvm),
    ("preemption", Machine::Microvm),
    ("preemption", Machine::Q35),
    ("timers", Machine::Microvm),
    ("timers", Machine::Q35),
    ("memory", Machine::Microvm),
    ("oom", Machine::Microvm),
    ("injection", Machine::Microvm),
    ("notifications", Machine::Microvm),
    ("notifications", Machine::Q35),
    ("sets", Machine::Microvm),
    ("moves", Machine::Microvm),
    ("names", Machine::Microvm),
];

pub fn tests() -> Vec<Test> {
    let test = |(what, machine): (&'static str, Machine)| {
        let name = format!("kernel::{what}::{}", machine.word());
        Test::new(name, move |lab| {
            let node = lab.alone("self", "selftest")?;
            survives(lab, Plan::new(vec![tries(node, what, machine)]), what)
        })
    };
    // Frames published while the card goes to sleep: under emulation with one processor an
    // ordinary fence is nothing, and now and then a node went silent for good.
    let notices = |machine: Machine| {
        let name = format!("kernel::notices::{}", machine.word());
        Test::new(name, move |lab| {
            let node = tries(lab.node("self", "selftest")?, "notices", machine);
            let plan = Plan::new(vec![node]).network("net", vec![0]).switched();
            survives(lab, plan, "notices")
        })
    };
    let with_card = [Machine::Microvm, Machine::Q35].map(notices);
    TRIES.into_iter().map(test).chain(with_card).collect()
}

fn tries(node: NodePlan, what: &str, machine: Machine) -> NodePlan {
    node.machine(machine).argument(&format!("test={what}"))
}

fn survives(lab: &Lab, plan: Plan, what: &str) -> Result<()> {
    let line = format!("@result {{\"test\":\"{what}\",\"passed\":true}}");
    lab.run(plan, |run| {
        run.expect("self", &line, deadline())?;
        ends(run, "self", Outcome::Pass)
    })
}
