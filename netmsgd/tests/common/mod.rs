//! Daemons for tests: processes of their own, joined by sockets, ended with the test.
#![allow(dead_code)] // Each test file uses a part.

use command_fds::{CommandFdExt, FdMapping};
use norma_client::{Node, ReceiveRight, SendRight};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything takes, on a machine that does much else: only a failure waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon.
pub struct Daemon {
    child: Child,
    pub socket: PathBuf,
    /// Where its UDP links are bound.
    pub links: Vec<String>,
    folder: Option<tempfile::TempDir>,
}

impl Daemon {
    /// Starts a daemon that is called `node`, with sockets for its descriptors 3, 4 and so on,
    /// and waits until it serves.
    pub fn start(node: &str, arguments: &[&str], sockets: Vec<OwnedFd>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut daemon = Self::start_at(&socket, node, arguments, sockets).unwrap();
        daemon.folder = Some(folder);
        daemon
    }

    /// The same at a socket; what it said if it does not serve.
    pub fn start_at(
        socket: &Path,
        node: &str,
        arguments: &[&str],
        sockets: Vec<OwnedFd>,
    ) -> Result<Self, String> {
        let command = Command::new(env!("CARGO_BIN_EXE_netmsgd"));
        Self::run(command, socket, node, arguments, sockets)
    }

    /// The same, as another program.
    pub fn start_as(program: Command, node: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut daemon = Self::run(program, &socket, node, arguments, Vec::new()).unwrap();
        daemon.folder = Some(folder);
        daemon
    }

    fn run(
        mut command: Command,
        socket: &Path,
        node: &str,
        arguments: &[&str],
        sockets: Vec<OwnedFd>,
    ) -> Result<Self, String> {
        command
            .args(["--until-eof", "--node", node, "--socket"])
            .arg(socket)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mappings = sockets.into_iter().zip(3..);
        let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
        command.fd_mappings(mappings.collect()).unwrap();
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut links = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in &mut lines {
            let line = line.unwrap();
            if line.starts_with("ready") {
                return Ok(Self {
                    child,
                    socket: socket.to_owned(),
                    links,
                    folder: None,
                });
            }
            links.push(line.rsplit(' ').next().unwrap().to_owned());
        }
        let output = child.wait_with_output().unwrap();
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn connect(&self) -> Node {
        Node::connect(&self.socket).unwrap()
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two daemons that are joined by a pair of datagram sockets.
pub fn pair() -> (Daemon, Daemon) {
    let (one, other) = UnixDatagram::pair().unwrap();
    joined("dgram:3", one.into(), other.into())
}

/// The same by a pair of stream sockets.
pub fn streams() -> (Daemon, Daemon) {
    let (one, other) = UnixStream::pair().unwrap();
    joined("stream:3", one.into(), other.into())
}

fn joined(link: &str, one: OwnedFd, other: OwnedFd) -> (Daemon, Daemon) {
    (
        Daemon::start("one", &["--link", link], vec![one]),
        Daemon::start("other", &["--link", link], vec![other]),
    )
}

/// Two daemons that are joined by UDP; the second knows where the first is.
pub fn over_udp() -> (Daemon, Daemon) {
    let one = Daemon::start("one", &["--link", "udp:127.0.0.1:0"], Vec::new());
    let link = format!("udp:127.0.0.1:0,peer={}", one.links[0]);
    let other = Daemon::start("other", &["--link", &link], Vec::new());
    (one, other)
}

/// A port that is known under a name.
pub fn service(node: &Node, name: &str) -> (ReceiveRight, SendRight) {
    let port = ReceiveRight::new(node).unwrap();
    let right = port.make_send().unwrap();
    right.check_in(name).unwrap();
    (port, right)
}
