//! QEMU that cannot outlive the runner.
//!
//! Owns a few lines that run in the new process before it becomes QEMU: they ask the kernel to
//! kill the process when its parent dies (`PR_SET_PDEATHSIG`, which survives `exec`), and bind it
//! to a processor. Guards and signal handlers cover every other way out; only this one covers a
//! runner that was killed with SIGKILL.
//!
//! Why the runner starts itself for that: code between `fork` and `exec` is `unsafe` in Rust,
//! and a program of its own, started as usual, needs none.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};

const PARENT: &str = "NORMA_QEMU_PARENT";
const PIN: &str = "NORMA_QEMU_PIN";
const PROGRAM: &str = "NORMA_QEMU_PROGRAM";

static READY: AtomicBool = AtomicBool::new(false);

/// To be called first in `main` by every program that starts QEMU: becomes QEMU if this process
/// was started for that. Without this call all works too, but a runner killed by SIGKILL leaves
/// its QEMUs behind.
pub fn become_qemu_if_asked() {
    let Some(parent) = std::env::var(PARENT).ok().and_then(|pid| pid.parse().ok()) else {
        READY.store(true, Ordering::SeqCst);
        return;
    };
    let error = become_qemu(parent);
    eprintln!("cannot start QEMU: {error}");
    std::process::exit(1);
}

fn become_qemu(parent: i32) -> std::io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // The parent may have died before the line above.
    if getppid() != Pid::from_raw(parent) {
        return std::io::Error::other("the runner has ended");
    }
    if let Some(cpu) = std::env::var(PIN).ok().and_then(|cpu| cpu.parse().ok())
        && let Err(error) = pin(None, cpu)
    {
        return error;
    }
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| super::PROGRAM.into());
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    command
        .env_remove(PARENT)
        .env_remove(PIN)
        .env_remove(PROGRAM);
    command.exec()
}

/// A command that will become `program` with `arguments`, pinned to `cpu` if one is given.
pub(super) fn command(program: &str, arguments: &[OsString], cpu: Option<usize>) -> Command {
    if !READY.load(Ordering::SeqCst) {
        let mut command = Command::new(program);
        command.args(arguments);
        return command;
    }
    // Not `current_exe`: a build may have replaced the file since.
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    command
        .env(PARENT, getpid().as_raw_nonzero().to_string())
        .env(PROGRAM, program);
    if let Some(cpu) = cpu {
        command.env(PIN, cpu.to_string());
    }
    command
}

/// Pins a process that was started without the shim.
pub(super) fn pin_late(pid: Pid, cpu: Option<usize>) -> std::io::Result<()> {
    match cpu {
        Some(cpu) if !READY.load(Ordering::SeqCst) => pin(Some(pid), cpu),
        _ => Ok(()),
    }
}

fn pin(pid: Option<Pid>, cpu: usize) -> std::io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(std::io::Error::other(format!(
            "no processor has the number {cpu}"
        )));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(pid, &set)?)
}
