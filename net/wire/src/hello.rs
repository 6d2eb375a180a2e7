//! The body of HELLO and WELCOME (64 bytes, at byte 116 of the frame).
//!
//! Owns its fields: which versions and features, which boot of which node of which cluster.
//! Leaves the handshake to `norma-net`.

use crate::Error;
use crate::bytes::{
    get, get_u8, get_u16, get_u32, get_u64, put, put_u8, put_u16, put_u32, put_u64,
};

/// Bytes of the body: it fills the first piece of a frame.
pub const LENGTH: usize = 64;

/// A node's name: up to 16 bytes of UTF-8, padded with zeros.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NodeName([u8; 16]);

impl NodeName {
    /// The name, if it is short enough and has no zero in it.
    pub fn new(name: &str) -> Option<NodeName> {
        let mut bytes = [0; 16];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        NodeName::from_bytes(bytes)
    }

    /// The name in these bytes, if they are UTF-8 and nothing but zeros follows the first zero.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<NodeName> {
        let name = NodeName(bytes);
        let whole = !bytes[..name.len()].contains(&0);
        (whole && core::str::from_utf8(&bytes).is_ok()).then_some(name)
    }

    /// Up to the last byte that is not zero.
    fn len(&self) -> usize {
        self.0.len() - u128::from_le_bytes(self.0).leading_zeros() as usize / 8
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0[..self.len()]).unwrap_or("")
    }

    /// The padded bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl core::fmt::Debug for NodeName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl core::fmt::Display for NodeName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checked view of the body: the versions are a range and the name is a name.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a>(&'a [u8; LENGTH]);

impl<'a> Body<'a> {
    /// A view of the body that `bytes` starts with (W-21).
    pub fn new_checked(bytes: &'a [u8]) -> Result<Body<'a>, Error> {
        Body::from_array(bytes.first_chunk().ok_or(Error::TooShort)?)
    }

    /// The same for bytes that are known to be enough.
    pub fn from_array(bytes: &'a [u8; LENGTH]) -> Result<Body<'a>, Error> {
        let body = Body(bytes);
        if body.lowest() > body.highest() || NodeName::from_bytes(get::<48, 16, _>(bytes)).is_none()
        {
            return Err(Error::BadField);
        }
        Ok(body)
    }

    /// Lowest session version that the sender speaks.
    pub fn lowest(&self) -> u8 {
        get_u8::<0, _>(self.0)
    }

    /// Highest session version that the sender speaks.
    pub fn highest(&self) -> u8 {
        get_u8::<1, _>(self.0)
    }

    /// The reserved field, which a sender sets to zero and a receiver ignores.
    pub fn reserved(&self) -> u16 {
        get_u16::<2, _>(self.0)
    }

    /// Features that the sender offers, one bit each.
    pub fn features(&self) -> u32 {
        get_u32::<4, _>(self.0)
    }

    /// Which boot of the node this is.
    pub fn incarnation(&self) -> u64 {
        get_u64::<8, _>(self.0)
    }

    /// Which cluster the sender belongs to.
    pub fn cluster(&self) -> [u8; 16] {
        get::<16, 16, _>(self.0)
    }

    /// The number that the sender chose for the session.
    pub fn session(&self) -> u32 {
        get_u32::<32, _>(self.0)
    }

    /// The number that the other side chose (WELCOME; 0 in HELLO).
    pub fn echo(&self) -> u32 {
        get_u32::<36, _>(self.0)
    }

    /// Largest session payload that the sender can receive, in bytes.
    pub fn frame_limit(&self) -> u32 {
        get_u32::<40, _>(self.0)
    }

    /// Sequence number of the sender's first sequenced frame.
    pub fn first_sequence(&self) -> u32 {
        get_u32::<44, _>(self.0)
    }

    /// Name of the sending node.
    pub fn name(&self) -> NodeName {
        NodeName(get::<48, 16, _>(self.0))
    }
}

/// The body, typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Lowest session version that the sender speaks.
    pub lowest: u8,
    /// Highest session version that the sender speaks.
    pub highest: u8,
    /// Features that the sender offers, one bit each.
    pub features: u32,
    /// Which boot of the node this is.
    pub incarnation: u64,
    /// Which cluster the sender belongs to.
    pub cluster: [u8; 16],
    /// The number that the sender chose for the session.
    pub session: u32,
    /// The number that the other side chose (WELCOME; 0 in HELLO).
    pub echo: u32,
    /// Largest session payload that the sender can receive, in bytes.
    pub frame_limit: u32,
    /// Sequence number of the sender's first sequenced frame.
    pub first_sequence: u32,
    /// Name of the sending node.
    pub name: NodeName,
}

impl Repr {
    /// Reads a body.
    pub fn parse(body: &Body<'_>) -> Repr {
        Repr {
            lowest: body.lowest(),
            highest: body.highest(),
            features: body.features(),
            incarnation: body.incarnation(),
            cluster: body.cluster(),
            session: body.session(),
            echo: body.echo(),
            frame_limit: body.frame_limit(),
            first_sequence: body.first_sequence(),
            name: body.name(),
        }
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the body.
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        put_u8::<0, _>(bytes, self.lowest);
        put_u8::<1, _>(bytes, self.highest);
        put_u16::<2, _>(bytes, 0);
        put_u32::<4, _>(bytes, self.features);
        put_u64::<8, _>(bytes, self.incarnation);
        put::<16, 16, _>(bytes, self.cluster);
        put_u32::<32, _>(bytes, self.session);
        put_u32::<36, _>(bytes, self.echo);
        put_u32::<40, _>(bytes, self.frame_limit);
        put_u32::<44, _>(bytes, self.first_sequence);
        put::<48, 16, _>(bytes, *self.name.as_bytes());
    }
}
