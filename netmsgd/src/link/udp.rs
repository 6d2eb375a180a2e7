//! Ethernet frames in UDP datagrams, between daemons that share no Ethernet.
//!
//! A whole frame and not FLIP alone: the core writes it anyway, fourteen bytes cost nothing beside
//! a UDP datagram, and with station addresses a link of many peers is a network as any other,
//! broadcasts included. With one peer the socket is connected and is a [`super::Datagrams`]; this
//! is the other case: peers are learned by hearing from them, or given, and stations by the
//! source addresses of frames, as a switch does.
//!
//! Nothing on such a link is authentic. It is for networks whose hosts are trusted.

use super::{Received, Sent, Wire, sent};
use crate::limits::{MAX_PEERS, MAX_STATIONS};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// A UDP socket with many peers.
#[derive(Debug)]
pub struct Hub {
    socket: UdpSocket,
    peers: Vec<SocketAddr>,
    /// Whether whoever sends is a peer from then on.
    learns: bool,
    stations: HashMap<[u8; 6], SocketAddr>,
}

impl Hub {
    /// With these peers; with none, they are learned.
    #[must_use]
    pub fn new(socket: UdpSocket, peers: Vec<SocketAddr>) -> Self {
        Self {
            socket,
            learns: peers.is_empty(),
            peers,
            stations: HashMap::new(),
        }
    }

    fn is_peer(&mut self, from: SocketAddr) -> bool {
        if self.peers.contains(&from) {
            return true;
        }
        let room = self.learns && self.peers.len() < MAX_PEERS;
        if room {
            self.peers.push(from);
        }
        room
    }

    fn send_to(&self, parts: &[IoSlice<'_>], to: &SocketAddr) -> Sent {
        let mut control = SendAncillaryBuffer::default();
        let flags = SendFlags::NOSIGNAL;
        sent(rustix::net::sendmsg_addr(
            &self.socket,
            to,
            parts,
            &mut control,
            flags,
        ))
    }
}

impl Wire for Hub {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, parts: &mut [IoSliceMut<'_>]) -> Received {
        let mut control = RecvAncillaryBuffer::default();
        let flags = RecvFlags::empty();
        let Ok(message) = rustix::net::recvmsg(&self.socket, parts, &mut control, flags) else {
            return Received::Nothing;
        };
        let from = message.address.and_then(|from| from.try_into().ok());
        let Some(from) = from.filter(|from| self.is_peer(*from)) else {
            return Received::Frame(0); // From a stranger: no frame is so short.
        };
        let station = parts.first().and_then(|head| head.get(6..12));
        if message.bytes >= 12
            && let Some(station) = station.and_then(|bytes| bytes.first_chunk().copied())
            && station[0] & 1 == 0
            && (self.stations.len() < MAX_STATIONS || self.stations.contains_key(&station))
        {
            self.stations.insert(station, from);
        }
        Received::Frame(message.bytes)
    }

    fn send(&mut self, parts: &[IoSlice<'_>]) -> Sent {
        let target = parts.first().and_then(|head| head.first_chunk::<6>());
        if let Some(to) = target.and_then(|station| self.stations.get(station)) {
            return self.send_to(parts, to);
        }
        // To all: one that has no room loses it, as at a switch.
        for peer in &self.peers {
            let _ = self.send_to(parts, peer);
        }
        Sent::Yes
    }
}
