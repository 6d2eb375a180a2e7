//! Counters: what FLIP did, and why it did not.

use norma_wire::Error;

/// Why a received frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It is no frame of ours.
    Wire(Error),
    /// It is for another station.
    OtherStation,
    /// It claims to come from a group of stations, or from this one.
    BadStation,
    /// Its source address is broadcast, or one of our own.
    BadSource,
    /// It has crossed more networks than it may.
    HopLimit,
    /// Nobody here has its destination address.
    NotHere,
    /// It answers a question that was not asked.
    Unsolicited,
    /// UNIDATA in a broadcast frame.
    Unsupported,
    /// An answer had to be given and there was no room for it.
    NoRoom,
    /// A fragment that overlaps another without being a copy: the datagram is dropped.
    Overlap,
    /// A fragment that contradicts the total of another: the datagram is dropped.
    WrongTotal,
    /// A fragment of a datagram longer than is supported.
    TooLong,
    /// A datagram with too many gaps: it is dropped.
    TooManyRanges,
    /// No memory for a datagram.
    NoMemory,
    /// A broadcast that came before, over another way.
    Copy,
    /// Too many broadcasts to pass on.
    Flood,
    /// It may cross trusted networks only, and no way of such leads to its destination.
    Untrusted,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Error::COUNT + 16;

    /// The place of this reason in [`Counters::dropped`].
    #[inline]
    pub const fn index(self) -> usize {
        let own = match self {
            DropReason::Wire(error) => return error.index(),
            DropReason::OtherStation => 0,
            DropReason::BadStation => 1,
            DropReason::BadSource => 2,
            DropReason::HopLimit => 3,
            DropReason::NotHere => 4,
            DropReason::Unsolicited => 5,
            DropReason::Unsupported => 6,
            DropReason::NoRoom => 7,
            DropReason::Overlap => 8,
            DropReason::WrongTotal => 9,
            DropReason::TooLong => 10,
            DropReason::TooManyRanges => 11,
            DropReason::NoMemory => 12,
            DropReason::Copy => 13,
            DropReason::Flood => 14,
            DropReason::Untrusted => 15,
        };
        Error::COUNT + own
    }

    /// The names, in the order of the index.
    pub const NAMES: [&'static str; Self::COUNT] = [
        Error::ALL[0].name(),
        Error::ALL[1].name(),
        Error::ALL[2].name(),
        Error::ALL[3].name(),
        Error::ALL[4].name(),
        Error::ALL[5].name(),
        "other_station",
        "bad_station",
        "bad_source",
        "hop_limit",
        "not_here",
        "unsolicited",
        "unsupported",
        "no_room",
        "overlap",
        "wrong_total",
        "too_long",
        "too_many_ranges",
        "no_memory",
        "copy",
        "flood",
        "untrusted",
    ];

    /// A short name, as shown beside its counter.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

/// What FLIP did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came: all that this node had to look at.
    pub received: u64,
    /// LOCATEs among them, whoever was sought.
    pub locates_received: u64,
    /// Datagrams handed up, whole ones and reassembled ones.
    pub delivered: u64,
    /// Frames sent: datagrams, fragments, and FLIP's own.
    pub sent: u64,
    /// LOCATEs sent for addresses that this node seeks, counted once for all networks.
    pub locates: u64,
    /// Those among them that went to a hinted station alone.
    pub locates_hinted: u64,
    /// Announcements sent, counted once for all networks.
    pub announcements: u64,
    /// LOCATEs of others that were passed on to a whole network.
    pub locates_flooded: u64,
    /// LOCATEs of others that were passed on along a known way, to one station.
    pub locates_directed: u64,
    /// Datagrams of others that were passed on, or fragments of such, by this router.
    pub forwarded: u64,
    /// Multicasts of others that one more network should have had, and there was no room.
    pub transit_lost: u64,
    /// HEREIS sent for addresses of this node.
    pub answers: u64,
    /// NOTHERE and UNTRUSTED sent, but for those passed on.
    pub denials: u64,
    /// Datagrams for which there was no route.
    pub no_route: u64,
    /// Routes that lost their place to others.
    pub routes_evicted: u64,
    /// Routes that were not noted for want of memory.
    pub routes_not_noted: u64,
    /// Routes that NOTHERE denied.
    pub routes_denied: u64,
    /// Fragments that came twice.
    pub duplicate_fragments: u64,
    /// Datagrams whose missing fragments did not come in time.
    pub reassembly_timeouts: u64,
    /// Datagrams that had to make room before they were complete.
    pub reassembly_evicted: u64,
    /// Datagrams of which not all fragments could be sent for want of memory or of a route.
    pub fragmenting_failed: u64,
    /// Events that nobody polled in time.
    pub events_lost: u64,
    /// Frames dropped, by [`DropReason::index`].
    pub dropped: [u64; DropReason::COUNT],
}

impl Counters {
    /// Frames dropped for this reason.
    pub const fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()]
    }

    /// Frames dropped.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) const fn drop_frame(&mut self, reason: DropReason) {
        self.dropped[reason.index()] += 1;
    }
}
