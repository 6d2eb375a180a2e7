//! Captures and what reads them: what can be checked without Wireshark.
//!
//! Owns the golden capture, `tests/data/golden.pcapng`, which `vm/captures` reads by real
//! tshark: it has each kind of frame and is written by `story`, with the example frames of
//! docs/wire.md behind it. `NORMA_BLESS=1 cargo test -p norma-tests --test captures` writes it
//! anew. And the comparison of the dissector's names with the code.
#![forbid(unsafe_code)]

mod check;
mod names;
mod story;
mod tape;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The example frames of the specification.
fn examples() -> Vec<Vec<u8>> {
    let document = std::fs::read_to_string(root().join("docs/wire.md")).unwrap();
    let blocks = document.split("```hex\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let bytes = |block: &str| {
        let words = block
            .lines()
            .flat_map(|line| line.get(..48).unwrap_or(line).split_whitespace());
        words
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    };
    blocks.map(bytes).collect()
}

#[test]
fn the_golden_capture_is_what_the_story_says() {
    let path = root().join("tests/data/golden.pcapng");
    let examples = examples();
    assert!(examples.len() >= 20, "only {} examples", examples.len());
    let told = story::tell(&examples).pcapng();
    if std::env::var_os("NORMA_BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(
        golden == told,
        "{} is another one (NORMA_BLESS=1 writes it anew)",
        path.display()
    );
}
