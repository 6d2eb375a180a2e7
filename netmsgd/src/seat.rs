//! Seats: one connection of a program, which is one thread of the core.
//!
//! Owns: its socket, reading one request and writing one answer, the answer that a program which
//! does not read has not taken yet (there is never more than one), and for what the thread waits.
//! Leaves to others: what requests mean.

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// For what a thread waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// For nothing: its next request is read.
    Nothing,
    /// For room in a queue, and then for what.
    Sending(Then),
    /// For what comes to its reply port.
    Awaiting(For),
    /// For a message at a port or set.
    Receiving,
}

/// What follows when a message has gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The answer that it has.
    Done,
    /// Something is awaited.
    Await(For),
}

/// What is awaited at the reply port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The reply to a call.
    Reply,
    /// That a message was delivered.
    Receipt,
    /// A right that was looked up.
    Right,
    /// Whether a name is this node's.
    Claim(String),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) socket: OwnedFd,
    /// The process at the other end.
    pub(crate) process: i32,
    /// Its task, once it has said HELLO.
    pub(crate) task: Option<usize>,
    pub(crate) doing: Doing,
    /// When its patience ends.
    pub(crate) deadline: u64,
    /// An answer that the socket did not take.
    unsent: Option<(Vec<u8>, Option<OwnedFd>)>,
    /// What the poller was told to wait for.
    pub(crate) interest: EventFlags,
    /// Tells it from whoever had the place before.
    pub(crate) generation: u32,
}

/// What reading a request came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// A packet of so many bytes, and the memory file that came with it.
    Packet(usize, Option<OwnedFd>),
    /// Nothing is there.
    Nothing,
    /// The program is gone, or what it sends is no packet of ours.
    Gone,
}

impl Seat {
    pub(crate) fn new(socket: OwnedFd, process: i32, generation: u32) -> Self {
        Self {
            socket,
            process,
            task: None,
            doing: Doing::Nothing,
            deadline: u64::MAX,
            unsent: None,
            interest: EventFlags::IN,
            generation,
        }
    }

    /// Whether its next request may be read.
    pub(crate) fn is_free(&self) -> bool {
        self.doing == Doing::Nothing && self.unsent.is_none()
    }

    /// What the poller is to wait for: of a thread that waits, only that its program is gone; of
    /// one that does not read, that it does.
    pub(crate) fn wanted(&self) -> EventFlags {
        match (&self.unsent, &self.doing) {
            (Some(_), _) => EventFlags::OUT,
            (None, Doing::Nothing) => EventFlags::IN,
            (None, _) => EventFlags::empty(),
        }
    }

    /// Reads a packet into `buffer`.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Read {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(buffer)];
        let received = match rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Read::Nothing,
            Err(_) => return Read::Gone,
        };
        let mut file = None;
        for message in control.drain() {
            // More than one do not fit the space, and the kernel closes them.
            if let RecvAncillaryMessage::ScmRights(mut files) = message {
                file = files.next();
            }
        }
        if received.bytes == 0 || received.flags.contains(ReturnFlags::TRUNC) {
            return Read::Gone;
        }
        Read::Packet(received.bytes, file)
    }

    /// Writes an answer, or keeps it until the program reads. `false` if the program is gone.
    pub(crate) fn answer(&mut self, packet: &[u8], file: Option<OwnedFd>) -> bool {
        match self.write(packet, file.as_ref()) {
            Ok(()) => true,
            Err(Errno::AGAIN | Errno::INTR) => {
                self.unsent = Some((packet.to_vec(), file));
                true
            }
            Err(_) => false,
        }
    }

    /// Writes what was kept. `false` if the program is gone.
    pub(crate) fn flush(&mut self) -> bool {
        let Some((packet, file)) = self.unsent.take() else {
            return true;
        };
        self.answer(&packet, file)
    }

    fn write(&self, packet: &[u8], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let Some(file) = file else {
            // Without a file there is no need of a message's head, which the kernel would copy.
            return rustix::net::send(&self.socket, packet, flags).map(drop);
        };
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        let parts = [IoSlice::new(packet)];
        rustix::net::sendmsg(&self.socket, &parts, &mut control, flags).map(drop)
    }
}
