//! `cargo norma ps` and its like, as a person runs them beside a running cluster.

use crate::Test;
use crate::lab::Lab;
use crate::up::Up;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("inspect::a_running_cluster_says_what_it_holds", holds),
        Test::new("inspect::a_right_leaked_by_each_call_is_seen", leak),
        Test::new("inspect::who_does_not_answer_can_be_looked_into", mute),
    ]
}

fn list<'a>(all: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    all[name].as_array().with_context(|| format!("no `{name}`"))
}

fn find<'a>(all: &'a Value, name: &str, key: &str, value: &str) -> Result<&'a Value> {
    let mut rows = list(all, name)?.iter();
    rows.find(|row| row[key] == value)
        .with_context(|| format!("no {name} with {key} {value}: {all:#}"))
}

/// Of a node that hangs the commands say how to see where it stands.
fn mute(lab: &Lab) -> Result<()> {
    let up = Up::new(
        lab,
        &[("b", "selftest", "[\"test=hang\"]")],
        &["b: hanging"],
    )?;
    let (code, _, said) = up.norma(&["ps", "b"])?;
    ensure!(code == Some(124), "ended with {code:?}: {said}");
    for words in ["node b ", "`cargo norma gdb b`", "--timeout"] {
        ensure!(said.contains(words), "no `{words}`: {said}");
    }
    Ok(())
}

fn holds(lab: &Lab) -> Result<()> {
    let up = Up::new(lab, &[("b", "demo", "[\"role=server\"]")], &["b: serving"])?;
    let clusters = up.json(&["ps"])?;
    ensure!(
        clusters["clusters"][0]["nodes"][0]["name"] == "b",
        "{clusters}"
    );

    let threads = up.json(&["threads", "b"])?;
    ensure!(
        threads["node"]["name"] == "b" && threads["cluster"] == "test",
        "{threads}"
    );
    // The one that answers this very question is the one that runs.
    ensure!(
        find(&threads, "threads", "state", "running")?["name"] == "node",
        "{threads}"
    );
    let digest = find(&threads, "threads", "name", "digest")?;
    ensure!(
        digest["waits"]["what"] == "receive" && digest["state"] == "blocked",
        "{digest}"
    );
    ensure!(digest["stack_bytes"] == 65536, "{digest}");
    let main = find(&threads, "threads", "name", "main")?;
    ensure!(main["waits"]["what"] == "sleep", "{main}");
    ensure!(main["waits"]["patience_ns"].as_u64() > Some(0), "{main}");

    let ports = up.json(&["ports", "test/b"])?;
    let port = find(&ports, "ports", "name", "digest")?;
    ensure!(port["port"] == digest["waits"]["port"], "{port}");
    ensure!(port["receiving_threads"][0] == digest["number"], "{port}");
    ensure!(
        port["limit"] == 16 && port["queued"] == 0 && port["received"] == 0,
        "{port}"
    );
    let mut all = list(&ports, "ports")?.iter();
    let host = all.find(|row| row["special_port"] == 2);
    let host = host.context("no host port")?;
    // This process asks by a right to it.
    let visitors = host["senders"]["nodes"].as_object().context("no senders")?;
    ensure!(
        visitors.keys().any(|name| name.starts_with("visitor-")),
        "{host}"
    );

    let sessions = up.json(&["sessions", "b"])?;
    let all = list(&sessions, "sessions")?;
    let own = all
        .iter()
        .find(|row| row["exports"] == 1 && row["round_trip_ns"].is_u64());
    let own = own.with_context(|| format!("no session of ours: {sessions:#}"))?;
    ensure!(
        own["state"] == "established" && own["credit"].as_u64() > Some(0),
        "{own}"
    );
    ensure!(
        own["window"].as_u64() > Some(0) && own["loss"] == 0.0,
        "{own}"
    );

    let memory = up.json(&["memory", "b"])?["memory"].clone();
    let bytes = |name: &str| memory[name].as_u64().unwrap_or(0);
    ensure!(
        bytes("total_bytes") == bytes("free_bytes") + bytes("used_bytes"),
        "{memory}"
    );
    // Of 64 MiB the kernel gives out all but the image and its tables.
    ensure!(
        (60 << 20..64 << 20).contains(&bytes("total_bytes")),
        "{memory}"
    );

    let metrics = up.text(&["metrics", "b"])?;
    ensure!(metrics.ends_with("# EOF\n"), "{metrics}");
    for line in [
        "norma_flip_frames_dropped_total{node=\"b\",reason=\"not_here\"} ",
        "norma_session_frames_dropped_total{node=\"b\",reason=\"changed\"} 0",
        "norma_threads{node=\"b\"} 5",
    ] {
        ensure!(
            metrics.lines().any(|found| found.starts_with(line)),
            "no {line}:\n{metrics}"
        );
    }

    let top = up.text(&["top", "b", "--count", "2", "--interval", "0.2", "--json"])?;
    let looks: Vec<Value> = top
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(looks.len() == 2, "{top}");
    // All that goes on is this command's questions at the host port.
    ensure!(
        looks[1]["ports"][0]["messages_per_s"].as_f64() > Some(1.0),
        "{top}"
    );
    let shown = up.text(&["top", "b", "--count", "1", "--interval", "0.2"])?;
    ensure!(
        shown.contains("(host port)") && shown.contains("PEER") && shown.contains("WAITS FOR"),
        "{shown}"
    );

    let (code, _, said) = up.norma(&["ps", "c"])?;
    ensure!(
        code == Some(2) && said.contains("there are: test/b"),
        "{said}"
    );
    Ok(())
}

