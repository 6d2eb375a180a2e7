//! The program `netmsgd`. All that it does is in the library beside it.
#![forbid(unsafe_code)]

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;
use netmsgd::{Arguments, Daemon, Identity, Listener};
use norma_net::NodeName;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(name) = NodeName::new(&arguments.node) else {
        let problem = "a node's name has at most 16 bytes";
        let error = clap::Error::raw(ErrorKind::InvalidValue, format!("{problem}\n"));
        error.exit();
    };
    match run(&arguments, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netmsgd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, name: NodeName) -> anyhow::Result<()> {
    raise_descriptors();
    let listener = Listener::bind(&arguments.socket, arguments.mode)?;
    let identity = Identity {
        name,
        cluster: arguments.cluster.clone(),
        spin: Duration::from_micros(arguments.spin),
        pages: arguments
            .memory
            .saturating_mul((1 << 20) / norma_ipc::PAGE_SIZE),
    };
    let mut daemon = Daemon::new(&identity, &arguments.links, listener)?;
    for (number, link) in daemon.links().iter().enumerate() {
        // For whoever bound a UDP link to port 0, or waits until this node is there.
        if let Some(address) = link.udp_address() {
            println!("link {number} {address}");
        }
    }
    println!("ready {}", arguments.node);
    let stdin = std::io::stdin();
    let stop: Option<&dyn std::os::fd::AsFd> = arguments.until_eof.then_some(&stdin as _);
    daemon.run(stop).context("cannot wait for sockets")
}

/// A thousand connections need more descriptors than a shell gives a process at first.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If the host refuses, connections are refused later, as it allows.
    let _ = setrlimit(
        Resource::Nofile,
        rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
