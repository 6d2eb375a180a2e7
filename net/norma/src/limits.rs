//! Every bound of sessions and names, with its reason.

use core::time::Duration;

/// Sessions of a node. The session's place is 12 bits of its number; a table of this many
/// costs nothing until they exist.
pub const MAX_SESSIONS: usize = 4096;

/// Frames that a peer may have under way to us at most: what an acknowledgement with a body can
/// describe. Where one in twenty is lost, each hole stays open for two or three round trips, and
/// as many windows are needed to keep the way full: 512 frames of 60 KiB are 30 MiB, a gigabit
/// over 80 ms.
pub const MAX_CREDIT: u32 = 512;

/// Frames after which an acknowledgement does not wait, at most: an eighth of a megabyte and
/// more is on its way while it is, and a stream does not stall.
pub const ACKNOWLEDGE_EVERY: u32 = 16;

/// The same while frames get lost: the sender's window may be small then.
pub const ACKNOWLEDGE_EVERY_AFTER_LOSS: u32 = 2;

/// How often the receive buffers are shared anew among those who send.
pub const SHARE_INTERVAL: Duration = Duration::from_millis(50);

/// Frames under way with which a session begins: more than a machine of the same rack needs.
pub const FIRST_WINDOW: u32 = 32;

/// Frames under way that a session always may have: with fewer, three later ones never tell
/// that one was lost.
pub const LEAST_WINDOW: u32 = 4;

/// With fewer frames of ours than that in a queue, the window may grow.
pub const QUEUED_LITTLE: u32 = 4;

/// With more than that, and than half the window, it becomes smaller.
pub const QUEUED_ENOUGH: u32 = 8;

/// With more than that, and than half the window, a loss means that the queue was full.
pub const CONGESTED: u32 = 12;

/// Losses are counted over at least so many frames.
pub const LOSS_OVER: u32 = 32;

/// What part of all frames may be lost, in 1024ths, until the window does not grow any more: a
/// tenth. Wires and cards that lose one in twenty were met.
pub const MUCH_LOSS: u32 = 102;

/// With more lost than that, a seventh, the window becomes smaller: no wire is that bad.
pub const BAD_LOSS: u32 = 146;

/// Messages of a session that wait or are under way; one more is refused for want of memory.
/// Senders wait long before, at the queue limit of each stand-in: this bounds what many of them
/// together can pin at a dead or slow peer.
pub const MAX_MESSAGES: usize = 1024;

/// Rights exported in one session: the place is 16 bits of an export index.
pub const MAX_EXPORTS: usize = 65_535;

/// Messages of a session that are incomplete or wait for an earlier one. A peer that opens
/// more sees its frames dropped, and sends them again later.
pub const MAX_PARTIAL: usize = 256;

/// Messages of a session that are partly sent. As many places of [`MAX_PARTIAL`] are kept for
/// those whose turn it is, so that a receiver's table never fills up with messages that wait
/// for one that has no place there (W-44).
pub const MAX_BEGUN: usize = 8;

/// Messages whose first frame is not acknowledged: all of them may have to wait behind one that
/// is lost.
pub const MAX_WAITING: usize = MAX_PARTIAL - 2 * MAX_BEGUN;

/// Frames of a session whose fate may be unknown at one time, for messages to be sent. More than
/// the window, because a frame that has arrived is not settled while something that the peer sent
/// before is missing. CONTROL frames are sent beyond it: what they say settles the peer's.
pub const MAX_UNSETTLED: usize = 1024;

/// CONTROL frames that wait to be sent, and frames whose fate is unknown, these included: more
/// than an honest peer ever causes, with three for each export. A peer that does not let them
/// go has no more of its messages taken.
pub const MAX_CONTROLS: usize = MAX_UNSETTLED + MAX_MESSAGES + 3 * MAX_EXPORTS;

/// A list for so many rights is kept for the next message that has any; most have one or two.
pub const KEEP_RIGHTS: usize = 16;

/// Rights that a node acquires from their owners at one time. Each of them has a stand-in, which
/// whoever gave the right pays for too; a message that brings more is refused for want of
/// memory (W-111).
pub const MAX_ACQUISITIONS: usize = 1024;

