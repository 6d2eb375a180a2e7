//! Fuzz: a node's FLIP layer, on one network or as a router between several, under any sequence of
//! frames, calls and passing time.
//!
//! It may never panic, and whatever it says must be sound: a delivered datagram lies inside its
//! frame, a receive buffer has as many pages as before, a frame is no longer than its network
//! carries, a time-out that was acted on is not due again at once without end, a frame makes a
//! router send a bounded number of others, and all bounded queues drain.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use norma_flip::{
    Address, Config, Duration, Flip, HEAD, Incoming, Input, Instant, NetworkId, Outgoing, PREFIX,
    PrivateAddress,
};
use norma_ipc::{HeapPage, HeapPages, Page, PageSource};
use norma_wire::ethernet::EthernetAddress;
use norma_wire::{ethernet, flip, layout};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Any bytes.
    Noise(&'a [u8]),
    /// A frame with right Ethernet and FLIP versions, and any fields.
    Packet {
        network: u8,
        kind: u8,
        broadcast: bool,
        known: (bool, bool),
        fields: [u16; 6],
        payload: &'a [u8],
    },
    Locate(u8),
    Near(u8, u8),
    Listeners(u8, u16),
    Multicast {
        to: u8,
        length: u16,
    },
    Trust(u8, bool),
    Secure(bool),
    Doubt(u8),
    Register(u8),
    Unregister(u8),
    Send {
        to: u8,
        length: u16,
    },
    Fragment {
        to: u8,
        length: u16,
    },
    Wait(u16),
    Drain,
}

struct Node {
    flip: Flip<HeapPage>,
    own: Address,
    memory: HeapPages,
    now: Instant,
}

/// The networks' frames: large, small, odd.
const MTUS: [u16; 4] = [1500, 576, 9000, 65_521];

fn station(network: NetworkId) -> [u8; 6] {
    [2, 0, 0, network.0, 0, 1]
}

const PEER: Address = Address(0x0100_0000_0000_0002);

