//! What joins the network devices of nodes.
//!
//! Owns the two ways: two nodes without faults are joined directly by an inherited socketpair;
//! anything else, and what is to be captured or looked into, goes through a [`Switch`] inside the
//! runner, to which other processes of this user may come ([`door`]). Either way no root is needed,
//! and two runs side by side cannot meet.

mod capture;
pub mod door;
mod switch;
mod table;

pub use capture::{Capture, Tap};
pub use switch::{Entrance, Guest, Port, Stats, Switch};

use crate::limits::SEND_BUFFER;
use crate::qemu::Netdev;
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

/// The kind of socketpair that joins two nodes directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LinkKind {
    /// Datagrams, a frame each.
    #[default]
    Dgram,
    /// A stream, a length before each frame.
    Stream,
}

impl LinkKind {
    /// The word that users write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Dgram => "dgram",
            Self::Stream => "stream",
        }
    }

    /// QEMU's end of such a link, on descriptor `fd`.
    #[must_use]
    pub fn netdev(self, fd: i32) -> Netdev {
        match self {
            Self::Dgram => Netdev::Dgram(fd),
            Self::Stream => Netdev::Stream(fd),
        }
    }

    /// Both ends of a new link.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn pair(self) -> std::io::Result<(OwnedFd, OwnedFd)> {
        let (one, other): (OwnedFd, OwnedFd) = match self {
            Self::Dgram => {
                let (one, other) = UnixDatagram::pair()?;
                (one.into(), other.into())
            }
            Self::Stream => {
                let (one, other) = UnixStream::pair()?;
                (one.into(), other.into())
            }
        };
        raise_send_buffer(&one)?;
        raise_send_buffer(&other)?;
        Ok((one, other))
    }
}

/// Asks for a large send buffer; the kernel grants what its administrator allows.
fn raise_send_buffer(socket: impl AsFd) -> std::io::Result<()> {
    Ok(set_socket_send_buffer_size(socket, SEND_BUFFER)?)
}

/// The hardware address of a device: locally administered, told apart by network and node. Only
/// the nodes of one run ever see it.
#[must_use]
pub fn mac(network: usize, node: usize) -> [u8; 6] {
    let [high, low] = (node as u16).to_be_bytes();
    [0x52, 0x54, 0x00, network as u8, high, low.wrapping_add(1)]
}
