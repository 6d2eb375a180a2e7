//! Where the parts of a frame lie.
//!
//! Owns the offsets of headers in a frame and the arithmetic of a message's stream, pages
//! and trailer, with all checks that a receiver must make on lengths. Leaves the bytes
//! themselves to the caller, because they lie in pieces: a head of 180 bytes and pages.
//!
//! A message's *stream* is its inline data, then its right descriptors, then its call
//! context. The first 64 bytes of it lie in the head; the rest, the *trailer*, lies behind
//! the frame's pages. Pages come first and whole because a receiver's buffer is a head and
//! single pages: so each out-of-line page arrives in a page of its own and is handed over
//! without a copy.

use crate::bytes::{sub, sub_mut};
use crate::session::{Flags, Header, Kind};
use crate::{Error, context, descriptor, ethernet, flip, session};

/// Where the FLIP header starts.
pub const FLIP_AT: usize = ethernet::LENGTH;
/// Where the session header starts.
pub const SESSION_AT: usize = FLIP_AT + flip::LENGTH;
/// Where the body starts: all headers together.
pub const BODY_AT: usize = SESSION_AT + session::LENGTH;
/// Bytes of the body that lie in the head.
pub const HEAD_BODY: usize = 64;
/// Where the pages start: the whole head.
pub const HEAD: usize = BODY_AT + HEAD_BODY;
/// Bytes of a FLIP payload that lie in the head: session header and first part of the body.
pub const HEAD_PAYLOAD: usize = HEAD - SESSION_AT;
/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The three headers at the start of a frame, in place.
#[inline]
pub fn split(
    prefix: &[u8; BODY_AT],
) -> (
    &[u8; ethernet::LENGTH],
    &[u8; flip::LENGTH],
    &[u8; session::LENGTH],
) {
    (
        sub::<0, _, _>(prefix),
        sub::<FLIP_AT, _, _>(prefix),
        sub::<SESSION_AT, _, _>(prefix),
    )
}

/// The place of the session header in a head that is being written.
#[inline]
pub fn session_mut(head: &mut [u8; HEAD]) -> &mut [u8; session::LENGTH] {
    sub_mut::<SESSION_AT, _, _>(head)
}

/// The place of the FLIP header in a head that is being written.
#[inline]
pub fn flip_mut(head: &mut [u8; HEAD]) -> &mut [u8; flip::LENGTH] {
    sub_mut::<FLIP_AT, _, _>(head)
}

/// The place of the Ethernet header in a head that is being written.
#[inline]
pub fn ethernet_mut(head: &mut [u8; HEAD]) -> &mut [u8; ethernet::LENGTH] {
    sub_mut::<0, _, _>(head)
}

/// The place of the first 64 bytes of body in a head that is being written.
#[inline]
pub fn body_mut(head: &mut [u8; HEAD]) -> &mut [u8; HEAD_BODY] {
    sub_mut::<BODY_AT, _, _>(head)
}

/// Checks the length of a frame that is neither MESSAGE nor PART (W-20).
///
/// `payload_length` is the FLIP payload: session header and all that follows.
#[inline]
pub fn check_fixed(kind: Kind, payload_length: usize) -> Result<(), Error> {
    let expected = match kind {
        Kind::Hello | Kind::Welcome => HEAD_PAYLOAD,
        // With what has arrived further ahead.
        Kind::Ack if payload_length == HEAD_PAYLOAD => HEAD_PAYLOAD,
        Kind::Ack | Kind::Probe | Kind::Reset | Kind::Control => session::LENGTH,
        Kind::Message | Kind::Part => return Err(Error::WrongType),
    };
    if payload_length == expected {
        Ok(())
    } else {
        Err(Error::WrongLength)
    }
}

/// Where the parts of a MESSAGE or PART frame lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLayout {
    /// Bytes of the stream: inline data, right descriptors, call context.
    pub stream: usize,
    /// Bytes of the stream behind the pages.
    pub trailer: usize,
    /// Out-of-line pages in this frame: the first pages behind the head.
    pub pages: usize,
    /// Bytes that these pages carry; fewer than `pages` full ones only if nothing follows.
    pub page_bytes: usize,
}

