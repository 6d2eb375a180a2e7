//! The specification and the code say the same.
//!
//! Every ```` ```hex ```` block of `docs/wire.md` is a frame, one field to a line. This test
//! decodes its bytes, writes the frame out again from the decoded fields, and renders it: both
//! must be what the document shows, and a frame of a session must have the check without which any
//! node drops it. `NORMA_BLESS=1 cargo test -p norma-wire` rewrites the fields' names and values
//! beside the bytes, and of the bytes the checks alone. The rules (W-…) that sources name must
//! exist there.

mod check;
mod frame;
mod rules;

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
