//! The first and only program of a Linux guest that norma is compared with.
//!
//! Owns: the order of a guest's life. It is `/init`: it loads the drivers, brings the network
//! up, and then serves or calls as the plan says, until the virtual machine ends.
//! Leaves to others: the guest (`guest`), what is agreed between the two (`control`), the
//! carriers (`frames`, `datagrams`, `streams`, `local`, `relays`), system calls (`sys`), what tells where
//! time goes (`tracing`).
//! Why this way: nothing else runs in the guest, so nothing else is measured; and one static
//! program needs no root file system.

mod control;
mod datagrams;
mod frames;
mod guest;
mod local;
mod message;
mod relays;
mod streams;
mod stretch;
mod sys;
mod tracing;

use norma_peer::plan::Plan;
use std::process::ExitCode;

/// What the exit device is told: all is well; something failed.
const PASS: u32 = 16;
const FAIL: u32 = 17;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, rest @ ..] = &arguments[..]
        && word == local::SERVER
    {
        return match local::serve(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the local server: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    if std::process::id() != 1 {
        eprintln!(
            "norma-peer is the first program of a Linux guest: see `cargo norma bench compare`"
        );
        return ExitCode::FAILURE;
    }
    // A panic must not leave a machine that waits for nothing.
    let done = std::panic::catch_unwind(|| run(&arguments));
    match done {
        Ok(Ok(())) => sys::leave(PASS),
        Ok(Err(error)) => println!("@peer-error {error:#}"),
        Err(_) => println!("@peer-error panicked"),
    }
    sys::leave(FAIL)
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let role = guest::Role::parse(arguments)?;
    guest::prepare(&role)?;
    let plan: Plan = std::fs::read_to_string(norma_peer::plan::FILE)?.parse()?;
    if plan.marked {
        tracing::Tracing::prepare()?;
    }
    println!("peer: ready");
    match role.serving {
        true => control::serve(&plan),
        false => control::call(&plan),
    }
}
