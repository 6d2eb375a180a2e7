//! Captures, read by real tshark with the dissector of `contrib/wireshark`.
//!
//! The golden capture has each kind of frame (`tests/captures`); a fresh one, of a bad network,
//! shows that what the dissector finds is so, for the frames are read here once more without it;
//! and damaged frames may end in any remark, but not in an error of Lua.

#[path = "../captures/check.rs"]
mod check;

use crate::Test;
use crate::lab::Lab;
use crate::network::{SEED, bad_network, client, passes, server};
use anyhow::{Context as _, Result, ensure};
use norma_faults::{Action, Random, Rule};
use norma_wire::{ethernet, flip, session};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use qemu_runner::link::Capture;
use qemu_runner::run::Plan;
use qemu_runner::setup::ensure_tshark;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("captures::every_kind_of_frame", golden),
        Test::new("captures::filters_of_the_document", filters),
        Test::new("captures::a_bad_network", fresh),
        Test::new("captures::no_frame_is_an_error_of_lua", hostile),
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

fn golden(lab: &Lab) -> Result<()> {
    let fields = [
        "frame.interface_id",
        "norma.flip.type",
        "norma.flip.fragment",
        "norma.flip.copy_of",
        "norma.flip.forwarded_from",
        "norma.flip.locate_in",
        "norma.kind",
        "norma.control",
        "norma.refused.reason",
        "norma.right.kind",
        "norma.right.origin",
        "norma.operation",
        "norma.notification",
        "norma.item.kind",
        "norma.item.value",
        "norma.context.deadline",
        "norma.state.items",
        "norma.check.good",
        "norma.service",
        "norma.request_in",
        "norma.response_in",
        "norma.response_time",
        "norma.passed_on_in",
        "norma.no_reply_in",
        "norma.refused_in",
        "norma.message_in",
        "norma.hello_in",
        "norma.probe_in",
        "norma.memory.frame",
        "norma.memory.data",
        "norma.retransmission_of",
        "norma.under_way",
        "norma.permitted",
    ];
    let seen = read(lab, &golden_file(lab), &fields)?;
    ensure!(seen.len() > 90, "{} frames", seen.len());
    sound(&seen)?;
    let values = |field: &str| -> BTreeSet<u32> {
        let all = seen.iter().flat_map(|frame| frame.all(field));
        all.filter_map(|value| value.parse().ok()).collect()
    };
    let ranges = [
        ("norma.flip.type", 1..=6),
        ("norma.kind", 1..=8),
        ("norma.control", 1..=7),
        ("norma.refused.reason", 1..=4),
        ("norma.right.kind", 1..=5),
        ("norma.right.origin", 1..=3),
        ("norma.notification", 1..=7),
        ("norma.item.kind", 1..=10),
    ];
    for (field, range) in ranges {
        let values = values(field);
        ensure!(values.iter().copied().eq(range), "{field}: {values:?}");
    }
    let operations = values("norma.operation");
    let all = [1, 2, 3, 4, 5, 16, 99];
    ensure!(operations.iter().eq(&all), "{operations:?}");
    // Only what was damaged is an error, and it is one.
    for frame in &seen {
        let damaged = frame.one("frame.comment").contains("corrupted");
        let bad = frame
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        let messages = frame.all("_ws.expert.message");
        ensure!(bad == damaged, "frame {}: {messages:?}", frame.number());
        let checked = frame.has("norma.check.good");
        ensure!(
            !checked || frame.is("norma.check.good") != damaged,
            "frame {}: the check of a frame {}",
            frame.number(),
            if damaged { "holds" } else { "does not hold" }
        );
    }
    golden_pairs(&seen)
}