/// How often a right that is being acquired is asked for again: long enough for any answer that
/// will come, and soon enough for whoever waits to send.
pub const ACQUIRE_AGAIN: Duration = Duration::from_millis(250);

/// Nodes that are asked for one right without a pause, each of which may send us on to the next:
/// more only if it moves faster than it can be followed, or nodes that lie send us round.
pub const MAX_STEPS: u8 = 16;

/// How long a stand-in without rights is kept, in case the same right comes again: longer than
/// a call to a service takes, and no longer than an acknowledgement waits.
pub const LINGER: Duration = ACK_DELAY;

/// Stand-ins of a session that are kept so. A service is sent few different rights within that
/// time; one more is given back at once.
pub const MAX_LINGERING: usize = 32;

/// Sessions that were offered and not used yet: more would only serve a flood of HELLOs.
pub const MAX_OFFERS: usize = 256;

/// Names that a node checks in.
pub const MAX_NAMES: usize = 256;

/// Bytes of a name: one fits the first piece of a frame.
pub const MAX_NAME: usize = 63;

/// Look-ups under way at a node, those that wait for a name included.
pub const MAX_LOOKUPS: usize = 256;

/// How long a look-up that does not wait may take: longer than whoever asked for it has patience,
/// so that it is he who gives up where a node was found and does not answer.
pub const LOOK_UP_TIME: Duration = Duration::from_secs(4);

/// How often a look-up asks before it counts as in vain: the node where it was found last, the
/// one that is found instead, and one more should the name move meanwhile (W-59).
pub const ASK_ROUNDS: u8 = 3;

/// How long a look-up that waits rests before it asks by itself; doubled each time. The name's
/// announcement comes first, unless it is lost.
pub const SEEK_AGAIN: Duration = Duration::from_secs(1);

/// The longest rest: a thousand waiting nodes then cost each node 125 frames a second.
pub const SEEK_AGAIN_MOST: Duration = Duration::from_secs(8);

/// Found addresses of which the node is remembered: those in use by as many services. To find
/// one again costs two round trips more.
pub const REMEMBERED_PLACES: usize = 64;

/// How long a claim to a name is tentative: as long as an address is sought (W-94).
pub const CLAIM_SETTLES: Duration = Duration::from_secs(1);

/// Time between the announcements of a tentative claim: three in all, so that with a twentieth
/// of all frames lost one in 8,000 check-ins is not heard, and then it is found by asking.
pub const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// A settled name that is looked up is announced again when it has not been for this long, so
/// that two nodes that a partition has led to have it hear of each other.
pub const ANNOUNCE_LATER: Duration = Duration::from_secs(10);

/// The same where somebody waits to hear whether the name is his: as often as an address is
/// sought, for as much depends on it.
pub const ANNOUNCE_CLAIM: Duration = Duration::from_millis(60);

/// Time between announcements of a name that another node claims, at the least: each of his is
/// answered.
pub const DEFEND_AGAIN: Duration = Duration::from_millis(50);

/// Slots for special ports, as in NORMA; the first is none.
pub const SPECIAL_PORTS: usize = 32;

/// How long an acknowledgement waits for a frame to ride on. Half the shortest
/// retransmission time, so that a quiet link sends nothing twice. Long, for each timer that
/// goes off costs exits from the machine (W-40).
pub const ACK_DELAY: Duration = Duration::from_millis(8);

/// Frames of a stream that come within this time are acknowledged together. Where they come more
/// slowly, the sender hears of each two or three: else it would send in bursts, and a burst
/// looks like a queue.
pub const ACK_SPAN: Duration = Duration::from_millis(1);

/// How soon a session that is in use looks at what is due, though nothing can be earlier. While
/// messages come and go, the timer is then set once in this time, and never earlier than it is
/// set already.
pub const LOOK_AFTER: Duration = ACK_DELAY;

/// How soon it looks whether the first call after a pause was answered, and the least time
/// after which a peer is asked whether something was lost: well above what a scheduler of a
/// busy host takes, well below what a person notices.
pub const LOOK_SOON: Duration = Duration::from_millis(1);

/// The same in round trips, where call follows call: the timer of the caller is then set once
/// in so many calls.
pub const LOOK_ROUND_TRIPS: u32 = 64;

const _: () = assert!(LOOK_AFTER.as_nanos() <= MIN_RTO.as_nanos());

