//! What the nodes of the golden capture say: each kind of frame, each operation, at least once.
//!
//! Three nodes: `a` and `b` on one network, `b` and `c` on another; `b` is a router between them.
//! The numbers are those that a session would have, so that what belongs together can be found.

use crate::tape::{ALL, Tape, Who};
use norma_wire::control::{Control, Reason};
use norma_wire::descriptor::{Kind as Right, Origin};
use norma_wire::flip::{Flags as FlipFlags, Kind as Packet};
use norma_wire::hello::NodeName;
use norma_wire::session::{Flags, Kind};
use norma_wire::{Address, context, descriptor, hello, session};

const A: Who = Who('a');
const B: Who = Who('b');
const C: Who = Who('c');
/// The address of the name "echo", as far as anybody can tell.
const ECHO: Address = Address(0x4e12_3456_789a_bcde);
/// Identities of ports.
const ECHO_PORT: u64 = 0xec40_0000_0000_0001;
const NODE_PORT: u64 = 0x0de0_0000_0000_0002;
/// Interfaces.
const AB: u32 = 0;
const BC: u32 = 1;

/// One direction of a session.
struct Way {
    link: u32,
    ends: (Who, Who),
    /// The number that the receiver chose, and the sender's own.
    session: u32,
    own: u32,
    next: u32,
}

/// A message, or another frame of a session, in the making.
struct Say {
    header: session::Repr,
    inline: Vec<u8>,
    rights: Vec<descriptor::Repr>,
    context: Option<context::Repr>,
    pages: Vec<u8>,
}

fn say(kind: Kind) -> Say {
    Say {
        header: session::Repr::new(kind),
        inline: Vec::new(),
        rights: Vec::new(),
        context: None,
        pages: Vec::new(),
    }
}

fn message(flags: Flags, destination: u32, id: u32, inline: &[u8]) -> Say {
    let mut say = say(Kind::Message);
    say.header.flags = flags;
    say.header.destination = destination;
    say.header.id = id;
    say.inline = inline.to_vec();
    say
}

impl Say {
    fn reply(mut self, index: u32) -> Self {
        self.header.reply = index;
        self
    }

    fn right(mut self, right: descriptor::Repr) -> Self {
        self.rights.push(right);
        self
    }

    /// The first pages of memory of that size.
    fn memory(mut self, size: u32, pages: &[u8]) -> Self {
        self.header.memory = size;
        self.pages = pages.to_vec();
        self
    }
}

fn right(kind: Right, origin: Origin, index: u32, port: u64, node: Who) -> descriptor::Repr {
    descriptor::Repr {
        kind,
        origin,
        moves: 0,
        index,
        port,
        node: node.address(),
        session: 0,
        there: 0,
    }
}

/// The same of a third node: it has it as `there` of the session that it numbers so.
fn third(right: descriptor::Repr, session: u32, there: u32) -> descriptor::Repr {
    descriptor::Repr {
        origin: Origin::Third,
        session,
        there,
        ..right
    }
}

impl Way {
    fn new(
        tape: &mut Tape,
        link: u32,
        (one, other): (Who, Who),
        numbers: (u32, u32),
    ) -> (Self, Self) {
        let body = |from: Who, session, echo, first_sequence| hello::Repr {
            lowest: 1,
            highest: 1,
            features: 0,
            incarnation: u64::from(from.number()),
            cluster: *b"cluster identity",
            session,
            echo,
            frame_limit: 65_481,
            first_sequence,
            name: NodeName::new(&from.0.to_string()).unwrap(),
        };
        let (mine, theirs) = numbers;
        let mut bytes = [0; hello::LENGTH];
        body(one, mine, 0, 1000).emit(&mut bytes);
        let mut header = session::Repr::new(Kind::Hello);
        header.sequence = 1000;
        tape.session(link, (one, other), ECHO, &header, (&bytes, &[]));
        if (link, other) == (AB, C) {
            // It is on the other network, where the router passes it on: not sent again.
            tape.forwarded();
        }
        body(other, theirs, mine, 5000).emit(&mut bytes);
        let mut header = session::Repr::new(Kind::Welcome);
        (header.session, header.sequence, header.acknowledged) = (mine, 5000, 1000);
        header.credit = 16;
        tape.session(link, (other, one), one.address(), &header, (&bytes, &[]));
        let way = |ends, session, own, next| Way {
            link,
            ends,
            session,
            own,
            next,
        };
        (
            way((one, other), theirs, mine, 1000),
            way((other, one), mine, theirs, 5000),
        )
    }

