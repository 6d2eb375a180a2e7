//! What `docs/lineage.md` says is tested, is.
//!
//! Owns: reading the page's tables, and looking each test up in the file that is named with it.

use qemu_runner::workspace::Workspace;
use std::fs;

/// The words in backquotes, in order.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The file and the name of every test that the page names: a test belongs to the file before it.
fn named(page: &str) -> Vec<(&str, &str)> {
    let mut tests = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let Some(column) = row.trim_end_matches(" |").rsplit(" | ").next() else {
            continue;
        };
        let mut file = None;
        for word in quoted(column) {
            if word.ends_with(".rs") {
                file = Some(word);
            } else if let Some(file) = file {
                tests.push((file, word));
            }
        }
    }
    tests
}

#[test]
fn every_complaint_has_its_test() {
    let root = Workspace::find().unwrap().root;
    let page = fs::read_to_string(root.join("docs/lineage.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).count();
    let tests = named(&page);
    // Three tables, with two rows at the head of each.
    assert!(tests.len() >= rows - 6, "a complaint is without a test");
    for (file, test) in tests {
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        let function = source.contains(&format!("fn {test}("));
        let listed = source.contains(&format!("\"{test}\""));
        assert!(function || listed, "{file} has no test {test}");
    }
}
