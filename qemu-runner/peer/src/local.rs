//! Calls between two processes of one guest, by a unix socket.
//!
//! Owns: the serving process, which is this program once more, and the sockets.
//! Leaves to others: answering and calling over a stream (`streams`).

use crate::streams;
use crate::stretch::Outcome;
use anyhow::{Context, Result, anyhow, ensure};
use norma_peer::plan::Item;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// The word that makes this program the serving process.
pub const SERVER: &str = "local-server";

/// The serving process: answers on its standard input, which is a socket, what an item says.
pub fn serve(arguments: &[String]) -> Result<()> {
    let item: Item = arguments.join(" ").parse()?;
    let socket = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
    streams::answer(&mut UnixStream::from(socket), &item, || true)
}

/// The calling side, which starts a serving process per caller.
pub fn call(item: &Item) -> Result<Outcome> {
    let words = item.to_string();
    let mut streams = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..item.callers {
        let (own, other) = UnixStream::pair()?;
        let server = Command::new("/proc/self/exe")
            .arg(SERVER)
            .args(words.split(' '))
            .stdin(Stdio::from(OwnedFd::from(other)))
            .spawn();
        servers.push(server.context("starting the serving process")?);
        streams.push(own);
    }
    let outcome = streams::operate(item, streams)?;
    // The sockets are closed; so the servers end.
    for mut server in servers {
        let status = server.wait()?;
        ensure!(
            status.success(),
            anyhow!("a serving process ended with {status}")
        );
    }
    Ok(outcome)
}
