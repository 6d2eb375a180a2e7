//! Calls by bare Ethernet frames through a packet socket: Linux without its network stack.
//!
//! Owns: both sides, the frame's head.
//! Leaves to others: the stretch, the message's form.
//! Why this way: it tells what of a datagram's time is IP and UDP, and what is the driver, the
//! interrupt and the system call.

use crate::control::PATIENCE;
use crate::message::{Header, check_reply};
use crate::stretch::{self, Outcome, Served, message_bytes};
use crate::{guest, sys};
use anyhow::{Context, Result, ensure};
use norma_peer::plan::{HEADER, Item, Wait};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The EtherType for local experiments (IEEE 802).
const ETHER_TYPE: u16 = 0x88b5;

/// Bytes of Ethernet's header.
const ETHERNET: usize = 14;

/// As long as the frame of norma's null RPC, and as the floor's.
const LEAST: usize = 116;

/// How often a spinning receiver looks between two looks at the clock.
const LOOKS: u32 = 1 << 16;

struct Socket {
    fd: OwnedFd,
    spins: bool,
}

impl Socket {
    fn new(item: &Item) -> Result<Self> {
        let fd = sys::packet_socket(ETHER_TYPE).context("a packet socket")?;
        sys::set_patience(&fd, PATIENCE)?;
        // The device cannot be asked through a packet socket (SO_BUSY_POLL needs a protocol that
        // notes whence a packet came), so who polls spins on the socket.
        let spins = item.wait == Wait::Poll;
        Ok(Self { fd, spins })
    }

    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        if !self.spins {
            return sys::receive(self.fd.as_fd(), buffer, false).context("waiting for a frame");
        }
        let begin = Instant::now();
        loop {
            for _ in 0..LOOKS {
                match sys::receive(self.fd.as_fd(), buffer, true) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    other => return other.context("looking for a frame"),
                }
            }
            ensure!(begin.elapsed() < PATIENCE, "no frame came");
        }
    }

    #[inline]
    fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = sys::send(self.fd.as_fd(), frame)?;
        ensure!(sent == frame.len(), "{sent} bytes of a frame were sent");
        Ok(())
    }
}

/// A frame to the other guest with room for that payload.
fn frame(payload: usize, fill: u8) -> Result<Vec<u8>> {
    let mut frame = vec![fill; (ETHERNET + message_bytes(payload)).max(LEAST)];
    frame[..6].copy_from_slice(&guest::peer_mac()?);
    frame[6..12].copy_from_slice(&sys::device_mac()?);
    frame[12..ETHERNET].copy_from_slice(&ETHER_TYPE.to_be_bytes());
    Ok(frame)
}

/// The message in a frame, without what fills it up.
#[inline]
fn message(frame: &[u8], payload: usize) -> Result<&[u8]> {
    let end = ETHERNET + message_bytes(payload);
    ensure!(
        frame.len() == end.max(LEAST),
        "a frame of {} bytes",
        frame.len()
    );
    Ok(&frame[ETHERNET..end])
}

/// The serving side.
pub struct Server(Socket);

impl Server {
    /// A socket that hears from now on.
    pub fn new(item: &Item) -> Result<Self> {
        Ok(Self(Socket::new(item)?))
    }

    /// Answers until all operations are done.
    pub fn run(self, item: &Item) -> Result<()> {
        let mut request = frame(item.request, 0)?;
        let mut reply = frame(item.reply, 0x5a)?;
        let served = Served::new(item);
        loop {
            let length = self.0.receive(&mut request)?;
            let header = Header::read(message(&request[..length], item.request)?)?;
            header
                .answer()
                .write(&mut reply[ETHERNET..ETHERNET + HEADER]);
            self.0.send(&reply)?;
            if !served.one() {
                return Ok(());
            }
        }
    }
}

/// The calling side.
pub fn call(item: &Item) -> Result<Outcome> {
    let socket = Socket::new(item)?;
    let mut request = frame(item.request, 0xa5)?;
    let mut reply = frame(item.reply, 0)?;
    stretch::calls(item, |number| {
        let header = Header {
            length: item.request as u32,
            reply: item.reply as u32,
            number,
            wants_reply: true,
        };
        header.write(&mut request[ETHERNET..ETHERNET + HEADER]);
        socket.send(&request)?;
        let length = socket.receive(&mut reply)?;
        check_reply(message(&reply[..length], item.reply)?, number, item.reply)
    })
}