/// A service that keeps a right of each call, beside one that does not: which it is, and for whom,
/// is seen without knowing the program.
fn leak(lab: &Lab) -> Result<()> {
    let nodes = [
        ("b", "nettest", "[\"test=serve\", \"leak=1\"]"),
        ("a", "nettest", "[\"test=leak\"]"),
    ];
    let up = Up::new(lab, &nodes, &["a: called"])?;
    // In short: one line stands out, and one thread. Nobody calls any more, so nothing grows.
    let rights = up.text(&["rights", "b", "--interval", "0.1"])?;
    // But not the right by which this very question was asked.
    ensure!(!rights.contains("visitor-"), "{rights}");
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = words(rights.lines().nth(2).unwrap_or_default());
    ensure!(
        first == ["image", "send", "node", "a", "40", "40", "0"],
        "{rights}"
    );
    let leaky = rights
        .lines()
        .map(words)
        .find(|words| words.get(1).is_some_and(|name| name == "leaky"));
    ensure!(
        leaky.is_some_and(|words| words[2..] == ["40", "0", "40", "0"]),
        "{rights}"
    );
    let rights = up.json(&["rights", "b", "--interval", "0"])?;
    let tidy = find(&rights, "threads", "name", "tidy")?;
    ensure!(
        tidy["rights_taken"] == 40
            && tidy["rights_kept"] == 0
            && tidy["rights_kept_per_s"].is_null(),
        "{rights}"
    );
    // The ports to which they lead are stand-ins for ports of `a`.
    let kept = list(&rights, "names")?
        .iter()
        .filter(|row| row["of"] == "node a");
    ensure!(
        kept.clone()
            .all(|row| row["kind"] == "send" && row["sends"] == 1),
        "{rights}"
    );
    let kept: Vec<_> = kept.map(|row| row["port"].clone()).collect();
    ensure!(kept.len() == 40, "{} rights of `a`", kept.len());
    let ports = up.json(&["ports", "b"])?;
    let of_a = list(&ports, "ports")?
        .iter()
        .filter(|row| row["node"] == "a");
    let of_a: Vec<_> = of_a.collect();
    ensure!(
        of_a.len() == 40 && of_a.iter().all(|row| kept.contains(&row["port"])),
        "{ports}"
    );
    // Both services were called as often, and on the other side one sees to whom the rights went.
    let received = |name: &str| {
        Ok::<_, anyhow::Error>(find(&ports, "ports", "name", name)?["received"].clone())
    };
    ensure!(
        received("leaky")? == 40 && received("tidy")? == 40,
        "{ports}"
    );
    let ports = up.json(&["ports", "a", "--peers"])?;
    let held = list(&ports, "ports")?.iter();
    let held = held.filter(|row| row["senders"]["held_nodes"]["b"] == 1);
    ensure!(held.count() == 40, "{ports}");
    let given = list(&ports, "ports")?.iter();
    let given = given.filter(|row| row["senders"]["nodes"]["b"] == 1);
    ensure!(given.count() == 40, "{ports}");
    Ok(())
}
