//! The demonstration: node `b` serves, node `a` sends it a file and asks questions about it.
//!
//! `role=server` offers three names: a digest service, a text service, and one that answers at
//! once. `role=client` is given a file with `-initrd`, finds the services by name, and prints
//! what it learnt as one line `@demo {…}`, which the runner checks against its own computation.
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod server;
mod text;

use core::fmt;
use norma_boot::{Failure, Node};

norma_boot::image!(main);

/// Name of the digest service: a call with out-of-line memory is answered with its SHA-256.
const DIGEST: &str = "digest";
/// Name of the text service; see [`text::Request`].
const TEXT: &str = "text";
/// Name of the service that answers every call with an empty message.
const NULL: &str = "null";

/// What went wrong, and in doing what.
struct Error {
    doing: &'static str,
    failure: Failure,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.failure)
    }
}

/// Says in doing what something went wrong.
trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, Error>;
}

impl<T, E: Into<Failure>> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error {
            doing: what,
            failure: error.into(),
        })
    }
}

fn main(node: Node) -> Result<(), Error> {
    match node.argument("role") {
        Some("server") => server::run(&node),
        Some("client") => client::run(&node),
        _ => Err(Failure::InvalidRight).doing("expected `role=server` or `role=client`"),
    }
}