/// The shortest time after which a frame is sent again though nothing was heard: twice
/// [`ACK_DELAY`], with room for what a platform adds that looks at frames late
/// (`Node::take_unhurried`). A peer that answers has been asked long before.
pub const MIN_RTO: Duration = Duration::from_millis(16);

/// Frames that overtake each other do so within this time, or a quarter of a round trip.
pub const REORDERING: Duration = Duration::from_micros(250);

/// The retransmission time before the first measurement.
pub const FIRST_RTO: Duration = Duration::from_millis(30);

/// The longest retransmission time, backed off, unless the way is longer: well under the time
/// after which a silent peer is dead, so that data are probes too.
pub const MAX_RTO: Duration = Duration::from_millis(160);

/// How often HELLO is sent.
pub const HELLO_INTERVAL: Duration = Duration::from_millis(60);

/// How many times HELLO is sent before the peer counts as unreachable: with a fifth of all
/// frames lost, sixteen round trips in a row fail once in ten million.
pub const HELLO_TRIES: u8 = 16;

/// Silence after which a peer that something is shared with is probed (W-60).
pub const PROBE_AFTER: Duration = Duration::from_millis(300);

/// Silence after which a peer with which nothing is shared is probed, so that a session with one
/// that is gone gives its place back. Rare enough to cost nothing.
pub const PROBE_IDLE: Duration = Duration::from_secs(60);

/// Time between probes. With one each 30 ms, 23 fit before [`DEAD_AFTER`]: where a third of all
/// frames is lost, a living peer is taken for dead once in some millions of silences.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(30);

/// Unanswered probes after which another way to the peer is sought, where there may be one: early
/// enough that it is found, over several networks, before [`DEAD_AFTER`] (W-77).
pub const DOUBT_PROBES: u8 = 3;

/// Silence after which a probed peer is dead (W-61).
pub const DEAD_AFTER: Duration = Duration::from_millis(1000);

/// Unanswered probes without which no peer is dead, however long the silence.
pub const DEAD_PROBES: u8 = 3;

/// A session that was offered (WELCOME) and never used is forgotten this long after the last
/// HELLO for it.
pub const OFFER_EXPIRES: Duration = Duration::from_secs(3);

/// How long after its last HELLO the peer's own attempt at a session is given precedence: four
/// HELLOs in a row are seldom lost, and a HELLO of long ago stops nobody for long.
pub const ATTEMPT_FRESH: Duration = Duration::from_millis(240);

/// A peer that was heard this lately cannot have given the session up, for it would have heard
/// nothing for [`DEAD_AFTER`].
pub const SURELY_ALIVE: Duration = Duration::from_millis(500);

/// Send-once rights of third nodes in a session that are used at their owners; what comes beyond
/// them is used through its giver. A front-end has as many calls under way at one worker as
/// that worker has threads, few; each costs 24 bytes, and a look through the list when it is used.
pub const MAX_HINTS: usize = 64;

/// How many dead peers' names are remembered, to name them in errors.
pub const REMEMBERED_PEERS: usize = 32;

/// Ports that arrive at a node at one time; a message that brings one more is refused for memory.
/// Each lasts for some round trips.
pub const MAX_ARRIVALS: usize = 1024;

/// Messages that wait until the receive rights in them have arrived: one for each port at most.
pub const MAX_HELD: usize = MAX_ARRIVALS;

/// Receive rights that have arrived elsewhere, and whose ports cannot leave yet: for want of
/// memory, or because a message for them waits for receive rights itself. Whoever sends one to
/// and fro makes few of these.
pub const MAX_TAKEN: usize = 64;

/// When to try again what a receive right on its way needed memory for.
pub const MOVE_AGAIN: Duration = Duration::from_millis(10);

/// For how long a port has been waiting to leave, for a message for it waits for receive rights,
/// before it is asked whether these wait for it: many times what a move takes.
pub const ASK_ROUND: Duration = Duration::from_millis(250);

/// Nodes that such a question passes at most. A longer circle is not found.
pub const MAX_ROUND: u32 = 64;

/// When to ask again for a port that keeps moving, times the questions asked so far: what the
/// nodes must hear of each other first takes a retransmission at worst.
pub const GO_ROUND_AGAIN: Duration = Duration::from_millis(10);
