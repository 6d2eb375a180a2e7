//! The table of timers and constants says what the sources do.
//!
//! The constants are read from `limits.rs` as text: `pub const NAME: TYPE = VALUE;`, where the
//! value is a number, a duration, another constant, or a difference, product or shift of those.

use crate::{document, root};
use std::collections::{BTreeMap, BTreeSet};

/// A crate as the table calls it, and where it is.
const CRATES: [(&str, &str); 3] = [
    ("norma", "net/norma"),
    ("flip", "net/flip"),
    ("ipc", "kernel/ipc"),
];

/// Type and value of each constant, as they are written.
fn constants(folder: &str) -> BTreeMap<String, (String, String)> {
    let path = root().join(folder).join("src/limits.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let items = source.split("\npub const ").skip(1);
    let read = |item: &str| {
        let (name, rest) = item.split_once(": ")?;
        let (kind, rest) = rest.split_once(" = ")?;
        let (value, _) = rest.split_once(';')?;
        Some((name.to_owned(), (kind.to_owned(), value.to_owned())))
    };
    items.filter_map(read).collect()
}

/// The number, or the nanoseconds, that a value means.
fn value(all: &BTreeMap<String, (String, String)>, text: &str) -> Option<u64> {
    let both = |one: &str, other: &str| Some((value(all, one)?, value(all, other)?));
    if let Some((one, other)) = text.split_once(" << ") {
        return both(one, other).map(|(one, other)| one << other);
    } else if let Some((one, other)) = text.split_once(" - ") {
        return both(one, other).and_then(|(one, other)| one.checked_sub(other));
    } else if let Some((one, other)) = text.split_once(" * ") {
        return both(one, other).and_then(|(one, other)| one.checked_mul(other));
    }
    if let Some(duration) = text.strip_prefix("Duration::from_") {
        let (unit, number) = duration.strip_suffix(')')?.split_once('(')?;
        return Some(value(all, number)? * nanoseconds(unit)?);
    }
    match all.get(text) {
        Some((_, other)) => value(all, other),
        None => text.replace('_', "").parse().ok(),
    }
}

fn nanoseconds(unit: &str) -> Option<u64> {
    match unit {
        "secs" | "s" => Some(1_000_000_000),
        "millis" | "ms" => Some(1_000_000),
        "micros" | "µs" => Some(1_000),
        _ => None,
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn timers_and_constants_are_those_of_the_sources() {
    let document = document();
    let (_, table) = document.split_once("\n## 14. ").expect("the table");
    let sources = CRATES.map(|(name, folder)| (name, constants(folder)));
    let sources = BTreeMap::from(sources);
    let mut shown = BTreeSet::new();
    for row in table.lines().filter(|line| line.ends_with("` |")) {
        let mut cells = row.split(" | ");
        let said = cells.next().unwrap().trim_start_matches("| ");
        let (rules, constant) = (cells.nth(1).unwrap(), cells.next().unwrap());
        let constant = constant.trim_end_matches(" |").trim_matches('`');
        let (of, name) = constant.split_once("::").expect(constant);
        let all = &sources[of];
        let (_, text) = all.get(name).unwrap_or_else(|| panic!("no {constant}"));
        let is = value(all, text).unwrap_or_else(|| panic!("{constant} is {text}"));
        let (number, unit) = said.split_once(' ').expect(row);
        let number: u64 = number.parse().expect(row);
        let says = number * nanoseconds(unit).unwrap_or(1);
        assert_eq!(says, is, "{constant} is {text}, and not {said}");
        for rule in rules.split(", ") {
            let rule = format!("\n**{rule}** ");
            assert!(document.contains(&rule), "{constant}: no {rule}");
        }
        assert!(shown.insert(constant.to_owned()), "{constant} twice");
    }
    for of in ["norma", "flip"] {
        for (name, (kind, _)) in &sources[of] {
            let constant = format!("{of}::{name}");
            let there = kind != "Duration" || shown.contains(&constant);
            assert!(there, "the table is without {constant}");
        }
    }
    assert!(shown.len() >= 60, "only {} rows", shown.len());
}
