//! Frames over a stream socket, as QEMU's `-netdev stream` speaks them: a length of 32 bits,
//! big-endian, before each.
//!
//! A stream that says that a frame is longer than any is out of step for ever, and so is gone.

use super::{Received, Sent, Wire};
use crate::limits::STREAM_BUFFER;
use norma_flip::{FRAME_PAGES, HEAD};
use norma_ipc::PAGE_SIZE;
use rustix::io::{Errno, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest frame that the buffers take.
const LONGEST: usize = HEAD + FRAME_PAGES * PAGE_SIZE;

/// A stream socket and what was read from it, or could not be written to it, yet.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// Where what was read and not yet handed out lies in the buffer.
    start: usize,
    end: usize,
    /// The rest of a frame of which the socket took a part.
    rest: Vec<u8>,
}

impl Stream {
    /// Over a socket that does not block.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: vec![0; STREAM_BUFFER],
            start: 0,
            end: 0,
            rest: Vec::new(),
        }
    }

    /// The frame that lies in the buffer, if it is whole: where it begins and its length.
    fn whole(&self) -> Result<Option<(usize, usize)>, ()> {
        let read = &self.buffer[self.start..self.end];
        let Some(length) = read.first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return Err(());
        }
        let whole = read.len() >= 4 + length;
        Ok(whole.then_some((self.start + 4, length)))
    }
}

impl Wire for Stream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, parts: &mut [IoSliceMut<'_>]) -> Received {
        loop {
            match self.whole() {
                Err(()) => return Received::Gone,
                Ok(Some((at, length))) => {
                    let mut frame = &self.buffer[at..at + length];
                    for part in parts {
                        let (now, later) = frame.split_at(frame.len().min(part.len()));
                        part[..now.len()].copy_from_slice(now);
                        frame = later;
                    }
                    self.start = at + length;
                    return Received::Frame(length);
                }
                Ok(None) => {}
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            match rustix::io::read(&self.socket, &mut self.buffer[self.end..]) {
                Ok(0) => return Received::Gone,
                Ok(count) => self.end += count,
                Err(Errno::AGAIN | Errno::INTR) => return Received::Nothing,
                Err(_) => return Received::Gone,
            }
        }
    }

    fn send(&mut self, parts: &[IoSlice<'_>]) -> Sent {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let before = (length as u32).to_be_bytes();
        let mut all = heapless::Vec::<IoSlice<'_>, { FRAME_PAGES + 2 }>::new();
        let _ = all.push(IoSlice::new(&before)); // There are as many places.
        let _ = all.extend_from_slice(parts);
        let written = match rustix::io::writev(&self.socket, &all) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => return Sent::Later,
            Err(_) => return Sent::Gone,
        };
        // What did not fit goes first when there is room.
        let mut passed = written;
        for part in &all {
            let skip = passed.min(part.len());
            self.rest.extend_from_slice(&part[skip..]);
            passed -= skip;
        }
        if self.rest.is_empty() {
            Sent::Yes
        } else {
            Sent::Partly
        }
    }

    fn flush(&mut self) -> Sent {
        while !self.rest.is_empty() {
            match rustix::io::write(&self.socket, &self.rest) {
                Ok(count) => drop(self.rest.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Sent::Later,
                Err(_) => return Sent::Gone,
            }
        }
        Sent::Yes
    }
}
