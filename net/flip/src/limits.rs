//! Sizes and times of FLIP, each with its reason.

use core::time::Duration;

/// Networks that a node may be attached to. Routers join two or three; each costs its card's
/// receive buffers, 4 MiB.
pub const NETWORKS: usize = 4;

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

/// How long the answer to a LOCATE that was sent to a hinted station alone is awaited before
/// everybody is asked: several round trips of a slow machine, and no longer than a broadcast is
/// given (W-76).
pub const HINT_WAIT: Duration = Duration::from_millis(50);

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

/// Packets of FLIP's own (LOCATE, HEREIS, NOTHERE, UNTRUSTED), own or passed on, that may wait to
/// be sent on one network: what one batch of received frames can cause. More are dropped; the
/// other side asks again.
pub const ANSWERS: usize = 64;

/// Datagrams that may wait to be passed on, on one network: two windows of a session. More are
/// dropped, as by any router; the session sends them again.
pub const TRANSIT: usize = 64;

/// Pages that these may hold, of all networks together: 2 MiB, a session's whole window of large
/// frames.
pub const TRANSIT_PAGES: usize = 512;

/// Broadcast frames (LOCATE, MULTIDATA) of others that a router may pass on at once, and how long
/// until one more. Duplicates are not passed on at all; this bounds what a flood of new ones costs
/// the other networks.
pub const FLOOD_BURST: u32 = 64;
/// See [`FLOOD_BURST`]: 500 a second, as many as one node may broadcast.
pub const FLOOD_INTERVAL: Duration = LOCATE_INTERVAL;

/// Sets of the table of what was seen lately. With four ways 512 broadcasts, a second's worth:
/// 20 KiB, at routers and at nodes that hear multicasts.
pub const RECENT_SETS: usize = 128;

/// See [`RECENT_SETS`].
pub const RECENT_WAYS: usize = 4;

/// How long a broadcast counts as seen. Its copies take other ways over at most
/// [`MAXIMUM_HOP`] networks, each of which delays it by far less than a tenth of that.
pub const RECENT_LIFETIME: Duration = Duration::from_secs(2);

/// Addresses whose listeners are known, for multicast. Each takes up to 1.5 KiB.
pub const GROUPS: usize = 64;

/// Stations that are told apart among the listeners of an address on one network. From two on a
/// datagram is broadcast there, so that more than these matter only to the count.
pub const GROUP_STATIONS: usize = 8;

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

/// Datagrams of the node's own that may wait to be sent in fragments, and multicasts, on one
/// network. Their sender is told when there is no room.
pub const FRAGMENTED: usize = 8;

/// Smallest MTU: as IPv4 asks of every network. Far below it headers would outweigh the payload.
pub const MIN_MTU: u16 = 576;

/// Largest MTU: a frame of [`crate::frame::MAX_FRAME`] bytes.
pub const MAX_MTU: u16 = (crate::frame::MAX_FRAME - norma_wire::ethernet::LENGTH) as u16;
