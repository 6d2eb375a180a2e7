//! Links on interfaces: a TAP device and a packet socket, in a network namespace of the test's own.
//!
//! What one daemon writes to a TAP device the kernel receives on its interface, where a packet
//! socket of another finds it, and the other way round: so one interface joins two daemons.

mod common;

use common::{Daemon, PATIENCE, service};
use norma_client::Message;
use std::process::Command;
use std::thread;

/// In this environment a test is inside the namespace.
const INSIDE: &str = "NORMA_IN_NAMESPACE";

/// What a host has to allow for these tests.
const NEEDED: &str = "the host must let us make user and network namespaces \
    (sysctl kernel.unprivileged_userns_clone=1) and have /dev/net/tun (modprobe tun)";

/// Runs a test of this file as root of a new user and network namespace.
fn in_namespace(name: &str) {
    let possible = Command::new("unshare")
        .args(["-rn", "sh", "-c", "true 3<>/dev/net/tun"])
        .output();
    match possible {
        Ok(output) if output.status.success() => {}
        other => panic!("{NEEDED}: {other:?}"),
    }
    let status = Command::new("unshare")
        .arg("-rn")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed in its namespace");
}

#[test]
fn a_tap_device_and_a_packet_socket_join_two_daemons() {
    if std::env::var_os(INSIDE).is_none() {
        return in_namespace("a_tap_device_and_a_packet_socket_join_two_daemons");
    }
    let one = Daemon::start("one", &["--link", "tap:norma0"], Vec::new());
    let other = Daemon::start("other", &["--link", "packet:norma0"], Vec::new());
    for (server, client) in [(&one, &other), (&other, &one)] {
        let server = server.connect();
        let (port, _right) = service(&server, "echo");
        let thread = thread::spawn(move || {
            let request = port.receive().unwrap();
            request.reply().unwrap();
        });
        let client = client.connect();
        let echo = client.wait_for("echo", PATIENCE).unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at >> 3) as u8).collect();
        let mut request = Message::with_data(b"hello").unwrap();
        request.set_memory(&bytes).unwrap();
        let mut answer = echo.call_timeout(request, PATIENCE).unwrap();
        assert_eq!(answer.data(), b"hello");
        assert!(answer.take_memory().into_vec().unwrap() == bytes);
        thread.join().unwrap();
    }
}

#[test]
fn without_the_capability_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    // In a user namespace of its own a process may do nothing to the network outside.
    let output = Command::new("unshare")
        .arg("-r")
        .arg(env!("CARGO_BIN_EXE_netmsgd"))
        .args(["--link", "packet:lo", "--socket"])
        .arg(&socket)
        .output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    match said {
        Ok(said) if said.contains("CAP_NET_RAW") => {}
        Ok(said) if said.starts_with("unshare") => panic!("{NEEDED}: {said}"),
        other => panic!("expected the name of a capability, got {other:?}"),
    }
}
