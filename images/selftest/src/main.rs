//! Tries the platform half of the kernel on a real (virtual) machine: `test=NAME` on the
//! command line says what.
//!
//! A test that should survive prints `@result {"test":"NAME","passed":true}` and ends with the
//! code for a pass. Those in [`faults`] are meant to end in a report.
#![no_std]
#![no_main]

extern crate alloc;

mod calls;
mod card;
mod faults;
mod memory;
mod ports;
mod speed;
mod stress;
mod threads;
mod timers;

use core::fmt;
use norma_boot::{BootInfo, Node, println};

norma_boot::image!(main);

/// Nanoseconds after which what has not happened will not: long, for a busy host may stop the
/// whole machine for a while, and nothing waits for it that goes well.
const LONG: u64 = 30_000_000_000;

/// What was expected and did not happen.
pub struct Failure(pub &'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Fails the test if `condition` does not hold.
pub fn check(condition: bool, expectation: &'static str) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(Failure(expectation))
    }
}

fn main(node: Node) -> Result<(), Failure> {
    let boot = node.boot();
    let name = boot.command_line().get("test").unwrap_or("none");
    match name {
        "boot" => show(boot),
        "threads" => threads::all(),
        "many" => calls::many(&node),
        "loan" => calls::loan(&node),
        "cancel" => calls::cancel(&node),
        "preemption" => threads::preemption(),
        "timers" => timers::all(),
        "memory" => memory::all(),
        "oom" => memory::exhaustion(),
        "injection" => memory::injection(),
        "speed" => speed::all(),
        "stress" => stress::all(),
        "long" => timers::long(),
        "notifications" => ports::try_out(ports::notifications, &node),
        "sets" => ports::try_out(ports::sets, &node),
        "moves" => ports::try_out(ports::moves, &node),
        "names" => ports::try_out(ports::names, &node),
        "notices" => card::notices(&node),
        "panic" => faults::panic(),
        "overflow" => faults::overflow(),
        "overflow-thread" => faults::overflow_in_thread(),
        "divide" => faults::divide(),
        "null" => faults::null(),
        "execute" => faults::execute_data(),
        "write-code" => faults::write_code(),
        "invalid" => faults::invalid_instruction(),
        "triple" => faults::triple(),
        "hang" => faults::hang(),
        "exhaust" => faults::exhaust(),
        "fail" => Err(Failure("asked to fail")),
        _ => Err(Failure("no such test")),
    }?;
    println!("@result {{\"test\":\"{name}\",\"passed\":true}}");
    Ok(())
}

fn show(boot: &BootInfo) -> Result<(), Failure> {
    println!("command line: {}", boot.command_line().text());
    println!("devices: {:x?}", boot.mmio_devices());
    println!("free frames: {}", norma_kernel::memory::free_frames());
    if let Some(module) = boot.module() {
        let sum = module.iter().fold(0u64, |sum, &byte| sum + u64::from(byte));
        println!("module: {} bytes, sum {sum}", module.len());
    }
    check(boot.seed() != [0; 32], "the seed is random")
}
