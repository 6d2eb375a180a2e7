//! The specification and the code say the same.
//!
//! Every ```` ```hex ```` block of `docs/wire.md` is a frame, one field to a line. This test
//! decodes its bytes, writes the frame out again from the decoded fields, and renders it: both
//! must be what the document shows, and a frame of a session must have the check without which any
//! node drops it. `NORMA_BLESS=1 cargo test -p norma-wire` rewrites the fields' names and values
//! beside the bytes, and of the bytes the checks alone. The rules (W-…) that sources name must
//! exist there, and sources must name them all; the table of
//! constants is compared with them too.

mod check;
mod constants;
mod frame;
mod rules;

use norma_wire::layout::{BODY_AT, SESSION_AT};
use norma_wire::session::{self, Flags, Kind};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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
    let bless = std::env::var_os("NORMA_BLESS").is_some();
    let mut parts = document.split("```hex\n");
    let mut rewritten = parts.next().unwrap_or_default().to_owned();
    let mut examples = 0;
    for part in parts {
        let (block, rest) = part.split_once("```").expect("a block that ends");
        let mut frame = bytes(block);
        if bless {
            check::write(&mut frame);
        }
        write!(rewritten, "```hex\n{}```{rest}", frame::render(&frame)).unwrap();
        examples += 1;
    }
    assert!(examples >= 25, "only {examples} example frames were found");
    if bless {
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

/// The frames that the document shows.
fn examples() -> Vec<Vec<u8>> {
    let document = document();
    let blocks = document.split("```hex\n").skip(1);
    blocks
        .map(|rest| bytes(rest.split("```").next().unwrap_or_default()))
        .collect()
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn every_kind_of_frame_has_an_example() {
    let examples = examples();
    let types: BTreeSet<u8> = examples.iter().map(|frame| frame[15]).collect();
    assert!(types.into_iter().eq(1..=6), "types of FLIP");
    let frames: Vec<_> = examples.iter().filter(|f| check::is_session(f)).collect();
    let headers: Vec<_> = frames
        .iter()
        .map(|frame| session::Header::new_checked(&frame[SESSION_AT..]).unwrap())
        .collect();
    let kinds: BTreeSet<u8> = headers.iter().map(|header| header.kind() as u8).collect();
    assert!(kinds.into_iter().eq(1..=8), "kinds of a session's frames");
    let flags = headers.iter().map(|header| header.flags());
    let flags = flags.fold(Flags::empty(), |all, flags| all | flags);
    // Of these two nothing but the bit would be seen.
    assert_eq!(flags | Flags::BIG_ENDIAN | Flags::FRESH, Flags::all());
    let of = |kind: Kind| headers.iter().filter(move |header| header.kind() == kind);
    let operations: BTreeSet<_> = of(Kind::Control)
        .map(|header| header.destination())
        .collect();
    assert!(operations.into_iter().eq(1..=7), "operations of CONTROL");
    let to_node = of(Kind::Message).filter(|header| header.destination() == 1);
    let asked: BTreeSet<_> = to_node.map(|header| header.id()).collect();
    assert!(asked.into_iter().eq([1, 2, 3, 4, 5, 16]), "W-90");
    let news = of(Kind::Message).filter(|header| header.flags().contains(Flags::NOTIFICATION));
    let news: BTreeSet<_> = news.map(|header| header.id()).collect();
    assert!(news.into_iter().eq(1..=7), "W-130");
    let long =
        |frame: &&&Vec<u8>| frame[SESSION_AT + 1] == Kind::Ack as u8 && frame.len() > BODY_AT;
    assert!(frames.iter().any(|frame| long(&frame)), "W-80");
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_example_of_the_check_is_that_of_its_frames() {
    let document = document();
    let rule = document.lines().find(|line| line.starts_with("**W-64**"));
    let rule = rule.expect("the rule");
    for title in ["\nAn ACK:\n", "\nIts reply:\n"] {
        let (_, rest) = document.split_once(title).expect("an example of that name");
        let (_, block) = rest.split_once("```hex\n").unwrap();
        let frame = bytes(block.split("```").next().unwrap());
        for value in check::values(&frame) {
            assert!(rule.contains(&value), "W-64 does not say {value}");
        }
    }
}
