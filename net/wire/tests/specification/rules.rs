//! The rules (W-…) that sources and tests name exist in the document, each once; and each of the
//! document's is named where it is implemented or tested.

use crate::{document, root};
use std::collections::BTreeSet;
use std::path::Path;

/// Where sources are.
const FOLDERS: [&str; 8] = [
    "boot", "drivers", "examples", "images", "kernel", "net", "netmsgd", "tests",
];

/// Every Rust source under `folder`, but for this test's own, which name rules of all kinds.
fn each_source(folder: &Path, take: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("specification") {
            continue;
        }
        if path.is_dir() {
            each_source(&path, take);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            take(&path, &std::fs::read_to_string(&path).unwrap());
        }
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
fn every_rule_exists_once_and_is_named_by_a_source() {
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
    let mut named = BTreeSet::new();
    for folder in FOLDERS {
        each_source(&root().join(folder), &mut |path, source| {
            for rule in rules(source) {
                assert!(defined.contains(&rule), "{path:?}: no rule W-{rule}");
                named.insert(rule);
            }
        });
    }
    let is_unnamed = |rule: &&u32| !named.contains(rule);
    let unnamed: Vec<_> = defined.iter().filter(is_unnamed).collect();
    assert!(unnamed.is_empty(), "no source names {unnamed:?}");
}
