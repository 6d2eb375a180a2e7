//! Captures, read by real tshark with the dissector of `contrib/wireshark`.
//!
//! The golden capture has each kind of frame (`tests/captures`); a fresh one, of a bad network,
//! shows that what the dissector finds is so, for the frames are read here once more without it;
//! and damaged frames may end in any remark, but not in an error of Lua.

#[path = "../../captures/check.rs"]
mod check;
mod fresh;
mod golden;
mod hostile;

use crate::Test;
use crate::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use norma_wire::{ethernet, flip};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use qemu_runner::setup::ensure_tshark;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("captures::every_kind_of_frame", golden::golden),
        Test::new("captures::filters_of_the_document", golden::filters),
        Test::new("captures::a_bad_network", fresh::fresh),
        Test::new("captures::no_frame_is_an_error_of_lua", hostile::hostile),
    ]
}

/// What tshark says of one frame: the values of each field that was asked for.
struct Seen(BTreeMap<&'static str, Vec<String>>);

impl Seen {
    fn all(&self, field: &str) -> &[String] {
        self.0.get(field).map_or(&[], Vec::as_slice)
    }

    fn one(&self, field: &str) -> &str {
        self.all(field).first().map_or("", String::as_str)
    }

    fn has(&self, field: &str) -> bool {
        !self.all(field).is_empty()
    }

    /// Whether a field is there and true, in the words of old and new versions.
    fn is(&self, field: &str) -> bool {
        ["1", "True"].contains(&self.one(field))
    }

    fn number(&self) -> usize {
        self.one("frame.number").parse().unwrap_or(0)
    }

    /// The frames that a field names.
    fn frames(&self, field: &str) -> Vec<usize> {
        let values = self.all(field).iter();
        values.filter_map(|value| value.parse().ok()).collect()
    }
}

/// The largest severity of a remark, as Wireshark numbers it.
const ERROR: &str = "8388608";

/// Asked for with every capture.
const ALWAYS: [&str; 7] = [
    "frame.number",
    "_ws.col.Protocol",
    "_ws.col.Info",
    "_ws.lua.error",
    "_ws.expert.message",
    "_ws.expert.severity",
    "frame.comment",
];

/// Runs tshark with the dissector over a file: first over all of it, then frame by frame.
fn tshark(lab: &Lab, file: &Path, arguments: &[&str]) -> Result<String> {
    static THERE: OnceLock<Result<(), String>> = OnceLock::new();
    let there = THERE.get_or_init(|| {
        let result = ensure_tshark(lab.context());
        result.map_err(|error| format!("{error:#}"))
    });
    there.clone().map_err(anyhow::Error::msg)?;
    let script = lab.root().join("contrib/wireshark/norma.lua");
    let mut command = Command::new("tshark");
    command
        .arg("-2")
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        // Nothing of whoever runs the tests: neither plugins nor preferences.
        .env("HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .arg("-r")
        .arg(file)
        .args(arguments);
    let output = command.output().context("tshark")?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !errors.contains("Lua"),
        "tshark {}: {errors}",
        output.status
    );
    Ok(text)
}

/// What tshark shows of each frame.
fn read(lab: &Lab, file: &Path, fields: &[&'static str]) -> Result<Vec<Seen>> {
    let fields: Vec<_> = ALWAYS.iter().chain(fields).copied().collect();
    let mut arguments = vec!["-T", "fields"];
    arguments.extend(["-E", "separator=\t", "-E", "aggregator=\x02"]);
    arguments.extend(fields.iter().flat_map(|field| ["-e", field]));
    let text = tshark(lab, file, &arguments)?;
    let seen = text.lines().map(|line| {
        let cells = line.split('\t').map(|cell| {
            let values = cell.split('\x02').filter(|value| !value.is_empty());
            values.map(str::to_owned).collect::<Vec<_>>()
        });
        Seen(fields.iter().copied().zip(cells).collect())
    });
    Ok(seen.collect())
}

/// No error of Lua, and every frame is one of ours.
fn sound(seen: &[Seen]) -> Result<()> {
    for frame in seen {
        let (number, info) = (frame.number(), frame.one("_ws.col.Info"));
        let messages = frame.all("_ws.expert.message");
        ensure!(
            !frame.has("_ws.lua.error") && !messages.iter().any(|text| text.contains("Lua Error")),
            "frame {number}: {messages:?}"
        );
        let protocol = frame.one("_ws.col.Protocol");
        ensure!(
            ["FLIP", "NORMA"].contains(&protocol),
            "frame {number} is {protocol:?}: {info}"
        );
    }
    Ok(())
}

/// The one frame whose line ends so; it comes from whom the line says.
fn with_info<'a>(seen: &'a [Seen], info: &str) -> Result<&'a Seen> {
    let mut found = seen
        .iter()
        .filter(|frame| frame.one("_ws.col.Info") == info);
    let frame = found
        .next()
        .with_context(|| format!("no frame is {info:?}"))?;
    ensure!(found.next().is_none(), "several frames are {info:?}");
    Ok(frame)
}

fn golden_file(lab: &Lab) -> PathBuf {
    lab.root().join("tests/data/golden.pcapng")
}

/// A frame of a capture, read without the dissector.
struct Frame {
    bytes: Vec<u8>,
    comment: Option<String>,
}

fn frames(file: &Path) -> Result<Vec<Frame>> {
    let mut reader = PcapNgReader::new(File::open(file)?)?;
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block? {
            let comment = packet.options.iter().find_map(|option| match option {
                EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                _ => None,
            });
            let bytes = packet.data.to_vec();
            frames.push(Frame { bytes, comment });
        }
    }
    Ok(frames)
}

/// The header of a frame with a whole datagram for one receiver.
fn datagram(bytes: &[u8]) -> Option<flip::Repr> {
    ethernet::Repr::parse(bytes.first_chunk()?).ok()?;
    let packet = flip::Packet::new_checked(bytes.get(14..)?).ok()?;
    let flip = flip::Repr::parse(&packet);
    let whole = flip.offset == 0 && flip.length == flip.total;
    let there = bytes.len() == 54 + flip.length as usize;
    (whole && there && flip.kind == flip::Kind::UniData).then_some(flip)
}
