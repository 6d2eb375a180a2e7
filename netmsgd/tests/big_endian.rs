//! A machine of the other byte order: typed messages are converted, both ways.
//!
//! Needs netmsgd and the example `typed` for a big-endian machine, and an emulator of it:
//! `cargo norma test --big-endian` builds them, asks for what is missing, and runs this.

mod common;

use common::Daemon;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program of this machine's byte order, or of the other's under its emulator.
struct Programs {
    emulator: Option<String>,
    folder: PathBuf,
}

impl Programs {
    fn foreign() -> Self {
        let read = |name| std::env::var(name).expect("run by `cargo norma test --big-endian`");
        Self {
            emulator: Some(read("NORMA_EMULATOR")),
            folder: read("NORMA_BIG_ENDIAN").into(),
        }
    }

    fn native() -> Self {
        let daemon = Path::new(env!("CARGO_BIN_EXE_netmsgd"));
        Self {
            emulator: None,
            folder: daemon.parent().unwrap().to_owned(),
        }
    }

    fn command(&self, program: &str) -> Command {
        let path = self.folder.join(program);
        match &self.emulator {
            None => Command::new(path),
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(path);
                command
            }
        }
    }

    fn daemon(&self, node: &str, link: &str) -> Daemon {
        let program = self.command("netmsgd");
        Daemon::start_as(program, node, &["--link", link])
    }

    fn typed(&self, role: &str, daemon: &Daemon) -> Child {
        let mut command = self.command("examples/typed");
        command.args([role, daemon.socket.to_str().unwrap(), "typed"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }
}

/// A server here and a client there; what the client says.
fn talk(server: &Programs, client: &Programs) -> String {
    let one = server.daemon("server", "udp:127.0.0.1:0");
    let link = format!("udp:127.0.0.1:0,peer={}", one.links[0]);
    let other = client.daemon("client", &link);
    let mut serving = server.typed("server", &one);
    let mut line = String::new();
    let mut said = BufReader::new(serving.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let calling = client.typed("client", &other);
    let output = calling.wait_with_output().unwrap();
    assert!(output.status.success() && serving.wait().unwrap().success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs an emulator: cargo norma test --big-endian"]
fn a_big_endian_server_is_called_from_a_little_endian_machine() {
    let said = talk(&Programs::foreign(), &Programs::native());
    assert_eq!(said, "ok Little Big\n");
}

#[test]
#[ignore = "needs an emulator: cargo norma test --big-endian"]
fn a_big_endian_client_calls_a_little_endian_machine() {
    let said = talk(&Programs::native(), &Programs::foreign());
    assert_eq!(said, "ok Big Little\n");
}

#[test]
fn machines_of_one_byte_order_talk_in_items() {
    let said = talk(&Programs::native(), &Programs::native());
    let order = norma_client::ByteOrder::NATIVE;
    assert_eq!(said, format!("ok {order:?} {order:?}\n"));
}
