//! The Ethernet header (14 bytes): who on the segment, and that it carries FLIP.
//!
//! Owns FLIP's EtherType and a typed form of the header. Leaves the format itself to
//! smoltcp, which stays behind this one module. A tag (802.1Q) is not understood: such a
//! frame has another EtherType and is dropped.
//!
//! Source: IEEE 802.3; EtherType 0x8146 is registered to FLIP.

pub use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

use crate::Error;
use crate::bytes::get;

/// Bytes of the header.
pub const LENGTH: usize = 14;

/// The EtherType under which FLIP travels.
pub const FLIP: EthernetProtocol = EthernetProtocol::Unknown(u16::from_be_bytes(ETHERTYPE));

const ETHERTYPE: [u8; 2] = [0x81, 0x46];

/// The header of a frame that carries FLIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// The station that shall receive the frame, or broadcast.
    pub destination: EthernetAddress,
    /// The station that sent it.
    pub source: EthernetAddress,
}

impl Repr {
    /// Reads the header; refuses any EtherType but FLIP's (W-1).
    #[inline]
    pub fn parse(bytes: &[u8; LENGTH]) -> Result<Repr, Error> {
        // Compared as bytes: smoltcp's enum would tell IPv4 and others apart for nothing.
        if get::<12, 2, _>(bytes) != ETHERTYPE {
            return Err(Error::WrongEtherType);
        }
        let frame = EthernetFrame::new_unchecked(bytes);
        Ok(Repr {
            destination: frame.dst_addr(),
            source: frame.src_addr(),
        })
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the header.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        let mut frame = EthernetFrame::new_unchecked(bytes);
        frame.set_dst_addr(self.destination);
        frame.set_src_addr(self.source);
        frame.set_ethertype(FLIP);
    }
}
