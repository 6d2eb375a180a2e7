//! The head of a ring.

use crate::{EVENT, EVENTS, HEADER, MAGIC, NAME, THREADS, VERSION};

/// What a ring says about itself. All numbers are little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// Bytes of an event.
    pub event: u32,
    /// How many events there is room for: a power of two.
    pub events: u32,
    /// How many names of threads lie between this and the events.
    pub threads: u32,
    /// The physical address of the ring, by which a copy of it is told from itself.
    pub address: u64,
    /// Bytes of all events that were ever written, of which the last are here: the next one is
    /// written at this number modulo the bytes of the ring's events.
    pub written: u64,
    /// Nanoseconds per tick of the counter that stamps events, times 2^32; 0 until it is known.
    pub rate: u64,
    /// The node's name, with zeros behind it.
    pub node: [u8; NAME],
}

const _: () = assert!(size_of::<Header>() <= HEADER);

/// Why bytes are no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// They begin otherwise, or are too few.
    NoRing,
    /// It has another version.
    Version(u32),
    /// Its sizes contradict its version.
    Sizes,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::NoRing => f.write_str("no ring of events"),
            Error::Version(found) => write!(
                f,
                "a ring of events of version {found}; expected version {VERSION}: \
                 the image was built by another norma than this one"
            ),
            Error::Sizes => {
                f.write_str("a ring of events whose sizes are not those of its version")
            }
        }
    }
}

impl core::error::Error for Error {}

impl Header {
    /// The header of an empty ring at this physical address.
    #[must_use]
    pub fn new(address: u64, node: &str) -> Self {
        Header {
            magic: MAGIC,
            version: VERSION,
            event: EVENT as u32,
            events: EVENTS as u32,
            threads: THREADS as u32,
            address,
            written: 0,
            rate: 0,
            node: name(node),
        }
    }

    /// Reads the header that `bytes` begin with.
    ///
    /// # Errors
    /// It is none, or not one of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut at = 0;
        let magic = take::<8>(bytes, &mut at).ok_or(Error::NoRing)?;
        if magic != MAGIC {
            return Err(Error::NoRing);
        }
        let mut word = || {
            take(bytes, &mut at)
                .map(u32::from_le_bytes)
                .ok_or(Error::NoRing)
        };
        let (version, event, events, threads) = (word()?, word()?, word()?, word()?);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        if (event, events, threads) != (EVENT as u32, EVENTS as u32, THREADS as u32) {
            return Err(Error::Sizes);
        }
        let mut long = || {
            take(bytes, &mut at)
                .map(u64::from_le_bytes)
                .ok_or(Error::NoRing)
        };
        let (address, written, rate) = (long()?, long()?, long()?);
        let node = take(bytes, &mut at).ok_or(Error::NoRing)?;
        if !written.is_multiple_of(EVENT as u64) {
            return Err(Error::Sizes);
        }
        Ok(Header {
            magic,
            version,
            event,
            events,
            threads,
            address,
            written,
            rate,
            node,
        })
    }

    /// The header as it lies in memory.
    #[must_use]
    pub fn bytes(&self) -> [u8; size_of::<Header>()] {
        let words = [self.version, self.event, self.events, self.threads];
        let longs = [self.address, self.written, self.rate];
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        let longs = longs.iter().flat_map(|long| long.to_le_bytes());
        let all = self.magic.into_iter().chain(words).chain(longs);
        let mut bytes = [0; size_of::<Header>()];
        for (place, byte) in bytes.iter_mut().zip(all.chain(self.node)) {
            *place = byte;
        }
        bytes
    }

    /// How many events were ever written.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.written / EVENT as u64
    }

    /// How many of them have been overwritten.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.count().saturating_sub(EVENTS as u64)
    }
}

/// The first bytes of a name, with zeros behind it.
#[must_use]
pub fn name(text: &str) -> [u8; NAME] {
    let mut name = [0; NAME];
    for (place, byte) in name.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    name
}

/// A name as it lies in a ring; what is no text is left out.
#[must_use]
pub fn text(name: &[u8; NAME]) -> &str {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    let name = &name[..end];
    match core::str::from_utf8(name) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&name[..error.valid_up_to()]).unwrap_or_default(),
    }
}

fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let taken = bytes.get(*at..)?.first_chunk()?;
    *at += N;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: Header) -> Vec<u8> {
        let mut bytes = header.bytes().to_vec();
        bytes.resize(HEADER, 0);
        bytes
    }

    #[test]
    fn a_header_is_read_as_it_lies_in_memory() {
        let header = Header {
            written: 5 * EVENT as u64,
            rate: 7,
            ..Header::new(0x20_0000, "a")
        };
        let read = Header::parse(&bytes(header)).unwrap();
        assert_eq!(read, header);
        assert_eq!((read.count(), read.lost()), (5, 0));
        assert_eq!(core::mem::offset_of!(Header, written), 32);
        assert_eq!(core::mem::offset_of!(Header, node), 48);
    }

    #[test]
    fn a_name_is_cut_where_it_is_too_long() {
        assert_eq!(text(&name("server")), "server");
        let long = "a name with an \u{e9} at the end: \u{e9}";
        assert_eq!(text(&name(long)), "a name with an \u{e9} at the");
        assert_eq!(text(&name(&"\u{20ac}".repeat(9))), "\u{20ac}".repeat(8));
        assert_eq!(
            text(&name(&("x".to_owned() + &"\u{20ac}".repeat(9)))).len(),
            22
        );
    }

    #[test]
    fn what_was_overwritten_is_counted() {
        let written = (EVENTS as u64 + 3) * EVENT as u64;
        let header = Header {
            written,
            ..Header::new(0, "a")
        };
        assert_eq!(header.lost(), 3);
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = Header::new(0, "a");
        for length in (0..72).step_by(if cfg!(miri) { 9 } else { 1 }) {
            assert_eq!(Header::parse(&bytes(good)[..length]), Err(Error::NoRing));
        }
        assert_eq!(Header::parse(&[0; HEADER]), Err(Error::NoRing));
        let other = Header { version: 2, ..good };
        assert_eq!(Header::parse(&bytes(other)), Err(Error::Version(2)));
        let other = Header { events: 1, ..good };
        assert_eq!(Header::parse(&bytes(other)), Err(Error::Sizes));
        let other = Header { written: 1, ..good };
        assert_eq!(Header::parse(&bytes(other)), Err(Error::Sizes));
    }
}
