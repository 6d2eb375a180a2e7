//! The specification and the code say the same.
//!
//! Every ```` ```hex ```` block of `docs/wire.md` is a frame, one field to a line. This test
//! decodes its bytes, writes the frame out again from the decoded fields, and renders it: both
//! must be what the document shows. `NORMA_BLESS=1 cargo test -p norma-wire` rewrites the
//! fields' names and values beside the bytes (never the bytes). The rules (W-…) that sources name must exist there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use norma_wire::layout::{BODY_AT, FLIP_AT, HEAD, MessageLayout, SESSION_AT, check_fixed};
use norma_wire::{context, control, descriptor, ethernet, flip, hello, session};

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
            (1, "flags", &repr.flags.bits()),
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
        let mut again = [0; session::LENGTH];
        repr.emit(&mut again);
        self.again.extend(again);
        let names: Vec<_> = repr.flags.iter_names().map(|(name, _)| name).collect();
        self.fields(&[
            (1, "session version", &session::VERSION),
            (1, "kind", &format!("{:?}", repr.kind).to_uppercase()),
            (
                2,
                "flags",
                &if names.is_empty() {
                    "none".into()
                } else {
                    names.join(" | ")
                },
            ),
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
            (16, "tag", &"none"),
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

/// Bytes as text, for those who read the document.
fn text(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// The frame as the document should show it.
fn render(bytes: &[u8]) -> String {
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
    if packet.kind != flip::Kind::UniData || !packet.is_whole() {
        decoder.raw(packet.length as usize, "payload");
    } else {
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
            }
        }
    }
    assert_eq!(decoder.again, bytes, "written out again");
    decoder.text
}

trait Whole {
    fn is_whole(&self) -> bool;
}

impl Whole for flip::Repr {
    fn is_whole(&self) -> bool {
        self.offset == 0 && self.length == self.total
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn path() -> PathBuf {
    root().join("docs/wire.md")
}

fn document() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// The bytes of a block: the two-digit words before the column of the field's name.
fn bytes(block: &str) -> Vec<u8> {
    let hex = block
        .lines()
        .flat_map(|line| line.get(..48).unwrap_or(line).split_whitespace());
    hex.map(|byte| u8::from_str_radix(byte, 16).expect("two digits of hex"))
        .collect()
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn example_frames_are_decoded_as_documented() {
    let document = document();
    let mut parts = document.split("```hex\n");
    let mut rewritten = parts.next().unwrap_or_default().to_owned();
    let mut examples = 0;
    for part in parts {
        let (block, rest) = part.split_once("```").expect("a block that ends");
        write!(rewritten, "```hex\n{}```{rest}", render(&bytes(block))).unwrap();
        examples += 1;
    }
    assert!(examples >= 10, "only {examples} example frames were found");
    if std::env::var_os("NORMA_BLESS").is_some() {
        std::fs::write(path(), &rewritten).unwrap();
    } else if let Some((shown, is)) = document
        .lines()
        .zip(rewritten.lines())
        .find(|(a, b)| a != b)
    {
        panic!(
            "the document shows\n  {shown}\nbut the code\n  {is}\n(NORMA_BLESS=1 rewrites the examples)"
        );
    }
}

/// The numbers of the rules in this text.
fn rules(text: &str) -> Vec<u32> {
    let after = text.split("W-").skip(1);
    let digits = after.map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or("")
    });
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn rules_that_sources_name_exist_once() {
    let document = document();
    let defined: Vec<u32> = document
        .lines()
        .filter(|line| line.starts_with("**W-"))
        .filter_map(|line| rules(line).first().copied())
        .collect();
    // A rule keeps its number; a new one may stand between old ones.
    let mut sorted = defined.clone();
    sorted.sort_unstable();
    assert!(
        sorted.is_sorted_by(|one, next| one < next),
        "twice: {sorted:?}"
    );
    for folder in [
        "net/wire/src",
        "net/wire/tests",
        "net/flip/src",
        "net/flip/tests",
    ] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(source) = std::fs::read_to_string(&path) else {
                continue;
            };
            for rule in rules(&source) {
                assert!(
                    defined.contains(&rule),
                    "{}: no rule W-{rule}",
                    path.display()
                );
            }
        }
    }
}