/// What belongs together in the golden capture.
fn golden_pairs(seen: &[Seen]) -> Result<()> {
    // Whose field names whom.
    let pairs = [
        (
            "a→b CALL LOOK_UP \"echo\" 4 B",
            "norma.response_in",
            "b→a REPLY echo: done 0 B 1 right",
        ),
        (
            "b→a REPLY echo id 0 4 B",
            "norma.request_in",
            "a→b CALL echo id 7 4 B",
        ),
        (
            "b→a REPLY echo id 0 5 B",
            "norma.request_in",
            "a→b CALL echo id 12 4 B",
        ),
        (
            "a→b CALL echo id 12 4 B [sent again]",
            "norma.retransmission_of",
            "a→b CALL echo id 12 4 B",
        ),
        (
            "a→b CALL echo id 15 1 B",
            "norma.no_reply_in",
            "b→a NO_REPLY 0x50002",
        ),
        (
            "a→b CALL port 0x3 id 20 4 B",
            "norma.passed_on_in",
            "b→c CALL passed on port 0x3 id 20 4 B 1 right",
        ),
        (
            "c→b SPENT 0x60009",
            "norma.request_in",
            "a→b CALL port 0x3 id 20 4 B",
        ),
        (
            "a→b CALL node of b: about the node 0 B",
            "norma.response_in",
            "b→a REPLY node of b id 0 16 B",
        ),
        (
            "b→a REFUSED 1010: no memory",
            "norma.message_in",
            "a→b MESSAGE echo id 14 8 B",
        ),
        (
            "b→a ACK 1009 credit 16, answers probe 77",
            "norma.probe_in",
            "a→b PROBE 77",
        ),
        (
            "b→a WELCOME \"b\" session 98",
            "norma.hello_in",
            "a→4e:1234… HELLO \"a\" session 81",
        ),
        (
            "4e:1234…→a HEREIS 4e:1234…",
            "norma.flip.locate_in",
            "a→4e:1234… LOCATE 4e:1234…",
        ),
    ];
    for (one, field, other) in pairs {
        // The first of those that say the same: the second is a copy or an example.
        let find = |info: &str| {
            let mut all = seen
                .iter()
                .filter(|frame| frame.one("_ws.col.Info") == info);
            all.next().with_context(|| format!("no frame is {info:?}"))
        };
        let (one, other) = (find(one)?, find(other)?);
        ensure!(
            one.frames(field) == [other.number()],
            "frame {}: {field} is {:?}, not {}",
            one.number(),
            one.all(field),
            other.number()
        );
    }
    let answer = with_info(seen, "b→a REPLY echo id 0 4 B")?;
    let time = answer.one("norma.response_time");
    ensure!(time == "0.000120000", "120 µs are {time:?}");
    let call = with_info(seen, "a→b CALL echo id 7 4 B")?;
    ensure!(call.one("norma.context.deadline") == "250000000");
    let copy = seen
        .iter()
        .find(|frame| frame.one("frame.comment").contains("copy 2"));
    let copy = copy.context("no copy")?;
    ensure!(copy.frames("norma.flip.copy_of") == [copy.number() - 1]);
    let passed_on = seen
        .iter()
        .filter(|frame| frame.has("norma.flip.forwarded_from"));
    ensure!(
        passed_on.count() == 1,
        "one frame was passed on by the router"
    );
    // Five pages in three frames, the last of them overtaken.
    let large = seen.iter().find(|frame| frame.has("norma.memory.data"));
    let large = large.context("no memory was put together")?;
    let pieces: BTreeSet<_> = large.frames("norma.memory.frame").into_iter().collect();
    ensure!(
        pieces.len() == 3 && pieces.contains(&large.number()),
        "{pieces:?}"
    );
    let expected = ["31".repeat(8192), "32".repeat(8192), "33".repeat(616)].concat();
    ensure!(
        large.one("norma.memory.data") == expected,
        "the memory is another one"
    );
    // The last message before was acknowledged; one, this message and its two PARTs were not.
    let window = (large.one("norma.under_way"), large.one("norma.permitted"));
    ensure!(window == ("4", "16"), "under way and permitted: {window:?}");
    let fragments = with_info(seen, "a→b MESSAGE echo id 11 200 B")?.all("norma.flip.fragment");
    ensure!(fragments.len() == 2, "{fragments:?}");
    let items = seen
        .iter()
        .find(|frame| frame.all("norma.item.kind").len() > 5);
    let items = items.context("no items")?.all("norma.item.value");
    for value in ["1, 2, 3", "words", "-5", "1.5", "true, false", "of 2"] {
        ensure!(
            items.iter().any(|item| item == value),
            "no {value:?} in {items:?}"
        );
    }
    let big = seen
        .iter()
        .find(|frame| frame.one("norma.item.value") == "258, 772");
    ensure!(big.is_some(), "numbers of a big-endian sender");
    let state = with_info(seen, "b→c NEWS STATE 2 items follow 12 B")?;
    ensure!(state.one("norma.state.items") == "2");
    Ok(())
}

