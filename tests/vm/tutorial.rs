//! The tutorial, word by word: its programs are those of an image here, its cluster files are
//! written as it says, and its commands run and print what it shows.
//!
//! Only the name differs: what a reader calls `mine` is `tally` here, so that every build has it.

use crate::Test;
use crate::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const THEIRS: &str = "mine";
const OURS: &str = "tally";

pub fn tests() -> Vec<Test> {
    vec![Test::new("tutorial::every_command_runs", |lab| {
        let text = std::fs::read_to_string(lab.root().join("docs/tutorial.md"))?;
        follow(lab, &text)
    })]
}

/// Does what the text says, from its top to its end.
fn follow(lab: &Lab, text: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut files = BTreeMap::new();
    let mut commands = 0;
    for (before, language, block) in blocks(text) {
        let block = block.replace(THEIRS, OURS);
        if language == "console" {
            commands += 1;
            run(folder.path(), &block).with_context(|| block.clone())?;
            continue;
        }
        let file = before.rsplit('`').nth(1);
        let file = file
            .context("a block of which file?")?
            .replace(THEIRS, OURS);
        let content: &mut String = files.entry(file.clone()).or_default();
        if !content.is_empty() {
            ensure!(before.contains("Append"), "`{file}` is there already");
            content.push('\n');
        }
        content.push_str(&block);
        if file.starts_with("images/") {
            let built = std::fs::read_to_string(lab.root().join(&file))?;
            ensure!(*content == built, "{file} is not what the tutorial says");
        } else {
            std::fs::write(folder.path().join(&file), content)?;
        }
    }
    ensure!((files.len(), commands) == (4, 5), "something was not seen");
    Ok(())
}

/// The fenced blocks: the line of text before, the language, the content.
fn blocks(text: &str) -> Vec<(&str, &str, String)> {
    let mut found = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            found.push((before, language, block.map(|l| format!("{l}\n")).collect()));
        } else if !line.is_empty() {
            before = line;
        }
    }
    found
}

/// A command that passes, and prints these lines.
fn run(folder: &Path, block: &str) -> Result<()> {
    let mut lines = block.lines();
    let command = lines
        .next()
        .and_then(|line| line.strip_prefix("$ cargo norma "));
    let words = command.context("no command of ours")?.split(' ');
    let output = Command::new(crate::runner::program()?)
        .current_dir(folder)
        .args(words)
        .output()?;
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success(), "{}:\n{said}", output.status);
    for line in lines {
        ensure!(said.contains(line), "nothing says `{line}`:\n{said}");
    }
    Ok(())
}
