//! `cargo norma gdb` on real nodes, as a person types it.

use crate::Test;
use crate::lab::{Lab, deadline};
use crate::network::client;
use crate::runner::program;
use anyhow::{Context as _, Result, ensure};
use qemu_runner::qemu::Machine;
use qemu_runner::run::Plan;
use qemu_runner::running;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

pub fn tests() -> Vec<Test> {
    let test = |machine: Machine| {
        let name = format!("gdb::threads_ports_and_messages_on_{}", machine.word());
        Test::new(name, move |lab| looks(lab, machine))
    };
    vec![
        test(Machine::Microvm),
        test(Machine::Q35),
        Test::new("gdb::a_node_that_does_not_run", |_| nobody()),
    ]
}

/// A node that serves, while another calls it; gdb stops it at an answer, looks, and lets it go on.
fn looks(lab: &Lab, machine: Machine) -> Result<()> {
    let cluster = format!("gdb-{}-{}", machine.word(), std::process::id());
    let b = lab.node("b", "nettest")?.argument("test=serve");
    let a = client(lab, "calls", &["n=1000000"])?;
    let plan = Plan::pair(b.machine(machine), a.machine(machine));
    lab.run(plan.cluster(&cluster).findable("test"), |run| {
        run.expect("b", "serving", deadline())?;
        // Where a server of this node answers a caller of another.
        let source = std::fs::read_to_string(lab.root().join("kernel/src/face/receive.rs"))?;
        let line = source
            .lines()
            .position(|line| line.starts_with("fn answer_otherwise"));
        // The function's first line is behind its five of arguments and result.
        let stop = format!(
            "hbreak face/receive.rs:{}",
            line.context("no such function")? + 6
        );
        let node = format!("{cluster}/b");
        let output = gdb(&[
            &node,
            "--command",
            &stop,
            "--command",
            "continue",
            "--command",
            "norma threads",
            "--command",
            "norma ports",
            "--command",
            "norma message",
        ])?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{}: {output:?}", output.status);
        let says = |wanted: &str| -> Result<()> {
            ensure!(text.contains(wanted), "nothing says {wanted:?} in\n{text}");
            Ok(())
        };
        says("* thread 0 'main': ")?;
        says("norma_kernel::thread::")?;
        says("(images/nettest/src/server.rs:")?;
        says("Receiving(port ")?;
        says("waits for a message")?;
        says(": Queue, queue 0 of 16, ")?;
        // The message that was just answered: how many calls there were, and which this is.
        says("'count'\n  message 0xffff8")?;
        says(": id 0, 16 bytes, 0 rights\n    data ")?;
        ensure!(goes_on(&cluster)?, "the node stands still");
        Ok(())
    })
}

/// `cargo norma gdb` with these arguments.
pub fn gdb(arguments: &[&str]) -> Result<Output> {
    // A breakpoint that is never met must not hold the tests up.
    let mut command = Command::new("timeout");
    command.arg("60").arg(program()?).arg("gdb");
    Ok(command.args(arguments).output()?)
}

/// Whether QEMU says that its machine runs.
fn goes_on(cluster: &str) -> Result<bool> {
    let (_, node) = running::find(&format!("{cluster}/b"))?;
    let mut monitor = UnixStream::connect(node.socket(running::MONITOR)?)?;
    let mut answers = BufReader::new(monitor.try_clone()?).lines();
    let mut answer = || answers.next().context("QEMU's monitor says nothing");
    for command in ["qmp_capabilities", "query-status"] {
        answer()??;
        writeln!(monitor, "{{\"execute\":\"{command}\"}}")?;
    }
    // Events may come in between.
    loop {
        let line = answer()??;
        if line.contains("\"running\": ") {
            return Ok(line.contains("\"running\": true"));
        }
    }
}

fn nobody() -> Result<()> {
    let output = gdb(&["nobody/nowhere"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{}", output.status);
    ensure!(text.contains("nobody/nowhere"), "{text}");
    Ok(())
}
