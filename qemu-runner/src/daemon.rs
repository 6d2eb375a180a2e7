//! `netmsgd` on this host: the node by which programs of Linux are part of a cluster.
//!
//! Owns: building it, starting it on the ends of networks, and its certain end. It inherits the
//! ends as QEMU does, and a pipe as its standard input: when the runner ends, however that
//! happens, the pipe does, and the daemon with it.

use crate::context::Context;
use crate::limits::SAID_LINES;
use crate::linux;
use crate::setup;
use anyhow::{Context as _, Result, bail};
use command_fds::{CommandFdExt, FdMapping};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The package, and its program.
pub const PACKAGE: &str = "netmsgd";

/// The programs of the package that measure what it costs.
pub const BENCH: &str = "netmsg-bench";

/// Where programs find the daemon unless they are told.
#[must_use]
pub fn default_socket(context: &Context) -> PathBuf {
    context.workspace.target.join("netmsgd.sock")
}

/// Builds the daemon, static, and tells where it lies; its benchmark programs lie beside it.
///
/// # Errors
/// The target is missing and was not installed, or it does not compile.
pub fn build(context: &Context) -> Result<PathBuf> {
    setup::ensure_static_target(context)?;
    context.ui.progress("building netmsgd");
    linux::build_static(context, PACKAGE)
}

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct DaemonPlan {
    /// The program.
    pub program: PathBuf,
    /// The node's name.
    pub node: String,
    /// The cluster's name.
    pub cluster: String,
    /// Where programs find it.
    pub socket: PathBuf,
    /// The networks that it is on: whether each is trusted.
    pub networks: Vec<bool>,
}

impl DaemonPlan {
    /// The arguments; the ends of the networks are its descriptors 3, 4 and so on.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--until-eof".into(), "--node".into(), self.node.clone()];
        arguments.extend(["--cluster".into(), self.cluster.clone()]);
        for (end, trusted) in (3..).zip(&self.networks) {
            let untrusted = if *trusted { "" } else { ",untrusted" };
            arguments.extend(["--link".into(), format!("dgram:{end}{untrusted}")]);
        }
        arguments.extend(["--socket".into(), self.socket.display().to_string()]);
        arguments
    }

    /// The command as a line for a shell.
    #[must_use]
    pub fn to_shell(&self) -> String {
        let words = std::iter::once(self.program.display().to_string()).chain(self.arguments());
        let quote = |word: String| {
            // Quoting fails only on a NUL byte, which no argument can hold anyway.
            shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned())
        };
        words.map(quote).collect::<Vec<_>>().join(" ")
    }

    /// Starts it on the ends of its networks, and waits until it serves.
    ///
    /// # Errors
    /// It does not start; the error has what it said.
    pub fn start(&self, ends: Vec<OwnedFd>) -> Result<Daemon> {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C reaches the runner, which ends it.
            .process_group(0);
        let mappings = ends.into_iter().zip(3..);
        let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
        command.fd_mappings(mappings.collect())?;
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        drop(command);
        let mut daemon = Daemon { child };
        let stdout = daemon.child.stdout.take();
        let lines = stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines());
        for line in lines.take(SAID_LINES) {
            if line?.starts_with("ready") {
                return Ok(daemon);
            }
        }
        let stderr = daemon.child.stderr.take();
        let said = stderr
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines());
        let said: Vec<_> = said.take(SAID_LINES).map_while(Result::ok).collect();
        bail!("netmsgd does not serve: {}", said.join("\n"))
    }
}

/// A running daemon, which ends with this value.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its standard input ends, and with it the daemon, which takes its socket's file away.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_told_who_it_is_and_on_which_networks() {
        let plan = DaemonPlan {
            program: "/a b/netmsgd".into(),
            node: "linux".into(),
            cluster: "zoo".into(),
            socket: "/run/socket".into(),
            networks: vec![true, false],
        };
        assert_eq!(
            plan.to_shell(),
            "'/a b/netmsgd' --until-eof --node linux --cluster zoo --link dgram:3 --link \
             'dgram:4,untrusted' \
             --socket /run/socket"
        );
    }
}
