//! The command itself, as a person runs it: exit codes, and nothing left behind.
//!
//! Nodes that never end are hello images in a QEMU that is told not to start its processor
//! (`-S`).

use crate::Test;
use crate::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use qemu_runner::commands::test::environment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("runner::ctrl_c_ends_every_node", |lab| {
            leaves_nothing(lab, Signal::INT, Some(130))
        }),
        Test::new("runner::sigterm_ends_every_node", |lab| {
            leaves_nothing(lab, Signal::TERM, Some(130))
        }),
        Test::new("runner::its_own_death_ends_every_node", |lab| {
            leaves_nothing(lab, Signal::KILL, None)
        }),
        Test::new("runner::exit_code_of_success", |lab| {
            exits(lab, "hello", "", &[], 0, "a passed")
        }),
        Test::new("runner::exit_code_of_panic", |lab| {
            exits(lab, "selftest", "test=panic", &[], 101, "its last lines")
        }),
        Test::new("runner::exit_code_of_failure", |lab| {
            exits(lab, "selftest", "test=fail", &[], 1, "its command line")
        }),
        Test::new("runner::exit_code_of_time_out", time_out),
        Test::new("runner::exit_code_of_a_mistake", mistake),
        Test::new("runner::what_makes_no_sense_is_named", direct),
        Test::new("runner::example_two", |lab| example(lab, "two.toml")),
        Test::new("runner::example_three", |lab| example(lab, "three.toml")),
        Test::new("runner::example_routers", |lab| {
            example(lab, "routers.toml")
        }),
        Test::new("runner::example_upper", |lab| example(lab, "upper.toml")),
        Test::new("runner::example_echo", |lab| {
            says(lab, "echo", "a: is anybody there?")
        }),
        Test::new("runner::example_names", |lab| {
            says(lab, "names", "a: the shop is on node b")?;
            says(lab, "names", "a: the shop has closed")
        }),
        Test::new("runner::example_third", |lab| {
            says(lab, "third", "a: done by node c")
        }),
        Test::new("runner::example_large", |lab| {
            says(lab, "large", "a: 16777216 bytes were summed")
        }),
        Test::new("runner::example_death", |lab| {
            says(lab, "death", "a: told: node b died")
        }),
        Test::new("runner::example_migration", |lab| {
            says(lab, "migration", "a: 999 by node c")
        }),
        Test::new("runner::example_mishaps", mishaps),
        Test::new("runner::example_tour", |lab| example(lab, "tour.toml")),
        Test::new("runner::dry_run_prints_and_starts_nothing", dry_run),
        Test::new("runner::bench_net", |lab| {
            bench(
                lab,
                "net",
                &[
                    "floor",
                    "remote-null",
                    "stream-1m",
                    "raw-stream",
                    "migrate-100",
                    "ports-1",
                    "ports-1000",
                ],
            )
        }),
        Test::new("runner::bench_ipc", |lab| {
            let kinds = [
                "ipc-null",
                "ipc-make-send-once",
                "ipc-move-receive",
                "ipc-inline-128",
                "ipc-moved-64k",
                "ipc-touched-4k",
                "ipc-set-10",
                "ipc-names-100",
                "ipc-clients-10",
            ];
            bench(lab, "ipc", &kinds)
        }),
        Test::new("runner::bench_captured", captured),
        Test::new("runner::bench_compare", compare),
    ]
}

/// The program under test: the one that runs these tests, or else the one beside them.
pub fn program() -> Result<PathBuf> {
    let program = match std::env::var_os(environment::PROGRAM) {
        Some(given) => PathBuf::from(given),
        None => std::env::current_exe()?
            .ancestors()
            .nth(2)
            .context("no target folder")?
            .join("norma"),
    };
    ensure!(
        program.is_file(),
        "there is no {}; run `cargo norma test`",
        program.display()
    );
    Ok(program)
}

fn norma() -> Result<Command> {
    Ok(Command::new(program()?))
}

/// A folder with a cluster file of one node for each entry.
fn cluster(lab: &Lab, nodes: &[(&str, &str, &str, bool)]) -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let mut text = String::from("name = \"test\"\n");
    for (name, image, argument, stopped) in nodes {
        let arguments = if argument.is_empty() {
            String::new()
        } else {
            format!("\"{argument}\"")
        };
        let qemu = if *stopped { "\"-S\"" } else { "" };
        text += &format!(
            "[[node]]\nname = \"{name}\"\nimage = \"{}\"\narguments = [{arguments}]\nqemu = [{qemu}]\n",
            lab.image(image)?.display()
        );
    }
    let file = folder.path().join("cluster.toml");
    std::fs::write(&file, text)?;
    Ok((folder, file))
}

