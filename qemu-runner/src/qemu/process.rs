//! A running QEMU.
//!
//! Owns the process: starting it in a process group of its own (so that a terminal's Ctrl-C
//! reaches the runner and not half of a cluster), the threads that read its console, and its
//! certain end: dropping a [`Process`] kills and reaps QEMU.
//!
//! Why a lock around the process number: once a process is reaped its number may belong to
//! somebody else's process, so killing and reaping exclude each other.

use super::console::read_lines;
use super::{Outcome, PROGRAM, QemuCommand, shim};
use crate::signals;
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a node's QEMU tells the thread that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line on the node's console.
    Line {
        /// Which node.
        node: usize,
        /// The line.
        text: String,
        /// How long after QEMU's start it was read.
        at: Duration,
    },
    /// QEMU has ended; no line follows.
    Exit {
        /// Which node.
        node: usize,
        /// How it ended.
        outcome: Outcome,
    },
}

/// A running QEMU, which ends with this value.
#[derive(Debug)]
pub struct Process {
    group: Arc<Group>,
    waiter: Option<JoinHandle<()>>,
    /// When it was started.
    pub started: Instant,
}

/// The process group of a QEMU, as long as it exists.
#[derive(Debug)]
struct Group(Mutex<Option<Pid>>);

impl Process {
    /// Starts QEMU. `sockets` become its descriptors 3, 4, … in their order. Events go to
    /// `events` with `node` in them. QEMU dies with the calling thread.
    ///
    /// # Errors
    /// QEMU is not there, or the host refuses.
    pub fn start(
        command: &QemuCommand,
        sockets: Vec<OwnedFd>,
        pin: Option<usize>,
        node: usize,
        events: SyncSender<Event>,
    ) -> std::io::Result<Self> {
        let mut process = shim::command(PROGRAM, &command.arguments(), pin);
        process
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mappings = sockets
            .into_iter()
            .zip(3..)
            .map(|(parent_fd, child_fd)| FdMapping {
                parent_fd,
                child_fd,
            });
        process
            .fd_mappings(mappings.collect())
            .map_err(std::io::Error::other)?;
        let started = Instant::now();
        let child = process.spawn()?;
        // The descriptors of the child's ends are closed here, with `process`: only QEMU has them.
        drop(process);
        let group = Arc::new(Group::new(&child));
        let wait = Waiter {
            node,
            events,
            started,
            group: Arc::clone(&group),
        };
        let mut this = Self {
            group,
            waiter: None,
            started,
        };
        if let Some(pid) = this.group.pid() {
            shim::pin_late(pid, pin)?;
        }
        this.waiter = Some(
            std::thread::Builder::new()
                .name(format!("console-{node}"))
                .spawn(move || wait.run(child))?,
        );
        Ok(this)
    }

    /// Kills QEMU, if it has not ended yet.
    pub fn kill(&self) {
        self.group.signal(Signal::KILL);
    }

    /// Stops QEMU as a whole, as if the machine's time stood still.
    pub fn pause(&self) {
        self.group.signal(Signal::STOP);
    }

    /// Lets a stopped QEMU go on.
    pub fn resume(&self) {
        self.group.signal(Signal::CONT);
    }

    /// The host's number for the process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.group.pid().map(|pid| pid.as_raw_nonzero().get())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

impl Group {
    fn new(child: &Child) -> Self {
        let pid = Pid::from_child(child);
        signals::register(pid.as_raw_nonzero().get());
        Self(Mutex::new(Some(pid)))
    }

    fn pid(&self) -> Option<Pid> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *pid {
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Reaps the process, which has ended, and forgets its number in the same breath.
    fn reap(&self, child: &mut Child) -> Outcome {
        let mut pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.wait();
        if let Some(pid) = pid.take() {
            signals::forget(pid.as_raw_nonzero().get());
        }
        status.map_or(Outcome::Other(-1), Outcome::from)
    }
}

/// What the console thread works with.
struct Waiter {
    node: usize,
    events: SyncSender<Event>,
    started: Instant,
    group: Arc<Group>,
}

impl Waiter {
    fn run(self, mut child: Child) {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            if let Some(stderr) = stderr {
                scope.spawn(|| read_lines(stderr, |line| self.send(format!("qemu: {line}"))));
            }
            if let Some(stdout) = stdout {
                read_lines(stdout, |line| self.send(line));
            }
        });
        // Waits without reaping: until `reap`, the number stays ours.
        let _ = waitid(
            WaitId::Pid(Pid::from_child(&child)),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        let outcome = self.group.reap(&mut child);
        let _ = self.events.send(Event::Exit {
            node: self.node,
            outcome,
        });
    }

    fn send(&self, text: String) {
        // Nobody listens any more only when the cluster is being taken down.
        let _ = self.events.send(Event::Line {
            node: self.node,
            text,
            at: self.started.elapsed(),
        });
    }
}
