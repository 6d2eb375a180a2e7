//! Sizes and times of FLIP, each with its reason.

use core::time::Duration;

/// Addresses that may be registered: the node's own, names, and the ports that were given an
/// address because a right to them travelled. 32 KiB when full.
pub const ADDRESSES: usize = 4096;

/// Sets of the route cache. With four ways 1,024 routes: far more nodes than one segment has,
/// in 32 KiB.
pub const ROUTE_SETS: usize = 256;

/// Routes in one set: enough that a few addresses which fall together do not push each other out.
pub const ROUTE_WAYS: usize = 4;

/// How long a route holds without a packet that confirms it. Longer than sessions stay silent,
/// short enough that a vanished node is forgotten.
pub const ROUTE_LIFETIME: Duration = Duration::from_secs(60);

/// How old the note of a route's last confirmation may grow before it is written anew: it spares
/// the work for nearly every packet, and costs a sixtieth of the lifetime in precision.
pub const ROUTE_PRECISION: Duration = Duration::from_secs(1);

/// Addresses that may be sought at once, those just not found included.
pub const LOCATES: usize = 64;

/// Hop limits of successive LOCATEs, and how long until the next. Amoeba's widen by 2h+1 up to
/// 25; here each is sent more than once, for it can be lost: with a fifth of all frames lost,
/// sixteen round trips in a row fail once in ten million. An answer that comes later than the
/// next LOCATE counts as well. A missing address is known after 960 ms.
pub const LOCATE_STEPS: [(u16, Duration); 16] = {
    const WAIT: Duration = Duration::from_millis(60);
    let mut steps = [(MAXIMUM_HOP, WAIT); 16];
    let widening = [1, 1, 3, 3, 7, 7, 15, 15];
    let mut at = 0;
    while at < widening.len() {
        steps[at].0 = widening[at];
        at += 1;
    }
    steps
};

/// Announcements that may wait for their turn. More are put off by whoever wants them.
pub const ANNOUNCEMENTS: usize = 64;

/// Most networks that a datagram may cross (Amoeba's).
pub const MAXIMUM_HOP: u16 = 25;

/// How long an address counts as missing after it was not found: a program that asks in a loop
/// then costs a burst of broadcasts per second at most.
pub const MISSING_LIFETIME: Duration = Duration::from_millis(500);

/// LOCATEs that may be broadcast at once, and how long until one more: every node on the
/// segment pays for a broadcast.
pub const LOCATE_BURST: u32 = 64;
/// See [`LOCATE_BURST`]: 500 a second.
pub const LOCATE_INTERVAL: Duration = Duration::from_millis(2);

/// NOTHEREs that may be sent at once, and how long until one more: they are a help to the other
/// side and no duty, and must not answer a flood with a flood.
pub const NOTHERE_BURST: u32 = 32;
/// See [`NOTHERE_BURST`]: 100 a second.
pub const NOTHERE_INTERVAL: Duration = Duration::from_millis(10);

/// Answers (HEREIS, NOTHERE) that may wait to be sent: what one batch of received frames can
/// cause. More are dropped; the other side asks again.
pub const ANSWERS: usize = 64;

/// Events that may wait to be polled. Room for every locate's result is kept.
pub const EVENTS: usize = 2 * LOCATES;

/// Datagrams under reassembly. The fast path has none; this serves routers' small networks.
pub const REASSEMBLIES: usize = 16;

/// Longest datagram: with its headers it has the shape of one frame.
pub const MAX_DATAGRAM: usize = crate::frame::MAX_FRAME - crate::PREFIX;

/// Pages that all reassemblies may hold together: 1 MiB.
pub const REASSEMBLY_PAGES: usize = 256;

/// Stretches of a datagram that may have arrived with gaps between them. Fragments come nearly
/// in order.
pub const REASSEMBLY_RANGES: usize = 16;

/// How long the missing fragments of a datagram are awaited. Fragments follow each other at
/// once; the session sends the datagram again anyway.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Datagrams that may wait to be sent in fragments. Their sender is told when there is no room.
pub const FRAGMENTED: usize = 8;

/// Smallest MTU: as IPv4 asks of every network. Far below it headers would outweigh the payload.
pub const MIN_MTU: u16 = 576;

/// Largest MTU: a frame of [`crate::frame::MAX_FRAME`] bytes.
pub const MAX_MTU: u16 = (crate::frame::MAX_FRAME - norma_wire::ethernet::LENGTH) as u16;
