//! A frame, field for field: read by the code, and rendered as the document should show it.

use crate::check;
use norma_wire::layout::{BODY_AT, FLIP_AT, HEAD, MessageLayout, SESSION_AT, check_fixed};
use norma_wire::{context, control, descriptor, ethernet, flip, hello, session};
use std::fmt::Write as _;

/// A frame in decoding: what was read is rendered, and written out again beside it.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    text: String,
    again: Vec<u8>,
}

impl Decoder<'_> {
    /// The next `count` bytes are this field.
    fn field(&mut self, count: usize, name: &str, value: &dyn std::fmt::Display) {
        let bytes = &self.bytes[self.at..self.at + count];
        self.at += count;
        let chunks: Vec<_> = bytes.chunks(16).collect();
        for (number, chunk) in chunks.iter().enumerate() {
            let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = if number == 0 {
                format!("{name} = {value}")
            } else {
                String::new()
            };
            let line = format!("{:<48}{line}", hex.join(" "));
            writeln!(self.text, "{}", line.trim_end()).unwrap();
        }
    }

    fn fields(&mut self, fields: &[(usize, &str, &dyn std::fmt::Display)]) {
        for (count, name, value) in fields {
            self.field(*count, name, value);
        }
    }

    fn array<const N: usize>(&self) -> [u8; N] {
        *self.bytes[self.at..]
            .first_chunk()
            .expect("the frame ends too soon")
    }

    fn ethernet(&mut self) {
        let repr = ethernet::Repr::parse(&self.array()).unwrap();
        let mut again = [0; ethernet::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (6, "ethernet destination", &repr.destination),
            (6, "ethernet source", &repr.source),
            (2, "ethernet type", &"FLIP"),
        ]);
    }

    fn flip(&mut self) -> flip::Repr {
        let bytes = self.array();
        let packet = flip::Packet::from_array(&bytes).unwrap();
        packet.check_length(self.bytes.len() - SESSION_AT).unwrap();
        let repr = flip::Repr::parse(&packet);
        let mut again = [0; flip::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (1, "flip version", &flip::VERSION),
            (1, "type", &format!("{:?}", repr.kind).to_uppercase()),
            (1, "flags", &names(repr.flags.iter_names())),
            (1, "reserved", &0),
            (2, "actual hop", &repr.actual_hop),
            (2, "maximum hop", &repr.maximum_hop),
            (8, "destination", &repr.destination),
            (8, "source", &repr.source),
            (4, "message id", &repr.message_id),
            (4, "length", &repr.length),
            (4, "offset", &repr.offset),
            (4, "total", &repr.total),
        ]);
        repr
    }

    fn session(&mut self) -> [u8; session::LENGTH] {
        let bytes = self.array();
        let repr = session::Repr::parse(&session::Header::from_array(&bytes).unwrap());
        // Frames of the document are not sealed, and so have a check.
        assert_eq!(repr.key, 0);
        let (check, zeros) = repr.tag.split_first_chunk().unwrap();
        assert_eq!(zeros, [0; 12]);
        let check = u32::from_le_bytes(*check);
        let mut again = [0; session::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (1, "session version", &session::VERSION),
            (1, "kind", &format!("{:?}", repr.kind).to_uppercase()),
            (2, "flags", &names(repr.flags.iter_names())),
            (4, "session", &repr.session),
            (4, "sequence", &repr.sequence),
            (4, "acknowledged", &repr.acknowledged),
            (4, "selective", &repr.selective),
            (1, "credit", &repr.credit),
            (1, "rights", &repr.rights),
            (2, "inline", &repr.inline),
            (4, "destination", &repr.destination),
            (4, "reply", &repr.reply),
            (4, "id", &repr.id),
            (4, "memory", &repr.memory),
            (2, "after", &repr.after),
            (4, "key", &repr.key),
            (4, "check", &format_args!("{check:#010x}")),
            (12, "rest of the tag", &"zeros"),
        ]);
        bytes
    }

    fn hello(&mut self) {
        let bytes = self.array();
        let repr = hello::Repr::parse(&hello::Body::from_array(&bytes).unwrap());
        let mut again = [0; hello::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (1, "lowest version", &repr.lowest),
            (1, "highest version", &repr.highest),
            (2, "reserved", &0),
            (4, "features", &repr.features),
            (8, "incarnation", &format_args!("{:#x}", repr.incarnation)),
            (16, "cluster", &text(&repr.cluster)),
            (4, "session", &repr.session),
            (4, "echo", &repr.echo),
            (4, "frame limit", &repr.frame_limit),
            (4, "first sequence", &repr.first_sequence),
            (16, "node name", &format_args!("{:?}", repr.name)),
        ]);
    }

    /// The longer list of an ACK (W-80), if it has one.
    fn arrived(&mut self) {
        let body = self.bytes[self.at..].to_vec();
        if !body.is_empty() {
            let count: u32 = body.iter().map(|byte| byte.count_ones()).sum();
            self.again.extend(&body);
            self.field(body.len(), "arrived", &format_args!("{count} of 512"));
        }
    }

    /// A stream that lies in the head, or inline data of which a part trails.
    fn message(&mut self, header: &session::Header<'_>) {
        let layout = MessageLayout::parse(header, self.bytes.len() - SESSION_AT).unwrap();
        assert_eq!(layout.payload_length(), self.bytes.len() - SESSION_AT);
        let inline = usize::from(header.inline());
        self.raw(inline.min(layout.in_head()), "inline data");
        if layout.trailer == 0 {
            for _ in 0..header.rights() {
                self.right();
            }
            if header.flags().contains(session::Flags::CONTEXT) {
                self.context();
            }
        }
        if self.at < self.bytes.len() {
            self.raw(HEAD - self.at, "padding of the head");
            self.raw(layout.page_bytes, "page");
            self.raw(layout.trailer, "trailer");
        }
    }

    fn right(&mut self) {
        let bytes = self.array();
        let repr = descriptor::Repr::parse(&descriptor::Descriptor::from_array(&bytes).unwrap());
        let mut again = [0; descriptor::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (1, "right kind", &format!("{:?}", repr.kind).to_uppercase()),
            (
                1,
                "right origin",
                &format!("{:?}", repr.origin).to_uppercase(),
            ),
            (2, "moves", &repr.moves),
            (4, "index", &repr.index),
            (8, "port", &format_args!("{:#x}", repr.port)),
            (8, "node", &repr.node),
            (4, "session", &repr.session),
            (4, "there", &repr.there),
        ]);
    }

    fn context(&mut self) {
        let bytes = self.array();
        let repr = context::Repr::parse(&context::Context::from_array(&bytes));
        let mut again = [0; context::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        self.fields(&[
            (8, "deadline", &repr.deadline),
            (16, "trace", &text(&repr.trace)),
            (1, "priority", &repr.priority),
            (7, "reserved", &0),
        ]);
    }

    fn raw(&mut self, count: usize, name: &str) {
        if count > 0 {
            let bytes = self.bytes[self.at..self.at + count].to_vec();
            self.again.extend(&bytes);
            let zero = bytes.iter().all(|byte| *byte == 0);
            let value = if zero { "zeros".into() } else { text(&bytes) };
            self.field(count, name, &value);
        }
    }
}

