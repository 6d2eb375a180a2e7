//! A message's header, and what both ends check about it.
//!
//! Owns: 16 bytes in front of every payload: lengths of request and reply, number, flags.

use anyhow::{Result, ensure};
use norma_peer::plan::HEADER;

/// The sender waits for a reply.
const WANTS_REPLY: u32 = 1;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload behind it.
    pub length: u32,
    /// Bytes of payload that the reply is to have.
    pub reply: u32,
    /// Its number; a reply has that of its request.
    pub number: u32,
    /// Whether a reply is wanted.
    pub wants_reply: bool,
}

impl Header {
    /// Writes it.
    #[inline]
    pub fn write(&self, to: &mut [u8]) {
        let flags = if self.wants_reply { WANTS_REPLY } else { 0 };
        let words = [self.length, self.reply, self.number, flags];
        for (to, word) in to.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads it.
    #[inline]
    pub fn read(from: &[u8]) -> Result<Self> {
        ensure!(from.len() >= HEADER, "{} bytes are no message", from.len());
        let word = |i: usize| {
            let bytes = &from[4 * i..4 * i + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        Ok(Self {
            length: word(0),
            reply: word(1),
            number: word(2),
            wants_reply: word(3) & WANTS_REPLY != 0,
        })
    }

    /// The header of the reply.
    #[inline]
    pub fn answer(&self) -> Self {
        Self {
            length: self.reply,
            reply: 0,
            number: self.number,
            wants_reply: false,
        }
    }
}

/// Checks that what came is the reply to request `number`, of that length.
#[inline]
pub fn check_reply(message: &[u8], number: u32, length: usize) -> Result<()> {
    let header = Header::read(message)?;
    ensure!(
        header.number == number && header.length as usize == length,
        "expected the reply {number} of {length} bytes, found {header:?}"
    );
    ensure!(
        message.len() == HEADER + length,
        "a reply of {} bytes says that it has {length}",
        message.len() - HEADER
    );
    Ok(())
}
