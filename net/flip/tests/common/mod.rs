//! Two nodes' FLIP layers and the frames between them: what all tests here stand on.
#![allow(dead_code)] // each test uses a part of it

pub mod internet;

use norma_flip::{
    Address, Config, Event, Flip, HEAD, Incoming, Input, Instant, NetworkId, Outgoing, PREFIX,
    PrivateAddress,
};
use norma_ipc::{HeapPage, HeapPages, Page};
use norma_wire::{ethernet, flip, layout};
use proptest::prelude::ProptestConfig;

/// As many cases as there is time for: Miri is a hundred times slower, and has no files.
pub fn cases(many: u32) -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(if cfg!(miri) { 4 } else { many });
    if cfg!(miri) {
        config.failure_persistence = None;
    }
    config
}

/// A frame that owns its bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    pub head: [u8; HEAD],
    pub pages: heapless::Vec<HeapPage, 16>,
    pub length: usize,
}

impl Frame {
    pub fn new() -> Frame {
        Frame {
            head: [0; HEAD],
            pages: heapless::Vec::new(),
            length: 0,
        }
    }

    /// A frame of these headers; the payload is `header.length` bytes that `fill` makes.
    pub fn of(stations: ethernet::Repr, header: flip::Repr, fill: impl Fn(usize) -> u8) -> Frame {
        let mut bytes = vec![0; PREFIX + header.length as usize];
        let (headers, payload) = bytes.split_at_mut(PREFIX);
        stations.emit(headers.first_chunk_mut().unwrap());
        header.emit(headers.last_chunk_mut().unwrap());
        payload
            .iter_mut()
            .enumerate()
            .for_each(|(at, byte)| *byte = fill(at));
        Frame::from_bytes(&bytes)
    }

    pub fn from_bytes(bytes: &[u8]) -> Frame {
        let mut frame = Frame::new();
        frame.length = bytes.len();
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD));
        frame.head[..head.len()].copy_from_slice(head);
        for chunk in rest.chunks(layout::PAGE) {
            let mut page = page();
            page.bytes_mut().unwrap()[..chunk.len()].copy_from_slice(chunk);
            frame.pages.push(page).ok().unwrap();
        }
        frame
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut pages = self.pages.clone();
        let mut bytes = vec![0; self.length];
        let frame = Incoming {
            head: &self.head,
            length: self.length,
            pages: &mut pages,
        };
        assert!(frame.copy_to(0, &mut bytes));
        bytes
    }

    pub fn header(&self) -> flip::Repr {
        flip::Repr::parse(&flip::Packet::new_checked(&self.head[14..]).unwrap())
    }

    pub fn stations(&self) -> ethernet::Repr {
        ethernet::Repr::parse(self.head.first_chunk().unwrap()).unwrap()
    }

    pub fn outgoing(&mut self) -> Outgoing<'_, HeapPage> {
        Outgoing {
            head: &mut self.head,
            pages: &mut self.pages,
            length: self.length,
        }
    }
}

pub fn page() -> HeapPage {
    norma_ipc::PageSource::allocate(&mut HeapPages::default()).unwrap()
}

/// A node: its FLIP layer, its address, its memory.
pub struct Node {
    pub flip: Flip<HeapPage>,
    pub address: Address,
    pub station: ethernet::EthernetAddress,
    pub memory: HeapPages,
}

impl Node {
    pub fn new(number: u8, mtu: u16) -> Node {
        let mac = [2, 0, 0, 0, 0, number];
        let mut flip = Flip::new(Config { mac, mtu }, [number; 32]);
        let private = flip.draw_address(1);
        let address = flip.register(private).unwrap();
        let station = ethernet::EthernetAddress(mac);
        Node {
            flip,
            address,
            station,
            memory: HeapPages::default(),
        }
    }

    pub fn name(&mut self, bits: u64) -> Address {
        self.flip.register(PrivateAddress::new(2, bits)).unwrap()
    }

    pub fn take(&mut self, now: Instant, frame: &Frame) -> Input<HeapPage> {
        let mut pages = frame.pages.clone();
        let mut incoming = Incoming {
            head: &frame.head,
            length: frame.length,
            pages: &mut pages,
        };
        self.flip
            .handle_frame(now, NetworkId::FIRST, &mut incoming, &mut self.memory)
    }

    /// All that it has to send.
    pub fn give(&mut self, now: Instant) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let mut frame = Frame::new();
            let mut outgoing = frame.outgoing();
            if !self
                .flip
                .poll_transmit(now, NetworkId::FIRST, &mut outgoing, &mut self.memory)
            {
                return frames;
            }
            frame.length = outgoing.length;
            frames.push(frame);
        }
    }

    pub fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.flip.poll_event()).collect()
    }

    /// A datagram with this payload, if there is a route.
    pub fn datagram(&mut self, now: Instant, to: Address, payload: &[u8]) -> Option<Frame> {
        let mut bytes = vec![0; PREFIX];
        bytes.extend(payload);
        let mut frame = Frame::from_bytes(&bytes);
        let from = self.address;
        let mut outgoing = frame.outgoing();
        self.flip
            .emit(
                now,
                NetworkId::FIRST,
                to,
                from,
                payload.len(),
                &mut outgoing,
            )
            .ok()?;
        frame.length = outgoing.length;
        Some(frame)
    }
}

/// Carries frames between the two until both are silent.
pub fn settle(now: Instant, one: &mut Node, two: &mut Node) {
    loop {
        let (from_one, from_two) = (one.give(now), two.give(now));
        if from_one.is_empty() && from_two.is_empty() {
            return;
        }
        from_one.iter().for_each(|frame| drop(two.take(now, frame)));
        from_two.iter().for_each(|frame| drop(one.take(now, frame)));
    }
}

/// A small datagram that says that it is from `source`, whoever sends it.
pub fn lie(station: [u8; 6], to: [u8; 6], source: Address, destination: Address) -> Frame {
    let header = flip::Repr {
        kind: flip::Kind::UniData,
        flags: flip::Flags::empty(),
        actual_hop: 1,
        maximum_hop: 25,
        destination,
        source,
        message_id: 1,
        length: 10,
        offset: 0,
        total: 10,
    };
    let stations = ethernet::Repr {
        destination: ethernet::EthernetAddress(to),
        source: ethernet::EthernetAddress(station),
    };
    Frame::of(stations, header, |_| 0)
}
