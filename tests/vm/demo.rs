//! The demo, as a person runs it.

use crate::Test;
use crate::lab::Lab;
use crate::runner::program;
use anyhow::{Result, ensure};
use std::process::{Child, Command, Output, Stdio};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("demo::microvm", |_| answers(&["--machine", "microvm"])),
        Test::new("demo::q35", |_| answers(&["--machine", "q35"])),
        Test::new("demo::two_at_once", two_at_once),
        Test::new("demo::a_file_of_its_own", own_file),
        Test::new("demo::no_file", no_file),
    ]
}

fn demo(arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(program()?);
    command
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command.spawn()?)
}

fn check(output: &Output) -> Result<()> {
    let (table, progress) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "ended with {}:\n{table}\n{progress}",
        output.status
    );
    ensure!(table.matches("as the host counts").count() == 3, "{table}");
    ensure!(table.contains("arrived"), "{table}");
    Ok(())
}

fn answers(arguments: &[&str]) -> Result<()> {
    check(&demo(arguments)?.wait_with_output()?)
}

/// Two runs side by side do not disturb each other.
fn two_at_once(_: &Lab) -> Result<()> {
    let runs = [demo(&[])?, demo(&[])?];
    for run in runs {
        check(&run.wait_with_output()?)?;
    }
    Ok(())
}

/// Any bytes will do, and any number of them.
fn own_file(_: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for length in [1, 4096, 3_000_001] {
        let file = folder.path().join("a file");
        std::fs::write(
            &file,
            (0..length)
                .map(|i: u32| (i.wrapping_mul(i) >> 7) as u8)
                .collect::<Vec<_>>(),
        )?;
        let output = demo(&["--file", &file.to_string_lossy()])?.wait_with_output()?;
        check(&output)?;
    }
    Ok(())
}

fn no_file(_: &Lab) -> Result<()> {
    let output = demo(&["--file", "/nowhere/file"])?.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(2) && text.contains("cannot read /nowhere/file"),
        "{text}"
    );
    Ok(())
}
