//! What can be measured.

use crate::ipc::Around;
use crate::ports::CLIENTS;
use alloc::vec::Vec;
use norma_boot::Disposition;

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A raw frame there and back.
    Floor,
    /// A null RPC between two threads of one node.
    LocalNull,
    /// An RPC between threads of one node.
    Local(Around),
    /// An RPC with so many bytes inline in the request, and in the reply.
    Inline(usize, usize),
    /// A null RPC with a send right in the request.
    Right,
    /// An RPC with so many bytes out of line in the request, and an empty reply.
    OutOfLine(usize),
    /// One-way messages with so many bytes out of line.
    Stream(usize),
    /// An RPC with a receive right in the request, in whose port so many messages are queued.
    Migrate(usize),
    /// Null RPCs to so many ports, of so many threads.
    Ports(usize, usize),
    /// Raw frames that carry so many bytes.
    RawStream(usize),
}

/// A benchmark, and how often its operation is done.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Measured operations in a stretch.
    pub n: usize,
    /// Operations before that.
    pub warmup: usize,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

static KINDS: [(&str, Kind); 46] = [
    ("floor", Kind::Floor),
    ("local-null", Kind::LocalNull),
    ("remote-null", Kind::Inline(0, 0)),
    ("remote-right", Kind::Right),
    ("remote-64", Kind::Inline(64, 64)),
    ("remote-1k", Kind::Inline(1024, 0)),
    ("remote-4k", Kind::OutOfLine(4096)),
    ("remote-64k", Kind::OutOfLine(65536)),
    ("remote-1m", Kind::OutOfLine(MIB)),
    ("stream-1m", Kind::Stream(MIB)),
    ("raw-stream", Kind::RawStream(MIB)),
    ("migrate-100", Kind::Migrate(100)),
    ("ports-1", Kind::Ports(1, CLIENTS)),
    ("ports-1000", Kind::Ports(1000, CLIENTS)),
    ("callers-4", Kind::Ports(1, 4)),
    ("callers-16", Kind::Ports(1, 16)),
    ("callers-64", Kind::Ports(1, 64)),
    ("ipc-null", Kind::Local(Around::Null)),
    (
        "ipc-make-send",
        Kind::Local(Around::Right(Disposition::MakeSend)),
    ),
    (
        "ipc-copy-send",
        Kind::Local(Around::Right(Disposition::CopySend)),
    ),
    (
        "ipc-move-send",
        Kind::Local(Around::Right(Disposition::MoveSend)),
    ),
    (
        "ipc-make-send-once",
        Kind::Local(Around::Right(Disposition::MakeSendOnce)),
    ),
    (
        "ipc-move-send-once",
        Kind::Local(Around::Right(Disposition::MoveSendOnce)),
    ),
    (
        "ipc-move-receive",
        Kind::Local(Around::Right(Disposition::MoveReceive)),
    ),
    ("ipc-set-1", Kind::Local(Around::Set(1))),
    ("ipc-set-10", Kind::Local(Around::Set(10))),
    ("ipc-set-1000", Kind::Local(Around::Set(1000))),
    ("ipc-inline-128", Kind::Local(Around::Inline(128))),
    ("ipc-inline-1k", Kind::Local(Around::Inline(KIB))),
    ("ipc-inline-4k", Kind::Local(Around::Inline(4 * KIB))),
    ("ipc-moved-4k", Kind::Local(Around::Moved(4 * KIB))),
    ("ipc-moved-64k", Kind::Local(Around::Moved(64 * KIB))),
    ("ipc-moved-1m", Kind::Local(Around::Moved(MIB))),
    ("ipc-copied-4k", Kind::Local(Around::Copied(4 * KIB))),
    ("ipc-copied-64k", Kind::Local(Around::Copied(64 * KIB))),
    ("ipc-copied-1m", Kind::Local(Around::Copied(MIB))),
    ("ipc-touched-4k", Kind::Local(Around::Touched(4 * KIB))),
    ("ipc-touched-64k", Kind::Local(Around::Touched(64 * KIB))),
    ("ipc-touched-1m", Kind::Local(Around::Touched(MIB))),
    ("ipc-names-10", Kind::Local(Around::Names(10))),
    ("ipc-names-100", Kind::Local(Around::Names(100))),
    ("ipc-names-1000", Kind::Local(Around::Names(1000))),
    ("ipc-names-100000", Kind::Local(Around::Names(100_000))),
    ("ipc-clients-1", Kind::Local(Around::Clients(1))),
    ("ipc-clients-10", Kind::Local(Around::Clients(10))),
    ("ipc-clients-1000", Kind::Local(Around::Clients(1000))),
];

impl Item {
    /// The items of `NAME:N:WARMUP,…`, or the first word that is not one.
    pub fn list(text: &'static str) -> Result<Vec<Item>, &'static str> {
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| Item::parse(word).ok_or(word))
            .collect()
    }

    fn parse(word: &'static str) -> Option<Item> {
        let mut parts = word.split(':');
        let name = parts.next()?;
        let (_, kind) = *KINDS.iter().find(|(known, _)| *known == name)?;
        let n: usize = parts.next()?.parse().ok()?;
        let warmup = parts.next()?.parse().ok()?;
        (n > 0).then_some(Item {
            name,
            kind,
            n,
            warmup,
        })
    }
}
