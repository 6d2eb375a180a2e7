//! What the commands print: tables for people, JSON for programs.
//!
//! The names in the JSON are kept, and new ones may come (docs/inspection.md).

mod memory;
mod ports;
mod rights;
mod sessions;
mod threads;
mod top;

pub use memory::{memory_json, memory_lines, metrics_lines};
pub use ports::{ports_json, ports_lines};
pub use rights::{rights_json, rights_lines};
pub use sessions::{sessions_json, sessions_lines};
pub use threads::{ps_lines, short, threads_json, threads_lines};
pub use top::top;

use super::Model;
use super::table::{TextTable, count, time};
use crate::running::Cluster;
use serde_json::{Value, json};

/// A node, and behind it what was asked for.
pub fn with_node(cluster: &str, model: &Model, asked: Value) -> Value {
    let node = &model.node;
    let mut all = json!({
        "cluster": cluster,
        "node": {
            "name": node.name.as_str(),
            "platform": node.platform.as_str(),
            "address": format!("{:016x}", node.address),
            "incarnation": format!("{:016x}", node.incarnation),
            "uptime_ns": node.uptime,
            "threads": node.threads,
            "ports": node.ports,
            "spaces": node.spaces,
            "sessions": node.sessions,
        },
    });
    if let (Value::Object(all), Value::Object(asked)) = (&mut all, asked) {
        all.extend(asked);
    }
    all
}

/// The line above a table.
fn headline(model: &Model) -> String {
    let node = &model.node;
    format!(
        "node {}, up {}: {}, {}, {}",
        crate::ui::harmless(&node.name),
        time(node.uptime),
        counted(node.threads, "thread"),
        counted(node.ports, "port"),
        counted(node.sessions, "session"),
    )
}

fn counted(number: u64, what: &str) -> String {
    let more = if number == 1 { "" } else { "s" };
    format!("{} {what}{more}", count(number))
}

/// The clusters that run.
pub fn clusters_json(clusters: &[Cluster]) -> Value {
    let clusters = clusters.iter().map(|cluster| {
        let nodes = cluster
            .nodes
            .iter()
            .map(|node| json!({ "name": node.name, "image": node.image, "sockets": node.sockets }));
        json!({
            "name": cluster.name,
            "process": cluster.process,
            "command": cluster.command,
            "nodes": nodes.collect::<Vec<_>>(),
        })
    });
    json!({ "clusters": clusters.collect::<Vec<_>>() })
}

/// The same for people.
pub fn clusters_lines(clusters: &[Cluster]) -> Vec<String> {
    if clusters.is_empty() {
        return vec!["no cluster is running: `cargo norma up CLUSTER.toml` starts one".into()];
    }
    let mut table = TextTable::new(&["CLUSTER", "NODE", ">RUNNER", "COMMAND", "IMAGE"]);
    for cluster in clusters {
        for node in &cluster.nodes {
            table.row([
                cluster.name.clone(),
                node.name.clone(),
                cluster.process.to_string(),
                cluster.command.clone(),
                node.image.display().to_string(),
            ]);
        }
    }
    table.lines()
}