/// Flags by name.
fn names<T>(flags: impl Iterator<Item = (&'static str, T)>) -> String {
    let names: Vec<_> = flags.map(|(name, _)| name).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(" | ")
    }
}

/// Bytes as text, for those who read the document.
fn text(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// The frame as the document should show it.
pub fn render(bytes: &[u8]) -> String {
    let mut decoder = Decoder {
        bytes,
        at: 0,
        text: String::new(),
        again: Vec::new(),
    };
    decoder.ethernet();
    assert_eq!(decoder.at, FLIP_AT);
    let packet = decoder.flip();
    assert_eq!(decoder.at, SESSION_AT);
    if !check::is_session(bytes) {
        decoder.raw(packet.length as usize, "payload");
    } else {
        assert!(check::holds(bytes), "a frame that any node drops (W-64)");
        let header = decoder.session();
        assert_eq!(decoder.at, BODY_AT);
        let header = session::Header::from_array(&header).unwrap();
        match header.kind() {
            session::Kind::Message | session::Kind::Part => decoder.message(&header),
            kind => {
                check_fixed(kind, packet.length as usize).unwrap();
                if matches!(kind, session::Kind::Hello | session::Kind::Welcome) {
                    decoder.hello();
                }
                if kind == session::Kind::Control {
                    control::Control::parse(&header).unwrap();
                }
                if kind == session::Kind::Ack {
                    decoder.arrived();
                }
            }
        }
    }
    assert_eq!(decoder.again, bytes, "written out again");
    decoder.text
}