/// Each filter that docs/captures.md offers is one, and finds something.
fn filters(lab: &Lab) -> Result<()> {
    let document = std::fs::read_to_string(lab.root().join("docs/captures.md"))?;
    let (_, table) = document
        .split_once("| filter | shows |")
        .context("no table of filters")?;
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let filters = rows.filter_map(|row| row.split('`').nth(1));
    let filters: Vec<_> = filters.map(|filter| filter.replace("\\|", "|")).collect();
    ensure!(filters.len() > 10, "{filters:?}");
    // One table with two columns for each: frames, bytes.
    let statistics = format!("io,stat,0,{}", filters.join(","));
    let text = tshark(lab, &golden_file(lab), &["-q", "-z", &statistics])?;
    let row = text.lines().find(|line| line.contains("<>"));
    let cells = row.context("no table")?.split('|').map(str::trim);
    let numbers: Vec<u64> = cells.filter_map(|cell| cell.parse().ok()).collect();
    ensure!(numbers.len() == 2 * filters.len(), "{text}");
    for (filter, counts) in filters.iter().zip(numbers.chunks(2)) {
        ensure!(counts[0] > 0, "`{filter}` finds nothing");
    }
    Ok(())
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

/// Which frames are sent again: sequenced ones with a number that their sender has used in the
/// session before, in another datagram.
fn sent_again(frames: &[Frame]) -> BTreeSet<usize> {
    let (mut first, mut again) = (BTreeMap::new(), BTreeSet::new());
    for (place, frame) in frames.iter().enumerate() {
        let bytes = &frame.bytes;
        let Some(flip) = datagram(bytes) else {
            continue;
        };
        let Ok(header) = session::Header::new_checked(&bytes[54..]) else {
            continue;
        };
        let mut checked = bytes.clone();
        check::write(&mut checked);
        if !header.kind().is_sequenced() || checked != *bytes {
            continue;
        }
        let key = (
            flip.source,
            flip.destination,
            header.session(),
            header.sequence(),
        );
        if *first.entry(key).or_insert(flip.message_id) != flip.message_id {
            again.insert(place + 1);
        }
    }
    again
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

/// Calls on a bad network: each is matched with its answer, and what was sent again is found.
fn fresh(lab: &Lab) -> Result<()> {
    const CALLS: usize = 150;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.pcapng");
    let capture = Capture::create(&file)?;
    let mut rules = bad_network();
    rules.push(Rule::new(Action::Corrupt).with_probability(0.05));
    let calls = format!("n={CALLS}");
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &[&calls])?).faults(SEED, rules);
    lab.captured(plan, Some(&capture), |run| passes(run, "a", "calls"))?;
    capture.finish()?;
    let frames = frames(&file)?;
    let fields = [
        "frame.interface_name",
        "norma.kind",
        "norma.flags.rpc",
        "norma.flags.send_once",
        "norma.from",
        "norma.request_in",
        "norma.response_in",
        "norma.retransmission_of",
        "norma.flip.copy_of",
    ];
    let seen = read(lab, &file, &fields)?;
    ensure!(seen.len() == frames.len(), "tshark has not read all frames");
    // A frame whose EtherType was hit is nobody's.
    let ours = |frame: &&Seen| {
        let comment = frame.one("frame.comment");
        !["byte 12,", "byte 13,"]
            .iter()
            .any(|byte| comment.contains(byte))
    };
    for frame in seen.iter().filter(ours) {
        sound(std::slice::from_ref(frame))?;
    }
    for (frame, shown) in frames.iter().zip(&seen) {
        let comment = frame.comment.as_deref().unwrap_or_default();
        ensure!(
            shown.one("frame.comment") == comment,
            "{comment:?} is not shown"
        );
        ensure!(
            shown.one("frame.interface_name").ends_with("b-a"),
            "the link's name"
        );
        let bad = shown
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        let (number, messages) = (shown.number(), shown.all("_ws.expert.message"));
        ensure!(
            !bad || comment.contains("corrupted"),
            "frame {number}: {messages:?}"
        );
    }
    let damaged = seen.iter().filter(|frame| {
        let messages = frame.all("_ws.expert.message");
        messages
            .iter()
            .any(|text| text.contains("check does not hold"))
    });
    ensure!(damaged.count() > 0, "no check has failed");
    // What was sent again: the same frames as are found without the dissector.
    let sequenced = |frame: &&Seen| ["3", "4", "8"].contains(&frame.one("norma.kind"));
    let again = seen.iter().filter(sequenced);
    let again = again.filter(|frame| frame.has("norma.retransmission_of"));
    let again: BTreeSet<_> = again.map(Seen::number).collect();
    let expected = sent_again(&frames);
    ensure!(
        again == expected,
        "sent again, or said to be, but not both: {:?}",
        &again ^ &expected
    );
    ensure!(
        again.len() > 10,
        "only {} frames were sent again",
        again.len()
    );
    ensure!(
        seen.iter().any(|frame| frame.has("norma.flip.copy_of")),
        "no copy"
    );
    matched(&seen, CALLS)
}

