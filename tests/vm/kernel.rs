//! The platform half of the kernel, tried by the image `selftest`.

use crate::Test;
use crate::lab::Lab;
use anyhow::Result;
use qemu_runner::qemu::{Machine, Outcome};

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
        Test::new(name, move |lab| survives(lab, what, machine))
    };
    TRIES.into_iter().map(test).collect()
}

fn survives(lab: &Lab, what: &str, machine: Machine) -> Result<()> {
    let node = lab
        .alone("self", "selftest")?
        .machine(machine)
        .argument(&format!("test={what}"));
    lab.single(
        node,
        &format!("@result {{\"test\":\"{what}\",\"passed\":true}}"),
        Outcome::Pass,
    )
}