    /// Sends it with the next number, if it has one.
    fn send(&mut self, tape: &mut Tape, back: &Way, say: &Say) {
        let number = self.next;
        self.next += u32::from(say.header.kind.is_sequenced());
        self.again(tape, back, say, number);
    }

    /// Sends it with that number.
    fn again(&self, tape: &mut Tape, back: &Way, say: &Say, sequence: u32) {
        let mut header = say.header;
        header.session = self.session;
        header.sequence = sequence;
        header.acknowledged = back.next;
        header.credit = 16;
        header.rights = say.rights.len() as u8;
        header.inline = say.inline.len() as u16;
        let mut stream = say.inline.clone();
        for right in &say.rights {
            let mut bytes = [0; descriptor::LENGTH];
            right.emit(&mut bytes);
            stream.extend(bytes);
        }
        if let Some(context) = &say.context {
            header.flags |= Flags::CONTEXT;
            let mut bytes = [0; context::LENGTH];
            context.emit(&mut bytes);
            stream.extend(bytes);
        }
        let to = self.ends.1.address();
        tape.session(self.link, self.ends, to, &header, (&stream, &say.pages));
    }

    fn control(&mut self, tape: &mut Tape, back: &Way, control: Control) {
        let mut say = say(Kind::Control);
        control.emit(&mut say.header);
        self.send(tape, back, &say);
    }
}

/// The whole story.
pub fn tell(examples: &[Vec<u8>]) -> Tape {
    let mut tape = Tape::new(&["net a-b", "upper b-c", "docs/wire.md"]);
    let t = &mut tape;
    searches(t);
    let (mut ab, mut ba) = Way::new(t, AB, (A, B), (81, 98));
    calls(t, &mut ab, &mut ba);
    large(t, &mut ab, &mut ba);
    mishaps(t, &mut ab, &mut ba);
    controls(t, &mut ab, &mut ba);
    let (mut bc, mut cb) = Way::new(t, BC, (B, C), (113, 114));
    let (mut ac, mut ca) = Way::new(t, AB, (A, C), (82, 115));
    passed_on(t, [&mut ab, &mut ba, &mut bc, &mut cb, &mut ac, &mut ca]);
    moves(t, &mut bc, &mut cb);
    node(t, &mut ab, &mut ba);
    for example in examples {
        t.raw(2, example.clone(), None);
    }
    tape
}

fn searches(t: &mut Tape) {
    let stations = |from: Who, to: Who| (from.station(), to.station());
    let mut announce = t.header(Packet::Locate, ECHO, B.address(), 0);
    announce.flags = FlipFlags::ANNOUNCE | FlipFlags::SETTLED;
    announce.total = 65_481;
    t.packet(AB, (B.station(), ALL), announce, &[]);
    let mut locate = t.header(Packet::Locate, A.address(), ECHO, 0);
    (locate.maximum_hop, locate.total) = (1, 65_481);
    t.packet(AB, (A.station(), ALL), locate, &[]);
    let mut found = t.header(Packet::HereIs, ECHO, A.address(), 4);
    (found.message_id, found.total) = (0, 65_481);
    t.packet(AB, stations(B, A), found, &[1, 0, 1, 0]);
    let gone = t.header(Packet::NotHere, C.address(), A.address(), 0);
    t.packet(AB, stations(B, A), gone, &[]);
    let mut secret = t.header(Packet::Untrusted, C.address(), A.address(), 0);
    secret.flags = FlipFlags::UNREACHABLE;
    t.packet(AB, stations(B, A), secret, &[]);
    let news = t.header(Packet::MultiData, A.address(), Address::BROADCAST, 9);
    t.packet(AB, (A.station(), ALL), news, b"everybody");
}