impl Node {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Noise(bytes) => self.frame(NetworkId::FIRST, bytes),
            Step::Packet {
                network,
                kind,
                broadcast,
                known,
                fields,
                payload,
            } => {
                let header = self.header(kind, known, fields, payload.len());
                let network = self.network(network);
                let to = if broadcast {
                    [0xff; 6]
                } else {
                    station(network)
                };
                let from = [2, 0, 0, 0, 0, 2 + (fields[5] % 3) as u8];
                let stations = ethernet::Repr {
                    destination: EthernetAddress(to),
                    source: EthernetAddress(from),
                };
                let mut bytes = vec![0; PREFIX];
                stations.emit(bytes.first_chunk_mut().unwrap());
                header.emit(bytes.last_chunk_mut().unwrap());
                bytes.extend(payload);
                self.frame(network, &bytes);
            }
            Step::Near(number, near) => drop(std::hint::black_box(self.flip.locate_near(
                self.now,
                peer(number),
                peer(near),
            ))),
            Step::Listeners(number, least) => drop(std::hint::black_box(
                self.flip
                    .locate_listeners(self.now, peer(number), least % 8),
            )),
            Step::Multicast { to, length } => self.multicast(peer(to), length.into()),
            Step::Trust(network, trusted) => {
                let network = self.network(network);
                self.flip.set_trusted(network, trusted);
            }
            Step::Secure(secure) => self.flip.set_security(secure),
            Step::Doubt(number) => {
                self.flip.doubt(peer(number));
            }
            Step::Locate(number) => drop(std::hint::black_box(
                self.flip.locate(self.now, peer(number)),
            )),
            Step::Register(number) => {
                let _ = self.flip.register(PrivateAddress::new(2, number.into()));
            }
            Step::Unregister(number) => {
                self.flip
                    .unregister(PrivateAddress::new(2, number.into()).image());
            }
            Step::Send { to, length } => self.send(peer(to), length),
            Step::Fragment { to, length } => self.fragment(peer(to), length.into()),
            Step::Wait(milliseconds) => {
                self.now += Duration::from_millis(milliseconds.into());
                self.flip.handle_timeout(self.now);
            }
            Step::Drain => self.drain(),
        }
    }

    fn header(&self, kind: u8, known: (bool, bool), fields: [u16; 6], length: usize) -> flip::Repr {
        let length = length as u32;
        let whole = fields[3] & 1 == 0;
        let address = |known, number: u16| {
            if known {
                self.own
            } else {
                Address(number.into())
            }
        };
        flip::Repr {
            kind: flip::Kind::from_u8(1 + kind % 6).unwrap(),
            flags: flip::Flags::from_bits_retain(fields[0] as u8),
            actual_hop: 1 + fields[0] % 30,
            maximum_hop: 25,
            destination: address(known.0, fields[1]),
            source: if known.1 {
                PEER
            } else {
                Address(fields[2].into())
            },
            message_id: u32::from(fields[2] % 4),
            length,
            offset: if whole { 0 } else { fields[3].into() },
            total: if whole { length } else { fields[4].into() },
        }
    }

    /// One of the networks that there are.
    fn network(&self, number: u8) -> NetworkId {
        NetworkId(number % self.flip.networks() as u8)
    }

    fn frame(&mut self, network: NetworkId, bytes: &[u8]) {
        if bytes.len() > norma_flip::frame::MAX_FRAME {
            return;
        }
        let mut head = [0; HEAD];
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD));
        head[..first.len()].copy_from_slice(first);
        let mut pages: Vec<_> = rest.chunks(layout::PAGE).map(page).collect();
        let count = pages.len();
        let mut frame = Incoming {
            head: &head,
            length: bytes.len(),
            pages: &mut pages,
        };
        match self
            .flip
            .handle_frame(self.now, network, &mut frame, &mut self.memory)
        {
            Input::Deliver {
                length,
                destination,
                ..
            } => {
                assert!(PREFIX + length <= frame.length && frame.is_sound());
                assert!(self.flip.is_registered(destination));
            }
            Input::Multicast {
                length,
                destination,
                ..
            } => {
                assert!(PREFIX + length <= frame.length && frame.is_sound());
                assert!(destination.is_broadcast() || self.flip.is_registered(destination));
            }
            Input::Reassembled {
                length,
                mut datagram,
                ..
            } => {
                let frame = datagram.incoming();
                assert!(frame.is_sound() && frame.length == PREFIX + length);
            }
            Input::Absorbed | Input::Dropped(_) => {}
        }
        assert_eq!(pages.len(), count);
        assert!(pages.iter_mut().all(|page| page.bytes_mut().is_some()));
    }

    fn send(&mut self, to: Address, length: u16) {
        let (mut head, mut pages) = ([0; HEAD], heapless::Vec::new());
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: 0,
        };
        let network = self.flip.network_of(self.now, to).unwrap_or_default();
        let length = usize::from(length).min(self.flip.max_payload(network));
        if self
            .flip
            .emit(self.now, network, to, self.own, length, &mut frame)
            .is_ok()
        {
            assert_eq!(frame.length, PREFIX + length);
        }
    }

    fn multicast(&mut self, to: Address, length: usize) {
        let mut head = [0; HEAD];
        let mut pages = heapless::Vec::new();
        let count = (PREFIX + length)
            .saturating_sub(HEAD)
            .div_ceil(layout::PAGE)
            .min(16);
        (0..count).for_each(|_| drop(pages.push(page(&[]))));
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: PREFIX + length,
        };
        if self
            .flip
            .multicast(self.now, to, self.own, 1, &mut frame)
            .is_err()
        {
            assert_eq!(frame.pages.len(), count);
        }
    }

    fn fragment(&mut self, to: Address, length: usize) {
        let mut head = [0; HEAD];
        let mut pages = heapless::Vec::new();
        let count = (PREFIX + length)
            .saturating_sub(HEAD)
            .div_ceil(layout::PAGE)
            .min(16);
        (0..count).for_each(|_| drop(pages.push(page(&[]))));
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: PREFIX + length,
        };
        if self
            .flip
            .fragment(self.now, to, self.own, &mut frame)
            .is_err()
        {
            assert_eq!(frame.pages.len(), count);
        }
    }

    fn drain(&mut self) {
        let (mut head, mut pages) = ([0; HEAD], heapless::Vec::new());
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: 0,
        };
        let (mut sent, mut rounds) = (0, 0);
        // What one network is asked for may bring forth something for another.
        for number in (0..self.flip.networks()).cycle() {
            if !self.flip.wants_transmit(self.now) {
                break;
            }
            let network = NetworkId(number as u8);
            let most = 14 + usize::from(MTUS[number]);
            while self
                .flip
                .poll_transmit(self.now, network, &mut frame, &mut self.memory)
            {
                assert!(frame.length >= PREFIX && frame.length <= most);
                let held = HEAD + frame.pages.len() * layout::PAGE;
                assert!(frame.length <= held);
                sent += 1;
            }
            rounds += 1;
            assert!(sent < 30_000 && rounds < 1000);
        }
        assert!(!self.flip.is_crowded());
        while self.flip.poll_event().is_some() {}
    }
}

fn peer(number: u8) -> Address {
    if number & 1 == 0 {
        PEER
    } else {
        Address(number.into())
    }
}

fn page(bytes: &[u8]) -> HeapPage {
    let mut page = HeapPages::default().allocate().unwrap();
    page.bytes_mut().unwrap()[..bytes.len()].copy_from_slice(bytes);
    page
}

fuzz_target!(|input: (u8, u8, Vec<Step<'_>>)| {
    let (memory, networks, steps) = input;
    let config = |network: NetworkId| Config {
        mac: station(network),
        mtu: MTUS[usize::from(network.0)],
    };
    let mut flip = Flip::new(config(NetworkId::FIRST), [7; 32]);
    for number in 1..=networks % 4 {
        flip.add_network(config(NetworkId(number))).unwrap();
    }
    let private = flip.draw_address(1);
    let own = flip.register(private).unwrap();
    let memory = HeapPages {
        left: memory.into(),
    };
    let mut node = Node {
        flip,
        own,
        memory,
        now: Instant::from_millis(1),
    };
    steps.into_iter().for_each(|step| node.step(step));
    // Time alone brings it to rest.
    node.drain();
    let mut rounds = 0;
    while let Some(next) = node.flip.poll_timeout() {
        node.now = node.now.max(next);
        node.flip.handle_timeout(node.now);
        node.drain();
        rounds += 1;
        assert!(rounds < 5_000, "it does not come to rest");
    }
    let counters = node.flip.counters();
    assert!(counters.delivered + counters.dropped_in_all() <= counters.received);
    assert_eq!(counters.events_lost, 0);
});
