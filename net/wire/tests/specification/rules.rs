//! The rules (W-…) that sources name exist in the document, each once.

use crate::{document, root};

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
