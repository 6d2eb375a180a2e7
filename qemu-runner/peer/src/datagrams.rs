//! Calls by UDP: a datagram there, a datagram back.
//!
//! Owns: both sides. Leaves to others: the stretch, the message's form.
//! Why this way: it is the least that a program on Linux can do over IP. What a remote call needs
//! besides (it may be lost, repeated, too large) is not there, in the rival's favour.

use crate::control::PATIENCE;
use crate::message::{Header, check_reply};
use crate::stretch::{self, Outcome, Served, message_bytes};
use crate::{guest, sys};
use anyhow::{Context, Result, ensure};
use norma_peer::plan::{HEADER, Item, Wait};
use std::net::{Ipv4Addr, UdpSocket};

const PORT: u16 = 701;

/// How long a socket may ask the device before it sleeps, in microseconds: longer than a round
/// trip takes, so that who polls does not sleep.
pub const BUSY: i32 = 2000;

/// Room for what many callers send at once.
const ROOM: i32 = 16 << 20;

fn prepare(socket: &UdpSocket, item: &Item) -> Result<()> {
    sys::set_patience(socket, PATIENCE)?;
    sys::set_receive_room(socket, ROOM)?;
    if item.wait == Wait::Poll {
        sys::set_busy_poll(socket, BUSY)?;
    }
    Ok(())
}

/// The serving side.
pub struct Server(UdpSocket);

impl Server {
    /// A socket that hears from now on.
    pub fn new(item: &Item) -> Result<Self> {
        let socket = UdpSocket::bind((guest::SERVER, PORT))?;
        prepare(&socket, item)?;
        Ok(Self(socket))
    }

    /// Answers until all operations are done.
    pub fn run(self, item: &Item) -> Result<()> {
        let mut request = vec![0; message_bytes(item.request)];
        let mut reply = vec![0x5a; message_bytes(item.reply)];
        let served = Served::new(item);
        loop {
            let (length, from) = self
                .0
                .recv_from(&mut request)
                .context("waiting for a request")?;
            let header = Header::read(&request[..length])?;
            ensure!(
                length == message_bytes(header.length as usize),
                "a request was cut"
            );
            let end = message_bytes(header.reply as usize);
            header.answer().write(&mut reply[..HEADER]);
            self.0.send_to(&reply[..end], from)?;
            if !served.one() {
                return Ok(());
            }
        }
    }
}

/// The calling side.
pub fn call(item: &Item) -> Result<Outcome> {
    let callers = (0..item.callers).map(|_| caller(item));
    let mut callers = callers.collect::<Result<Vec<_>>>()?;
    match (callers.pop(), callers.is_empty()) {
        (Some(alone), true) => stretch::calls(item, alone),
        (last, _) => {
            callers.extend(last);
            stretch::crowd(item, callers)
        }
    }
}

fn caller(item: &Item) -> Result<impl FnMut(u32) -> Result<()> + use<>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((guest::SERVER, PORT))?;
    prepare(&socket, item)?;
    let reply_length = item.reply;
    let mut request = vec![0xa5; message_bytes(item.request)];
    let mut reply = vec![0; message_bytes(item.reply)];
    let length = item.request as u32;
    Ok(move |number| {
        let header = Header {
            length,
            reply: reply_length as u32,
            number,
            wants_reply: true,
        };
        header.write(&mut request[..HEADER]);
        socket.send(&request)?;
        let count = socket.recv(&mut reply).context("waiting for a reply")?;
        check_reply(&reply[..count], number, reply_length)
    })
}
