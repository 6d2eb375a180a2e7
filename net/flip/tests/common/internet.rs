//! Nodes on several networks, in one process: every frame is carried, counted, and perhaps lost,
//! repeated or delayed, all by a seed.
#![allow(dead_code)] // each test uses a part of it

use norma_flip::{
    Address, Config, Duration, Event, Flip, Incoming, Input, Instant, NetworkId, PREFIX,
    PrivateAddress,
};
use norma_ipc::{HeapPage, HeapPages};
use norma_wire::ethernet::EthernetAddress;

use super::Frame;

/// What an upper layer was given: from whom, to which address, what, and whether it was for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub source: Address,
    pub destination: Address,
    pub payload: Vec<u8>,
    pub multicast: bool,
}

/// A node, with the networks that it is on.
pub struct Host {
    pub flip: Flip<HeapPage>,
    pub address: Address,
    pub memory: HeapPages,
    /// Which network each of its cards is on.
    pub cards: Vec<usize>,
    pub inbox: Vec<Datagram>,
    pub events: Vec<Event>,
}

struct Flying {
    at: Instant,
    order: u64,
    network: usize,
    from: (usize, usize),
    frame: Frame,
}

/// What a network does to frames.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Of 100 frames, so many are lost, so many come twice, and so many late.
    pub lost: u64,
    pub twice: u64,
    pub late: u64,
}

/// All of it.
pub struct Internet {
    pub hosts: Vec<Host>,
    pub now: Instant,
    pub faults: Faults,
    /// Frames put on each network so far.
    pub frames: Vec<u64>,
    mtus: Vec<u16>,
    flying: Vec<Flying>,
    order: u64,
    chance: u64,
    /// Networks that carry nothing.
    pub cut: Vec<bool>,
}

pub const START: Instant = Instant::from_millis(1000);
const LATENCY: Duration = Duration::from_micros(50);

fn mac(host: usize, card: usize) -> [u8; 6] {
    [2, 0, 0, card as u8, (host >> 8) as u8, host as u8 + 1]
}

impl Internet {
    /// Networks with these MTUs, and no hosts.
    pub fn new(mtus: &[u16]) -> Internet {
        Internet {
            hosts: Vec::new(),
            now: START,
            faults: Faults::default(),
            frames: vec![0; mtus.len()],
            mtus: mtus.to_vec(),
            flying: Vec::new(),
            order: 0,
            chance: 1,
            cut: vec![false; mtus.len()],
        }
    }

    /// The same with a seed and faults.
    pub fn faulty(mtus: &[u16], seed: u64, faults: Faults) -> Internet {
        let chance = seed | 1;
        Internet {
            faults,
            chance,
            ..Internet::new(mtus)
        }
    }

    /// A host with a card on each of these networks.
    pub fn host(&mut self, networks: &[usize]) -> usize {
        let number = self.hosts.len();
        let config = |card: usize| Config {
            mac: mac(number, card),
            mtu: self.mtus[networks[card]],
        };
        let mut seed = [number as u8 + 1; 32];
        seed[1] = (number >> 8) as u8;
        let mut flip = Flip::new(config(0), seed);
        for card in 1..networks.len() {
            assert_eq!(flip.add_network(config(card)), Ok(NetworkId(card as u8)));
        }
        let private = flip.draw_address(1);
        let address = flip.register(private).unwrap();
        self.hosts.push(Host {
            flip,
            address,
            memory: HeapPages::default(),
            cards: networks.to_vec(),
            inbox: Vec::new(),
            events: Vec::new(),
        });
        number
    }

    /// Registers an address that anybody can compute, and gives its public half.
    pub fn listen(&mut self, host: usize, bits: u64) -> Address {
        let private = PrivateAddress::new(2, bits);
        self.hosts[host].flip.register(private).unwrap()
    }

    pub fn address(&self, host: usize) -> Address {
        self.hosts[host].address
    }

    fn random(&mut self, below: u64) -> u64 {
        // xorshift64*: no more is asked of it than to be the same again.
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % below
    }

    /// Sends what all hosts have to say.
    pub fn pump(&mut self) {
        for host in 0..self.hosts.len() {
            for card in 0..self.hosts[host].cards.len() {
                while let Some(frame) = self.give(host, card) {
                    self.put(host, card, frame);
                }
            }
            let hosts = &mut self.hosts[host];
            hosts
                .events
                .extend(core::iter::from_fn(|| hosts.flip.poll_event()));
        }
    }

    fn give(&mut self, host: usize, card: usize) -> Option<Frame> {
        let network = self.hosts[host].cards[card];
        let Host { flip, memory, .. } = &mut self.hosts[host];
        let mut frame = Frame::new();
        let mut outgoing = frame.outgoing();
        let id = NetworkId(card as u8);
        if !flip.poll_transmit(self.now, id, &mut outgoing, memory) {
            return None;
        }
        frame.length = outgoing.length;
        assert!(
            frame.length <= 14 + usize::from(self.mtus[network]),
            "too long for its network"
        );
        Some(frame)
    }

