//! What can be measured.

use alloc::vec::Vec;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A null call between two tasks of one node.
    Local,
    /// A call with so many bytes inline in the request, and in the reply.
    Inline(usize, usize),
    /// A call with so many bytes out of line in the request, and an empty reply.
    OutOfLine(usize),
    /// One-way messages with so many bytes out of line; the last is answered.
    Stream(usize),
    /// Null calls of so many threads at once, of which the first thread is one.
    Callers(usize),
}

/// An operation, and how often it is done.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    pub name: &'static str,
    pub kind: Kind,
    /// Measured operations in a stretch.
    pub n: usize,
    /// Operations before that.
    pub warmup: usize,
}

const MIB: usize = 1 << 20;

static KINDS: [(&str, Kind); 11] = [
    ("local-null", Kind::Local),
    ("remote-null", Kind::Inline(0, 0)),
    ("remote-64", Kind::Inline(64, 64)),
    ("remote-1k", Kind::Inline(1024, 0)),
    ("remote-4k", Kind::OutOfLine(4096)),
    ("remote-64k", Kind::OutOfLine(65536)),
    ("remote-1m", Kind::OutOfLine(MIB)),
    ("stream-1m", Kind::Stream(MIB)),
    ("callers-4", Kind::Callers(4)),
    ("callers-16", Kind::Callers(16)),
    ("callers-64", Kind::Callers(64)),
];

impl Item {
    /// Reads `NAME:N:WARMUP,…`.
    ///
    /// # Errors
    /// The part that is none.
    pub fn list(text: &str) -> Result<Vec<Item>, &str> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(|part| Self::read(part).ok_or(part)).collect()
    }

    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let name = fields.next()?;
        let (name, kind) = *KINDS.iter().find(|(known, _)| *known == name)?;
        Some(Item {
            name,
            kind,
            n: fields.next()?.parse().ok()?,
            warmup: fields.next()?.parse().ok()?,
        })
    }
}