fn calls(t: &mut Tape, ab: &mut Way, ba: &mut Way) {
    ab.send(t, ba, &message(Flags::RPC, 1, 1, b"echo").reply(2));
    let echo = right(Right::Send, Origin::Sender, 2, ECHO_PORT, B);
    ba.send(t, ab, &message(Flags::SEND_ONCE, 2, 0, b"").right(echo));
    let mut ping = message(Flags::RPC, 2, 7, b"ping").reply(0x1_0002);
    ping.context = Some(context::Repr {
        deadline: 250_000_000,
        trace: *b"trace identity!!",
        priority: 3,
    });
    ab.send(t, ba, &ping);
    t.wait(100);
    ba.send(t, ab, &message(Flags::SEND_ONCE, 0x1_0002, 0, b"pong"));
    ab.send(t, ba, &say(Kind::Ack));
    // Items of each kind; a list in a list; and one by a big-endian sender.
    let mut items = Vec::new();
    let mut item = |kind: u8, width: u8, flags: u8, count: u32, values: &[u8]| {
        items.extend([kind, width, flags, 0]);
        items.extend(count.to_le_bytes());
        items.extend(values);
        items.resize(items.len().next_multiple_of(8), 0);
    };
    item(7, 0, 0, 2, &[]);
    item(1, 4, 0, 3, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    item(7, 0, 0, 1, &[]);
    item(6, 1, 0, 5, b"words");
    item(2, 8, 0, 1, &(-5i64).to_le_bytes());
    item(3, 8, 0, 1, &1.5f64.to_le_bytes());
    item(4, 1, 0, 2, &[1, 0]);
    item(5, 1, 1, 5000, &[]);
    item(8, 0, 0, 0, &[]);
    item(9, 0, 0, 1, &[]);
    item(10, 0, 0, 1, &[]);
    let mut typed = message(Flags::TYPED | Flags::CONFIRM, 2, 8, &items)
        .reply(0x2_0002)
        .right(right(Right::Send, Origin::Receiver, 2, ECHO_PORT, B))
        .right(right(Right::SendOnce, Origin::Sender, 4, 0, A));
    typed = typed.memory(5000, &[b'm'; 8192]);
    ab.send(t, ba, &typed);
    ba.send(t, ab, &message(Flags::SEND_ONCE, 0x2_0002, 0, b""));
    let big = [1, 2, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0];
    ab.send(
        t,
        ba,
        &message(Flags::TYPED | Flags::BIG_ENDIAN, 2, 9, &big),
    );
}

/// A message of five pages in three frames, and a datagram in two fragments.
fn large(t: &mut Tape, ab: &mut Way, ba: &mut Way) {
    let first = ab.next;
    let call = message(Flags::RPC, 2, 10, b"large").reply(0x3_0002);
    ab.send(t, ba, &call.memory(17_000, &[b'1'; 8192]));
    for (page, bytes) in [(4, &[b'3'; 616][..]), (2, &[b'2'; 8192])] {
        let mut part = say(Kind::Part);
        (part.header.destination, part.header.reply) = (first, page);
        ab.send(t, ba, &part.memory(17_000, bytes));
    }
    ba.send(t, ab, &message(Flags::SEND_ONCE, 0x3_0002, 0, b"17000 B"));
    let mut whole = Tape::new(&[]);
    ab.send(
        &mut whole,
        ba,
        &message(Flags::empty(), 2, 11, &[b'f'; 200]),
    );
    let frame = whole.last();
    let payload = &frame[54..];
    for (at, end) in [(0, 136), (136, payload.len())] {
        let mut header = t.header(Packet::UniData, A.address(), B.address(), end - at);
        (header.message_id, header.offset) = (4711, at as u32);
        header.total = payload.len() as u32;
        let stations = (A.station(), B.station());
        t.packet(AB, stations, header, &payload[at..end]);
    }
}

/// What befalls frames, and what is done about it.
fn mishaps(t: &mut Tape, ab: &mut Way, ba: &mut Way) {
    let lost = message(Flags::RPC, 2, 12, b"lost").reply(0x4_0002);
    let number = ab.next;
    ab.send(t, ba, &lost);
    t.lost();
    t.wait(5000);
    let mut probe = say(Kind::Probe);
    probe.header.id = 77;
    ab.send(t, ba, &probe);
    let mut answer = say(Kind::Ack);
    answer.header.id = 77;
    ba.send(t, ab, &answer);
    ab.again(t, ba, &lost, number);
    ba.send(t, ab, &message(Flags::SEND_ONCE, 0x4_0002, 0, b"found"));
    t.copy("duplicated: copy 2 of 2");
    ab.send(t, ba, &message(Flags::empty(), 2, 13, b"damaged"));
    t.spoil("corrupted: byte 86, bits 0x20", |frame| frame[86] ^= 0x20);
    // More than a word can say of what has arrived; the body is as long as a stream of 64 bytes.
    let mut ahead = say(Kind::Ack);
    ahead.header.memory = 8000;
    let mut header = ahead.header;
    (header.session, header.sequence, header.acknowledged) = (ba.session, ba.next, ab.next);
    let ends = (B, A);
    t.session(AB, ends, A.address(), &header, (&[0x55; 64], &[]));
}

fn controls(t: &mut Tape, ab: &mut Way, ba: &mut Way) {
    let number = ab.next;
    ab.send(t, ba, &message(Flags::empty(), 2, 14, b"too much"));
    let sequence = number;
    for reason in [Reason::Full, Reason::Dead, Reason::NoMemory, Reason::Moved] {
        ba.control(t, ab, Control::Refused { sequence, reason });
    }
    ba.control(t, ab, Control::Room { export: 2 });
    ab.send(t, ba, &message(Flags::FRESH, 2, 14, b"too much"));
    ab.send(t, ba, &message(Flags::RPC, 2, 15, b"?").reply(0x5_0002));
    ba.control(t, ab, Control::NoReply { export: 0x5_0002 });
    ba.control(t, ab, Control::Moved { export: 2 });
    ba.control(t, ab, Control::Dead { export: 2 });
    ab.control(
        t,
        ba,
        Control::Release {
            export: 2,
            count: 2,
        },
    );
    let mut reset = say(Kind::Reset).header;
    (reset.session, reset.destination) = (81, 99);
    t.session(AB, (B, A), A.address(), &reset, (&[], &[]));
}

/// A call that goes by `b` to `c`, which answers straight.
fn passed_on(t: &mut Tape, [ab, ba, bc, cb, ac, ca]: [&mut Way; 6]) {
    ab.send(t, ba, &message(Flags::RPC, 3, 20, b"ping").reply(0x6_0002));
    let reply = right(Right::Reply, Origin::Sender, 0x6_0009, 0, A);
    let call = message(Flags::RPC, 3, 20, b"ping");
    bc.send(t, cb, &call.right(third(reply, ab.own, 0x6_0002)));
    let claim = descriptor::Repr {
        session: ab.own,
        there: 0x6_0002,
        ..right(Right::Claim, Origin::Receiver, 0, 0, C)
    };
    ca.send(
        t,
        ac,
        &message(Flags::SEND_ONCE, 0, 20, b"pong").right(claim),
    );
    // The same frame once more behind the router, and what is said to who gave the right.
    t.forwarded();
    cb.control(t, bc, Control::Spent { export: 0x6_0009 });
    // A right of a third node, and the question for one of one's own.
    let given = third(
        right(Right::Send, Origin::Third, 5, ECHO_PORT, B),
        ba.own,
        2,
    );
    ca.send(t, ac, &message(Flags::empty(), 3, 21, b"take").right(given));
    let place: Vec<u8> = [98u32, 2]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    ab.send(t, ba, &message(Flags::empty(), 1, 2, &place));
    let own = right(Right::Send, Origin::Sender, 6, ECHO_PORT, B);
    ba.send(t, ab, &message(Flags::empty(), 1, 3, &place).right(own));
}

/// A receive right goes from `b` to `c`, and what follows it.
fn moves(t: &mut Tape, bc: &mut Way, cb: &mut Way) {
    let mut receive = right(Right::Receive, Origin::Sender, 7, ECHO_PORT, B);
    receive.moves = 1;
    bc.send(
        t,
        cb,
        &message(Flags::empty(), 3, 30, b"move").right(receive),
    );
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    cb.send(t, bc, &message(Flags::empty(), 1, 4, &words(&[7, 8, 9])));
    let mut state = words(&[16, 2, 1]);
    state[2] = 7;
    bc.send(t, cb, &message(Flags::NOTIFICATION, 8, 7, &state));
    for id in 1..=6 {
        let mut news = words(&[5, id]);
        news.extend(A.address().0.to_le_bytes());
        bc.send(t, cb, &message(Flags::NOTIFICATION, 8, id, &news));
    }
    let mut waits = [ECHO_PORT, NODE_PORT].map(u64::to_le_bytes).concat();
    waits.extend(2u32.to_le_bytes());
    cb.send(t, bc, &message(Flags::empty(), 1, 5, &waits));
}

/// The node is asked about itself.
fn node(t: &mut Tape, ab: &mut Way, ba: &mut Way) {
    let slot = 2u32.to_le_bytes();
    ab.send(t, ba, &message(Flags::RPC, 1, 16, &slot).reply(0x7_0002));
    let port = right(Right::Send, Origin::Sender, 10, NODE_PORT, B);
    ba.send(
        t,
        ab,
        &message(Flags::SEND_ONCE, 0x7_0002, 0, b"").right(port),
    );
    ab.send(t, ba, &message(Flags::RPC, 10, 1, b"").reply(0x8_0002));
    let name = [6, 1, 0, 0, 1, 0, 0, 0, b'b', 0, 0, 0, 0, 0, 0, 0];
    ba.send(
        t,
        ab,
        &message(Flags::SEND_ONCE | Flags::TYPED, 0x8_0002, 0, &name),
    );
    ab.send(t, ba, &message(Flags::RPC, 1, 99, b"").reply(0x9_0002));
    ba.send(t, ab, &message(Flags::SEND_ONCE, 0x9_0002, 2, b""));
}
