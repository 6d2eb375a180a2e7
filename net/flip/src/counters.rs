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
    /// Its type is not supported (MULTIDATA, UNTRUSTED), or not to all (UNIDATA to broadcast).
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
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Error::COUNT + 13;

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
    ];

    /// A short name, as shown beside its counter.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

/// What FLIP did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came.
    pub received: u64,
    /// Datagrams handed up, whole ones and reassembled ones.
    pub delivered: u64,
    /// Frames sent: datagrams, fragments, and FLIP's own.
    pub sent: u64,
    /// LOCATEs sent.
    pub locates: u64,
    /// Announcements sent.
    pub announcements: u64,
    /// HEREIS sent.
    pub answers: u64,
    /// NOTHERE sent.
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