    /// Puts a frame on the network of a card.
    pub fn put(&mut self, host: usize, card: usize, frame: Frame) {
        let network = self.hosts[host].cards[card];
        self.frames[network] += 1;
        if self.cut[network] || self.random(100) < self.faults.lost {
            return;
        }
        let copies = 1 + u64::from(self.random(100) < self.faults.twice);
        for _ in 0..copies {
            let late = match self.random(100) < self.faults.late {
                true => Duration::from_micros(self.random(2000)),
                false => Duration::ZERO,
            };
            self.order += 1;
            self.flying.push(Flying {
                at: self.now + LATENCY + late,
                order: self.order,
                network,
                from: (host, card),
                frame: frame.clone(),
            });
        }
    }

    /// Sends a datagram; tells whether there was a route.
    pub fn send(&mut self, from: usize, to: Address, payload: &[u8]) -> bool {
        let mut bytes = vec![0; PREFIX];
        bytes.extend(payload);
        let mut frame = Frame::from_bytes(&bytes);
        let (now, source) = (self.now, self.address(from));
        let flip = &mut self.hosts[from].flip;
        let Some(id) = flip.network_of(now, to) else {
            return false;
        };
        let mut outgoing = frame.outgoing();
        if flip.needs_fragmenting(id, payload.len()) {
            flip.fragment(now, to, source, &mut outgoing).unwrap();
        } else {
            flip.emit(now, id, to, source, payload.len(), &mut outgoing)
                .unwrap();
            frame.length = outgoing.length;
            self.put(from, id.0.into(), frame);
        }
        self.pump();
        true
    }

    /// Sends a datagram to at least so many listeners.
    pub fn multicast(
        &mut self,
        from: usize,
        to: Address,
        least: u16,
        payload: &[u8],
    ) -> Result<(), norma_flip::MulticastError> {
        let mut bytes = vec![0; PREFIX];
        bytes.extend(payload);
        let mut frame = Frame::from_bytes(&bytes);
        let (now, source) = (self.now, self.address(from));
        let flip = &mut self.hosts[from].flip;
        flip.multicast(now, to, source, least, &mut frame.outgoing())?;
        self.pump();
        Ok(())
    }

    /// Lets time pass, and all that is due in it happen.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        loop {
            let frame = self.flying.iter().map(|flying| flying.at).min();
            let timers = self
                .hosts
                .iter()
                .filter_map(|host| host.flip.poll_timeout());
            let Some(next) = frame
                .into_iter()
                .chain(timers)
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            for host in &mut self.hosts {
                if host.flip.poll_timeout().is_some_and(|due| due <= self.now) {
                    host.flip.handle_timeout(self.now);
                }
            }
            self.arrive();
            self.pump();
        }
        self.now = end;
    }

    fn arrive(&mut self) {
        let now = self.now;
        let mut due: Vec<Flying> = self
            .flying
            .extract_if(.., |flying| flying.at <= now)
            .collect();
        due.sort_by_key(|flying| (flying.at, flying.order));
        for flying in due {
            let to = flying.frame.stations().destination;
            for host in 0..self.hosts.len() {
                for card in 0..self.hosts[host].cards.len() {
                    let hears = self.hosts[host].cards[card] == flying.network
                        && (host, card) != flying.from
                        && (to.is_broadcast() || to == EthernetAddress(mac(host, card)));
                    if hears {
                        self.take(host, card, &flying.frame);
                    }
                }
            }
        }
    }

    fn take(&mut self, host: usize, card: usize, frame: &Frame) {
        let Host {
            flip,
            memory,
            inbox,
            ..
        } = &mut self.hosts[host];
        let mut pages = frame.pages.clone();
        let fresh = pages.len();
        let mut incoming = Incoming {
            head: &frame.head,
            length: frame.length,
            pages: &mut pages,
        };
        let id = NetworkId(card as u8);
        let input = flip.handle_frame(self.now, id, &mut incoming, memory);
        let (source, destination, length, multicast, bytes) = match input {
            Input::Deliver {
                source,
                destination,
                length,
            } => (
                source,
                destination,
                length,
                false,
                payload(&incoming, length),
            ),
            Input::Multicast {
                source,
                destination,
                length,
            } => (
                source,
                destination,
                length,
                true,
                payload(&incoming, length),
            ),
            Input::Reassembled {
                multicast,
                source,
                destination,
                length,
                mut datagram,
            } => {
                let bytes = payload(&datagram.incoming(), length);
                (source, destination, length, multicast, bytes)
            }
            Input::Absorbed | Input::Dropped(_) => {
                assert_eq!(pages.len(), fresh, "a receive buffer never has holes");
                return;
            }
        };
        assert_eq!(bytes.len(), length);
        inbox.push(Datagram {
            source,
            destination,
            payload: bytes,
            multicast,
        });
    }

    /// Seeks an address and lets pass what time that may take; tells whether it was found.
    pub fn find(&mut self, from: usize, address: Address) -> bool {
        let now = self.now;
        let _ = self.hosts[from].flip.locate(now, address);
        self.run(Duration::from_secs(1));
        self.hosts[from].flip.route(self.now, address).is_some()
    }

    /// The payloads that a host was given since it was last asked.
    pub fn taken(&mut self, host: usize) -> Vec<Vec<u8>> {
        let inbox = core::mem::take(&mut self.hosts[host].inbox);
        inbox.into_iter().map(|datagram| datagram.payload).collect()
    }

    /// Frames on all networks so far.
    pub fn all_frames(&self) -> u64 {
        self.frames.iter().sum()
    }
}

fn payload(frame: &Incoming<'_, HeapPage>, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    assert!(frame.copy_to(PREFIX, &mut bytes));
    bytes
}