fn up(file: &Path, more: &[&str]) -> Result<Output> {
    Ok(norma()?.arg("up").arg(file).args(more).output()?)
}

fn exits(
    lab: &Lab,
    image: &str,
    argument: &str,
    more: &[&str],
    code: i32,
    word: &str,
) -> Result<()> {
    let (_folder, file) = cluster(lab, &[("a", image, argument, false)])?;
    check(&up(&file, more)?, code, word)
}

/// The examples run as their comments say.
fn example(lab: &Lab, file: &str) -> Result<()> {
    let file = lab.root().join("examples").join(file);
    check(&up(&file, &["--timeout", "60"])?, 0, "node a passed")
}

/// A small program, started by the cluster file of its name, comes to its end and says so.
fn says(lab: &Lab, name: &str, line: &str) -> Result<()> {
    let file = lab.root().join("examples").join(format!("{name}.toml"));
    let output = up(&file, &["--timeout", "60"])?;
    check(&output, 0, "node a passed")?;
    check(&output, 0, line)
}

/// A cluster whose nodes crash, are started anew and are slow, all by rules of its file.
fn mishaps(lab: &Lab) -> Result<()> {
    let file = lab.root().join("examples/mishaps.toml");
    let output = up(&file, &["--timeout", "60"])?;
    check(&output, 0, "node a passed")?;
    check(&output, 0, "node c crashed, as a fault rule says")?;
    check(&output, 0, "fault: node b is started anew")?;
    check(&output, 0, "a: cut off")
}

fn check(output: &Output, code: i32, word: &str) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(code),
        "ended with {}, expected {code}:\n{text}",
        output.status
    );
    ensure!(text.contains(word), "nothing says `{word}`:\n{text}");
    ensure!(output.stdout.is_empty(), "stdout is for data only");
    Ok(())
}

/// Benchmarks run and say what they measured; how much that is, is not asked here.
fn bench(lab: &Lab, suite: &str, names: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bench.json");
    let output = norma()?
        .current_dir(lab.root())
        .args(["bench", suite, "--quick", "--quiet", "--only"])
        .arg(names.join(","))
        .arg("--json")
        .arg(&file)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}:\n{text}", output.status);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let results = report["results"].as_array().context("no results")?;
    let found: Vec<_> = results.iter().map(|row| row["name"].as_str()).collect();
    let wanted: Vec<_> = names.iter().map(|name| Some(*name)).collect();
    ensure!(found == wanted, "measured {found:?}");
    for row in results {
        let positive = |value: &serde_json::Value| value.as_f64().is_some_and(|n| n > 0.0);
        ensure!(
            positive(&row["p50"]) && positive(&row["counts"]["instructions"]),
            "{row}"
        );
    }
    Ok(())
}

/// A benchmark whose frames are captured says so, and the capture has them, on its link.
fn captured(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [json, pcap] = ["bench.json", "bench.pcapng"].map(|name| folder.path().join(name));
    let output = norma()?
        .current_dir(lab.root())
        .args(["bench", "--quick", "--quiet", "--only", "floor", "--pcap"])
        .arg(&pcap)
        .arg("--json")
        .arg(&json)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}:\n{text}", output.status);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    ensure!(report["captured"] == true, "{report}");
    let (mut links, mut frames) = (Vec::new(), 0);
    let mut reader = PcapNgReader::new(File::open(&pcap)?)?;
    while let Some(block) = reader.next_block() {
        match block? {
            Block::InterfaceDescription(link) => {
                links.extend(link.options.iter().filter_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                }));
            }
            Block::EnhancedPacket(_) => frames += 1,
            _ => {}
        }
    }
    let named = links.iter().any(|link| link.ends_with("b-a"));
    ensure!(named && frames > 0, "{frames} frames on {links:?}");
    Ok(())
}