impl MessageLayout {
    /// The layout of a frame to be sent: `inline` bytes, `rights` descriptors, perhaps a
    /// call context, and `page_bytes` of out-of-line memory.
    ///
    /// Where there is a trailer, the last page is sent whole: `page_bytes` is rounded up.
    #[inline]
    pub const fn plan(
        inline: usize,
        rights: usize,
        context: bool,
        page_bytes: usize,
    ) -> MessageLayout {
        let stream = stream_length(inline, rights, context);
        let trailer = stream.saturating_sub(HEAD_BODY);
        let pages = page_bytes.div_ceil(PAGE);
        let page_bytes = if trailer > 0 {
            pages * PAGE
        } else {
            page_bytes
        };
        MessageLayout {
            stream,
            trailer,
            pages,
            page_bytes,
        }
    }

    /// The layout of a received frame; `payload_length` is the FLIP payload.
    #[inline(always)]
    pub fn parse(header: &Header<'_>, payload_length: usize) -> Result<MessageLayout, Error> {
        match header.kind() {
            Kind::Message => MessageLayout::parse_message(header, payload_length),
            Kind::Part => MessageLayout::parse_part(header, payload_length),
            _ => Err(Error::WrongType),
        }
    }

    /// The same where the kind is known to be MESSAGE.
    ///
    /// # Errors
    /// The lengths contradict each other (W-20).
    #[inline(always)]
    pub fn parse_message(
        header: &Header<'_>,
        payload_length: usize,
    ) -> Result<MessageLayout, Error> {
        let context = header.flags().contains(Flags::CONTEXT);
        let stream = stream_length(header.inline().into(), header.rights().into(), context);
        // The common case: all of it in the head, and nothing else.
        if payload_length == session::LENGTH + stream && stream <= HEAD_BODY {
            return Ok(MessageLayout {
                stream,
                trailer: 0,
                pages: 0,
                page_bytes: 0,
            });
        }
        let trailer = stream.saturating_sub(HEAD_BODY);
        let page_bytes = payload_length
            .checked_sub(HEAD_PAYLOAD)
            .and_then(|behind| behind.checked_sub(trailer))
            .ok_or(Error::WrongLength)?;
        let memory = header.memory() as usize;
        let whole = page_bytes.is_multiple_of(PAGE);
        let last = trailer == 0 && page_bytes == memory;
        // What is behind the head must be needed there: padding would be a place to hide in.
        let needed = trailer > 0 || page_bytes > 0;
        if !needed || !(whole || last) || page_bytes > memory.next_multiple_of(PAGE) {
            return Err(Error::WrongLength);
        }
        Ok(MessageLayout {
            stream,
            trailer,
            pages: page_bytes.div_ceil(PAGE),
            page_bytes,
        })
    }

    /// Further pages of a message (W-23).
    #[inline]
    fn parse_part(header: &Header<'_>, payload_length: usize) -> Result<MessageLayout, Error> {
        if header.inline() != 0 || header.rights() != 0 || header.flags().contains(Flags::CONTEXT) {
            return Err(Error::BadField);
        }
        let page_bytes = payload_length
            .checked_sub(HEAD_PAYLOAD)
            .ok_or(Error::WrongLength)?;
        if page_bytes == 0 {
            return Err(Error::WrongLength);
        }
        let pages = page_bytes.div_ceil(PAGE);
        Ok(MessageLayout {
            stream: 0,
            trailer: 0,
            pages,
            page_bytes,
        })
    }

    /// Bytes of FLIP payload that such a frame has.
    #[inline]
    pub const fn payload_length(&self) -> usize {
        let behind = self.page_bytes + self.trailer;
        if behind > 0 {
            HEAD_PAYLOAD + behind
        } else {
            session::LENGTH + self.stream
        }
    }

    /// Bytes of the stream that lie in the head.
    #[inline]
    pub const fn in_head(&self) -> usize {
        self.stream - self.trailer
    }

    /// Pages of a receiver's buffer that the trailer fills, behind the first `pages` ones.
    #[inline]
    pub const fn trailer_pages(&self) -> usize {
        self.trailer.div_ceil(PAGE)
    }
}

#[inline]
const fn stream_length(inline: usize, rights: usize, context: bool) -> usize {
    inline + rights * descriptor::LENGTH + if context { context::LENGTH } else { 0 }
}
