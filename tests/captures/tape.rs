//! A capture that is written by hand: frames with times of their own choice.
//!
//! Owns the nodes, their numbers and the bytes of each frame, which `norma-wire` writes. Leaves
//! to `story` what they say.

use crate::check;
use norma_wire::ethernet::EthernetAddress;
use norma_wire::session::Kind;
use norma_wire::{Address, ethernet, flip, layout, session};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::SectionHeaderBlock;
use pcap_file::{DataLink, Endianness};
use std::time::Duration;

/// Everybody's station.
pub const ALL: EthernetAddress = EthernetAddress([0xff; 6]);

/// When the first frame was, since 1970: not by any clock, so that the file is always the same.
const START: Duration = Duration::from_secs(1_700_000_000);

/// A node: its letter says who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Who(pub char);

impl Who {
    pub fn number(self) -> u8 {
        self.0 as u8 - b'a' + 1
    }

    pub fn station(self) -> EthernetAddress {
        EthernetAddress([2, 0, 0, 0, 1, self.number()])
    }

    pub fn address(self) -> Address {
        Address(u64::from(self.number()) * 0x1111_1111_1111)
    }
}

/// The frames so far.
pub struct Tape {
    frames: Vec<(u32, Duration, Vec<u8>, Option<&'static str>)>,
    names: Vec<&'static str>,
    time: Duration,
    message_id: u32,
}

impl Tape {
    pub fn new(names: &[&'static str]) -> Self {
        Self {
            frames: Vec::new(),
            names: names.to_vec(),
            time: START,
            message_id: 0,
        }
    }

    /// So many microseconds pass.
    pub fn wait(&mut self, micros: u64) {
        self.time += Duration::from_micros(micros);
    }

    /// A frame as it is, 20 µs after the last.
    pub fn raw(&mut self, link: u32, bytes: Vec<u8>, comment: Option<&'static str>) {
        self.wait(20);
        self.frames.push((link, self.time, bytes, comment));
    }

    /// The last frame once more.
    pub fn copy(&mut self, comment: &'static str) {
        let (link, _, bytes, _) = self.frames.last().unwrap();
        let (link, bytes) = (*link, bytes.clone());
        self.raw(link, bytes, Some(comment));
    }

    /// Changes the last frame, and says why.
    pub fn spoil(&mut self, comment: &'static str, change: impl FnOnce(&mut [u8])) {
        let (_, _, bytes, said) = self.frames.last_mut().unwrap();
        change(bytes);
        *said = Some(comment);
    }

    /// The bytes of the last frame.
    pub fn last(&self) -> &[u8] {
        &self.frames.last().unwrap().2
    }

    /// The last frame on the other network, as a router passes it on.
    pub fn forwarded(&mut self) {
        let (link, _, bytes, _) = self.frames.last().unwrap();
        let (link, mut bytes) = (1 - *link, bytes.clone());
        let header = &mut bytes[layout::FLIP_AT..];
        flip::PacketMut::new(header).unwrap().set_actual_hop(2);
        self.raw(link, bytes, None);
    }

    pub fn lost(&mut self) {
        self.spoil("lost", |_| ());
    }

    /// A packet of FLIP's: what is not said is as nodes send it.
    pub fn packet(
        &mut self,
        link: u32,
        (from, to): (EthernetAddress, EthernetAddress),
        header: flip::Repr,
        payload: &[u8],
    ) {
        let mut bytes = vec![0; layout::SESSION_AT];
        let ethernet = ethernet::Repr {
            destination: to,
            source: from,
        };
        ethernet.emit(bytes.first_chunk_mut().unwrap());
        header.emit(bytes[layout::FLIP_AT..].first_chunk_mut().unwrap());
        bytes.extend(payload);
        self.raw(link, bytes, None);
    }

    /// The header of a packet of this kind, whose payload is whole and has `length` bytes.
    pub fn header(
        &mut self,
        kind: flip::Kind,
        from: Address,
        to: Address,
        length: usize,
    ) -> flip::Repr {
        self.message_id += 1;
        flip::Repr {
            kind,
            flags: flip::Flags::empty(),
            actual_hop: 1,
            maximum_hop: 25,
            destination: to,
            source: from,
            message_id: self.message_id,
            length: length as u32,
            offset: 0,
            total: length as u32,
        }
    }

    /// A frame of a session to whatever address, with its check. `stream` and `pages` are laid
    /// out as W-22 says.
    pub fn session(
        &mut self,
        link: u32,
        (from, to): (Who, Who),
        address: Address,
        header: &session::Repr,
        (stream, pages): (&[u8], &[u8]),
    ) {
        let mut payload = vec![0; session::LENGTH];
        header.emit(payload.first_chunk_mut().unwrap());
        let in_head = stream.len().min(layout::HEAD_BODY);
        payload.extend(&stream[..in_head]);
        if stream.len() > in_head || !pages.is_empty() {
            payload.resize(layout::HEAD_PAYLOAD, 0);
            payload.extend(pages);
            payload.extend(&stream[in_head..]);
        }
        if matches!(header.kind, Kind::Message | Kind::Part) {
            let bytes = payload.first_chunk().unwrap();
            let view = session::Header::from_array(bytes).unwrap();
            layout::MessageLayout::parse(&view, payload.len()).unwrap();
        } else {
            layout::check_fixed(header.kind, payload.len()).unwrap();
        }
        let flip = self.header(flip::Kind::UniData, from.address(), address, payload.len());
        self.packet(link, (from.station(), to.station()), flip, &payload);
        let (_, _, bytes, _) = self.frames.last_mut().unwrap();
        check::write(bytes);
    }

    /// The file.
    pub fn pcapng(&self) -> Vec<u8> {
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            ..Default::default()
        };
        let mut file = PcapNgWriter::with_section_header(Vec::new(), section).unwrap();
        for name in &self.names {
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName((*name).into()),
                    InterfaceDescriptionOption::IfTsResol(9),
                ],
            };
            file.write_pcapng_block(block).unwrap();
        }
        for (link, time, bytes, comment) in &self.frames {
            let comment = comment.map(|text| EnhancedPacketOption::Comment(text.into()));
            let block = EnhancedPacketBlock {
                interface_id: *link,
                timestamp: *time,
                original_len: bytes.len() as u32,
                data: bytes.as_slice().into(),
                options: comment.into_iter().collect(),
            };
            file.write_pcapng_block(block).unwrap();
        }
        file.into_inner()
    }
}