/// Each call that was made has an answer, which comes from the other node and names that call.
fn matched(seen: &[Seen], calls: usize) -> Result<()> {
    // Whatever of it was hit: no node, or another one, has heard that call.
    let damaged = |frame: &Seen| frame.one("frame.comment").contains("corrupted");
    let struck = seen.iter().filter(|frame| damaged(frame)).count();
    let made = seen.iter().filter(|frame| {
        frame.is("norma.flags.rpc")
            && !frame.has("norma.retransmission_of")
            && !frame.has("norma.flip.copy_of")
            && !damaged(frame)
    });
    let mut answered = 0;
    for call in made {
        let number = call.number();
        let [answer] = call.frames("norma.response_in")[..] else {
            anyhow::bail!("call {number} has no answer: {}", call.one("_ws.col.Info"));
        };
        let answer = seen.get(answer - 1).context("no such frame")?;
        ensure!(
            answer.is("norma.flags.send_once")
                && answer.frames("norma.request_in") == [number]
                && answer.one("norma.from") != call.one("norma.from"),
            "call {number} is not answered by {}",
            answer.one("_ws.col.Info")
        );
        answered += 1;
    }
    ensure!(
        answered + struck >= calls,
        "only {answered} calls of {calls} are matched"
    );
    Ok(())
}

/// Frames of the golden capture, damaged and cut, and bytes that never were a frame.
fn hostile(lab: &Lab) -> Result<()> {
    const ROUNDS: u64 = 20;
    let frames = frames(&golden_file(lab))?;
    let mut random = Random::new(SEED);
    let mut file = pcap();
    let mut short = Vec::new();
    for round in 0..ROUNDS {
        for frame in &frames {
            let mut bytes = frame.bytes.clone();
            let sealed = round % 2 == 0 && datagram(&bytes).is_some();
            let mut below = |end: usize| random.below(end.max(1) as u64) as usize;
            match below(4) {
                0 => bytes.truncate(15 + below(bytes.len() - 15)),
                1 => {
                    // Small numbers are likely to mean something.
                    let at = 14 + below(bytes.len().min(260) - 14);
                    bytes[at] = [0, 1, 2, 3, 7, 8, 128, 255][below(8)];
                }
                2 => {
                    let start = 14 + below(bytes.len() - 14);
                    bytes[start..]
                        .iter_mut()
                        .for_each(|byte| *byte = below(256) as u8);
                }
                _ => {
                    for _ in 0..3 {
                        let at = 54 + below(bytes.len().saturating_sub(54).min(200));
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = below(256) as u8;
                        }
                    }
                }
            }
            // Else hardly any would be read further than the check.
            if sealed && datagram(&bytes).is_some() {
                check::write(&mut bytes);
            }
            let there = match below(8) {
                0 => 15 + below(bytes.len() - 14),
                _ => bytes.len(),
            };
            short.push(there == bytes.len() && bytes.len() < 54);
            record(&mut file, &bytes[..there], bytes.len());
        }
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostile.pcap");
    std::fs::write(&path, file)?;
    let seen = read(lab, &path, &[])?;
    ensure!(
        seen.len() == short.len(),
        "{} of {} frames",
        seen.len(),
        short.len()
    );
    sound(&seen)?;
    for (frame, short) in seen.iter().zip(short) {
        let messages = frame.all("_ws.expert.message");
        let malformed = messages
            .iter()
            .any(|text| text.contains("Malformed Packet"));
        let bad = frame
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        ensure!(
            !malformed && (bad || !short),
            "frame {}: {messages:?}",
            frame.number()
        );
    }
    Ok(())
}

/// The head of a file in the old format, which says in each frame how long it was.
fn pcap() -> Vec<u8> {
    let words = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn record(file: &mut Vec<u8>, bytes: &[u8], length: usize) {
    let words = [0, 0, bytes.len() as u32, length as u32];
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(bytes);
}
