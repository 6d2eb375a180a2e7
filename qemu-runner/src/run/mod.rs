//! Several nodes together.
//!
//! Owns starting what a [`Plan`] says, waiting for lines and ends with a deadline (never with a
//! sleep), and the report about a node that failed. Leaves to the callers what the lines mean.

mod error;
mod explain;
mod log;
mod mishaps;
mod monitor;
mod outside;
mod plan;

pub use error::RunError;
pub use plan::{Network, NodePlan, Plan};

pub use crate::qemu::{Event, Outcome};

use crate::limits::{MONITOR_PATIENCE, REPORTED_LINES, SIGNAL_POLL, STOPPED_LINES};
use crate::link::door::Door;
use crate::link::{Stats, Switch};
use crate::qemu::{Process, QemuCommand};
use crate::running::Registration;
use crate::signals;
use crate::symbols::{Symbols, frame_address};
use crate::trace::{Memory, Trace};
use crate::ui::Ui;
use explain::Facts;
use log::Log;
use mishaps::Agenda;
use outside::lend_memory;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// A running cluster, which ends with this value: every QEMU is killed and reaped.
pub struct Run {
    // First, so that console threads find nobody listening and end while the nodes are dropped.
    events: Receiver<Event>,
    // Kept for nodes that are started again.
    sender: SyncSender<Event>,
    nodes: Vec<Node>,
    switches: Vec<Switch>,
    agenda: Agenda,
    ui: Ui,
    echo: bool,
    // As long as these live, other commands come to the networks, and find the nodes.
    _door: Option<Door>,
    _registration: Option<Registration>,
}

/// A node of a running cluster.
struct Node {
    name: String,
    command: QemuCommand,
    pin: Option<usize>,
    process: Process,
    log: Log,
    outcome: Option<Outcome>,
    symbols: Lazy,
    panicking: bool,
    fated: Fated,
    /// Where QEMU's monitor listens.
    monitor: Option<PathBuf>,
    /// It was stopped to say what its threads do.
    hung: bool,
    trace: Option<(Trace, u64)>,
    // Behind the process: what is in it is read when QEMU has ended.
    _memory: Option<Memory>,
}

/// What a fault rule has done to a node that has not ended yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fated {
    #[default]
    No,
    /// It was killed.
    Crash,
    /// It was killed, and is started anew when it has ended.
    Reboot,
}

/// Symbols that are read when the first backtrace comes.
enum Lazy {
    Unread(PathBuf),
    Read(Option<Symbols>),
}