/// A comparison with one rival, end to end: every figure is there, and the files agree.
fn compare(lab: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [json, markdown] = ["c.json", "c.md"].map(|name| folder.path().join(name));
    let output = norma()?
        .current_dir(lab.root())
        .args([
            "bench",
            "compare",
            "--quick",
            "--quiet",
            "--only",
            "linux-raw",
        ])
        .arg("--json")
        .arg(&json)
        .arg("--markdown")
        .arg(&markdown)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}:\n{text}", output.status);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let figures = report["figures"].as_array().context("no figures")?;
    let null = |system: &str| {
        let mut all = figures.iter();
        all.find(|f| f["system"] == system && f["operation"] == "null")
    };
    for system in ["floor", "norma", "linux-raw"] {
        let figure = null(system).context(system)?;
        for part in [
            "/value",
            "/p999",
            "/ratio_to_norma/value",
            "/counts/instructions",
        ] {
            let value = figure.pointer(part).and_then(serde_json::Value::as_f64);
            ensure!(value > Some(0.0), "{part} of {figure}");
        }
    }
    // Linux enters and leaves its kernel twice on each side; norma has no other side to enter.
    let calls = |system| null(system).and_then(|f| f.pointer("/counts/system_calls")?.as_f64());
    ensure!(calls("linux-raw") >= Some(4.0) && calls("norma") == Some(0.0));
    let starts = report["starts"].as_array().map(Vec::len);
    ensure!(starts == Some(2), "{}", report["starts"]);
    let text = std::fs::read_to_string(&markdown)?;
    ensure!(
        text == String::from_utf8(output.stdout)?
            .trim_end_matches('\n')
            .to_owned()
            + "\n",
        "{text}"
    );
    Ok(())
}

fn time_out(lab: &Lab) -> Result<()> {
    let (_folder, file) = cluster(lab, &[("a", "hello", "", true)])?;
    check(&up(&file, &["--timeout", "1"])?, 124, "time-out")
}

fn mistake(_: &Lab) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cluster.toml");
    std::fs::write(&file, "[[node]]\nname = \"a\"\nimage = \"x\"\nmemory = 1\n")?;
    check(
        &up(&file, &[])?,
        2,
        "cluster.toml:4: `memory` is 1; expected 8 to 65536 (MiB)",
    )
}

/// What `--direct` would leave undone is an error, not passed over.
fn direct(lab: &Lab) -> Result<()> {
    let (folder, file) = cluster(lab, &[("a", "hello", "", false), ("b", "hello", "", false)])?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(
        &file,
        text + "[[fault]]\ndo = \"drop\"\nprobability = 0.5\n",
    )?;
    let said = "leave out one of the two";
    check(&up(&file, &["--direct"])?, 2, said)?;
    let text = "[[node]]\nname = \"a\"\n\nimage = \"hallo\"\n";
    std::fs::write(folder.path().join("typed.toml"), text)?;
    let said = "typed.toml:4: there is no image `hallo`; expected one of: ";
    let output = up(&folder.path().join("typed.toml"), &[])?;
    check(&output, 2, said)?;
    check(&output, 2, "did you mean `hello`?")
}

fn dry_run(lab: &Lab) -> Result<()> {
    let (_folder, file) = cluster(lab, &[("a", "hello", "", false), ("b", "hello", "", false)])?;
    let output = up(&file, &["--dry-run"])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success() && text.lines().count() == 2,
        "{text}"
    );
    ensure!(
        text.lines()
            .all(|line| line.starts_with("qemu-system-x86_64 ")),
        "{text}"
    );
    Ok(())
}

/// Signals a runner with two nodes that never end, and waits for all three to be gone.
fn leaves_nothing(lab: &Lab, signal: Signal, code: Option<i32>) -> Result<()> {
    let (_folder, file) = cluster(lab, &[("a", "hello", "", true), ("b", "hello", "", true)])?;
    let mut runner = norma()?
        .arg("up")
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()?;
    let (nodes, mut said) = nodes_of(&mut runner)?;
    ensure!(
        nodes.len() == 2,
        "two nodes were to be started, not {}",
        nodes.len()
    );
    kill_process(Pid::from_child(&runner), signal)?;
    let status = runner.wait()?;
    ensure!(status.code() == code, "the runner ended with {status}");
    // That its nodes were killed is what was asked for.
    let mut text = String::new();
    said.read_to_string(&mut text)?;
    ensure!(
        !text.contains("error") && !text.contains("command line"),
        "{text}"
    );
    for node in nodes {
        ensure!(ends_soon(&node)?, "a QEMU has outlived its runner");
    }
    Ok(())
}

/// Handles of the processes that a runner says it has started, and what it says next.
fn nodes_of(runner: &mut Child) -> Result<(Vec<OwnedFd>, BufReader<ChildStderr>)> {
    let stderr = runner.stderr.take().context("no stderr")?;
    let mut said = BufReader::new(stderr);
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 && !line.contains("started") {
        line.clear();
    }
    let numbers = line.split("process ").skip(1);
    let pids = numbers.filter_map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    let nodes = pids
        .filter_map(Pid::from_raw)
        .map(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
    Ok((nodes.collect::<Result<_>>()?, said))
}

/// Whether a process ends within a few seconds.
fn ends_soon(process: &OwnedFd) -> Result<bool> {
    let patience = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    Ok(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience))? == 1)
}