impl Run {
    /// The next event of any node. Meanwhile what the plan's rules have in store for nodes
    /// befalls them. The end of a node that is started anew is no event.
    ///
    /// # Errors
    /// The deadline has passed, a request to end has come, or a node cannot be started anew.
    pub fn next(&mut self, deadline: Instant) -> Result<Event, RunError> {
        loop {
            self.befall()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.min(SIGNAL_POLL).min(self.agenda.rest());
            match self.events.recv_timeout(wait) {
                Ok(Event::Exit { node, .. }) if self.nodes[node].fated == Fated::Reboot => {
                    self.start_anew(node)?;
                }
                // What ends now was ended by that request.
                Ok(Event::Exit { .. }) if signals::interrupted() => {
                    return Err(RunError::Interrupted);
                }
                Ok(event) => return Ok(self.note(event)),
                Err(_) if signals::interrupted() => return Err(RunError::Interrupted),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(RunError::timed_out("anything"));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Waits for a line of node `name` that `wanted` accepts, behind the last line that was
    /// waited for on this node.
    ///
    /// # Errors
    /// The deadline has passed, the node ended without such a line, or a request to end came.
    pub fn wait_line(
        &mut self,
        name: &str,
        mut wanted: impl FnMut(&str) -> bool,
        deadline: Instant,
    ) -> Result<String, RunError> {
        let node = self.index(name);
        loop {
            if let Some(line) = self.nodes[node].log.find(&mut wanted) {
                return Ok(line);
            }
            if let Some(outcome) = self.nodes[node].outcome {
                return Err(RunError::Ended {
                    node: name.into(),
                    outcome,
                    waiting_for: "a line".into(),
                });
            }
            self.next(deadline)
                .map_err(|error| error.while_waiting(name, "a line"))?;
        }
    }

    /// Waits for a line of node `name` that begins with `start`, as [`Run::wait_line`].
    ///
    /// # Errors
    /// As [`Run::wait_line`]; the error names `start`.
    pub fn expect(
        &mut self,
        name: &str,
        start: &str,
        deadline: Instant,
    ) -> Result<String, RunError> {
        let what = format!("a line that begins with `{start}`");
        self.wait_line(name, |line| line.starts_with(start), deadline)
            .map_err(|error| error.while_waiting(name, &what))
    }

    /// Waits for the end of node `name`.
    ///
    /// # Errors
    /// The deadline has passed, or a request to end came.
    pub fn wait_exit(&mut self, name: &str, deadline: Instant) -> Result<Outcome, RunError> {
        let node = self.index(name);
        loop {
            if let Some(outcome) = self.nodes[node].outcome {
                return Ok(outcome);
            }
            self.next(deadline)
                .map_err(|error| error.while_waiting(name, "its end"))?;
        }
    }

    /// Kills a node at once, as if its power were cut.
    pub fn kill(&self, name: &str) {
        self.nodes[self.index(name)].process.kill();
    }

    /// Makes a node's time stand still.
    pub fn pause(&self, name: &str) {
        self.nodes[self.index(name)].process.pause();
    }

    /// Lets a node go on after [`Run::pause`].
    pub fn resume(&self, name: &str) {
        self.nodes[self.index(name)].process.resume();
    }

    /// Starts a node again that has ended, on the same ports of its networks. (Nodes that are
    /// joined directly have no port to come back to.)
    ///
    /// # Errors
    /// The node has not ended, is joined directly, or QEMU does not start.
    pub fn restart(&mut self, name: &str) -> Result<(), RunError> {
        let index = self.index(name);
        match self.nodes[index].outcome {
            Some(_) => self.start_anew(index),
            None => Err(self.not_started(index, std::io::Error::other("it has not ended"))),
        }
    }

    fn not_started(&self, index: usize, source: std::io::Error) -> RunError {
        RunError::Start {
            node: self.nodes[index].name.clone(),
            source,
        }
    }

    fn start_anew(&mut self, index: usize) -> Result<(), RunError> {
        let node = &self.nodes[index];
        let ports = self
            .switches
            .iter()
            .filter_map(|switch| switch.node_end(index as u16).ok());
        let mut sockets: Vec<_> = ports.collect();
        if sockets.len() != node.command.nics.len() {
            let direct = std::io::Error::other("it was joined directly, without a switch");
            return Err(self.not_started(index, direct));
        }
        let memory = lend_memory(node.trace.as_ref(), &node.name, &node.command, &mut sockets)
            .map_err(|source| self.not_started(index, source))?;
        let process = Process::start(&node.command, sockets, node.pin, index, self.sender.clone())
            .map_err(|source| self.not_started(index, source))?;
        let node = &mut self.nodes[index];
        node.process = process;
        node._memory = memory;
        node.outcome = None;
        node.panicking = false;
        node.fated = Fated::No;
        Ok(())
    }

    /// The switch of a network, if it has one: to cut links, and to read what it did.
    #[must_use]
    pub fn switch(&self, network: usize) -> Option<&Switch> {
        self.switches.get(network)
    }

    /// What the switches of all networks dropped, in a line for people; nothing where they dropped
    /// nothing.
    #[must_use]
    pub fn dropped_frames(&self) -> Option<String> {
        Stats::sum(self.switches.iter().map(Switch::stats)).dropped()
    }

    /// The console lines of a node so far, the oldest perhaps forgotten.
    #[must_use]
    pub fn log(&self, name: &str) -> Vec<String> {
        self.nodes[self.index(name)]
            .log
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// How long after its QEMU's start a node printed its first line.
    #[must_use]
    pub fn first_line_at(&self, name: &str) -> Option<Duration> {
        self.nodes[self.index(name)].log.first_at()
    }

    /// How a node ended, if it has.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Option<Outcome> {
        self.nodes[self.index(name)].outcome
    }

    /// How long ago a node's QEMU was started.
    #[must_use]
    pub fn elapsed(&self, name: &str) -> Duration {
        self.nodes[self.index(name)].process.started.elapsed()
    }

    /// The host's process number of a node's QEMU, while it runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.nodes[self.index(name)].process.pid()
    }

    /// A node's QEMU command line, for a shell.
    #[must_use]
    pub fn command_line(&self, name: &str) -> String {
        self.nodes[self.index(name)].command.to_shell()
    }

    /// The names of all nodes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// Has every node that still runs say what each of its threads does, which ends it: for a
    /// cluster that does not do what was waited for. Where nobody listens for that, nothing comes
    /// of it.
    pub fn ask_what_they_do(&mut self) {
        let running = self.nodes.iter().filter(|node| node.outcome.is_none());
        let asked = running.filter(|node| {
            let monitor = node.monitor.as_deref();
            monitor.is_some_and(|monitor| monitor::interrupt(monitor).is_ok())
        });
        let asked: Vec<String> = asked.map(|node| node.name.clone()).collect();
        let deadline = Instant::now() + MONITOR_PATIENCE;
        for name in asked {
            // One that says nothing even so is reported as it is.
            if self.wait_exit(&name, deadline).is_ok() {
                let index = self.index(&name);
                self.nodes[index].hung = true;
            }
        }
    }

    /// A node's last lines and its command line, for a person who has to find out what failed.
    #[must_use]
    pub fn failure_report(&self, name: &str) -> String {
        let node = &self.nodes[self.index(name)];
        let mut report = match (node.outcome, node.hung) {
            (_, true) => format!(
                "node {name} was still running; it was stopped, and said what its threads do\n"
            ),
            (Some(outcome), false) => format!("node {name} {outcome}\n"),
            (None, false) => format!("node {name} is still running\n"),
        };
        report.push_str(&format!("its last lines (of {}):\n", node.log.total()));
        let lines = if node.hung {
            STOPPED_LINES
        } else {
            REPORTED_LINES
        };
        for line in node.log.last(lines) {
            report.push_str(&format!("  {name}: {}\n", crate::ui::harmless(line)));
        }
        if let Some(explanation) = node.facts().explain() {
            report.push_str(&format!("what that means: {explanation}\n"));
        }
        report.push_str(&format!(
            "its command line:\n  {}\n",
            node.command.to_shell()
        ));
        report
    }

    /// The reports of all nodes, and what the switches dropped.
    #[must_use]
    pub fn failure_reports(&self) -> String {
        let reports = self.names().map(|name| self.failure_report(name));
        reports.chain(self.dropped_line()).collect()
    }

    fn dropped_line(&self) -> Option<String> {
        self.dropped_frames().map(|text| text + "\n")
    }

    /// The same for who has seen the consoles: of nodes that were stopped to say what their threads
    /// do, that is all there is to say.
    #[must_use]
    pub fn failure_reports_in_short(&self) -> String {
        let report = |node: &Node| match node.hung {
            true => format!(
                "node {} was still running; what its threads did is above\n",
                node.name
            ),
            false => self.failure_report(&node.name),
        };
        self.nodes
            .iter()
            .map(report)
            .chain(self.dropped_line())
            .collect()
    }

    /// A name that is not in the plan is a mistake of the program, not of its user.
    fn index(&self, name: &str) -> usize {
        let place = self.nodes.iter().position(|node| node.name == name);
        place.unwrap_or_else(|| panic!("the plan has no node `{name}`"))
    }

    /// Keeps and shows what an event says.
    fn note(&mut self, mut event: Event) -> Event {
        match &mut event {
            Event::Line { node, text, at } => {
                for line in self.nodes[*node].with_symbols(text) {
                    if self.echo {
                        self.ui.console(*node, &self.nodes[*node].name, &line);
                    }
                    self.nodes[*node].log.push(line, *at);
                }
            }
            Event::Exit { node, outcome } => {
                let node = &mut self.nodes[*node];
                if std::mem::take(&mut node.fated) == Fated::Crash {
                    *outcome = Outcome::Crashed;
                }
                node.outcome = Some(*outcome);
            }
        }
        event
    }
}

impl Node {
    fn facts(&self) -> Facts<'_> {
        Facts {
            outcome: self.outcome.filter(|_| !self.hung),
            lines: self.log.lines().collect(),
            command: &self.command,
        }
    }

    /// The line, and behind a line of a backtrace what its address means.
    fn with_symbols(&mut self, line: &str) -> Vec<String> {
        let mut lines = vec![line.to_owned()];
        // Of the thread that runs, and of each that was switched away, the first address is where
        // it is; the others are where calls return to.
        let begins = ["norma: panic", "norma: stopped", "norma: thread"];
        if begins.iter().any(|begin| line.starts_with(begin)) {
            self.panicking = false;
        }
        let Some(address) = frame_address(line) else {
            return lines;
        };
        if let Lazy::Unread(image) = &self.symbols {
            self.symbols = Lazy::Read(Symbols::load(image));
        }
        // Addresses are those of return, and the call is just before them; but the first may be
        // that of a faulting instruction, which then comes first in its function.
        let first = !std::mem::replace(&mut self.panicking, true);
        if let Lazy::Read(Some(symbols)) = &self.symbols {
            let before = || symbols.describe(address.saturating_sub(1));
            let mut names = if first {
                symbols.describe(address)
            } else {
                before()
            };
            if names.is_empty() {
                names = before();
            }
            lines.extend(names.into_iter().map(|text| format!("norma:   {text}")));
        }
        lines
    }
}
