//! Whether a cluster file makes sense.

use super::file::{ClusterFile, NodeEntry};
use super::is_path;
use crate::limits::{MEMORY_MIB, MIN_MTU, NETWORKS, NODE_NETWORKS, NODES};
use crate::similar;
use norma_faults::Faults;
use std::path::Path;
use toml::Spanned;

/// What is wrong, and the byte of the file where.
#[derive(Debug)]
pub(super) struct Mistake {
    pub at: usize,
    pub text: String,
}

fn mistake<T, R>(at: &Spanned<T>, text: String) -> Result<R, Mistake> {
    Err(Mistake {
        at: at.span().start,
        text,
    })
}

/// Networks by name, each with the places of its nodes.
type Networks = Vec<(String, Vec<usize>)>;

/// Checks all of a file and returns its networks.
pub(super) fn check(file: &ClusterFile, folder: &Path) -> Result<Networks, Mistake> {
    check_count(file)?;
    check_word(&file.name, "the cluster's name", "a name")?;
    for (i, node) in file.node.iter().enumerate() {
        let node = node.get_ref();
        if file.node[..i]
            .iter()
            .any(|other| other.get_ref().name.get_ref() == node.name.get_ref())
        {
            return mistake(
                &node.name,
                format!(
                    "there is a node `{}` already; expected a name of its own",
                    node.name.get_ref()
                ),
            );
        }
        check_node(node, folder)?;
    }
    let networks = check_networks(file)?;
    check_faults(file)?;
    check_daemon(file, networks.len())?;
    Ok(networks)
}

/// It is on every network, as a node is on those that name it.
fn check_daemon(file: &ClusterFile, networks: usize) -> Result<(), Mistake> {
    let Some(daemon) = &file.netmsgd else {
        return Ok(());
    };
    check_name(&daemon.name, "node")?;
    let name = daemon.name.get_ref();
    if node_names(file).any(|node| node == name) {
        let text = format!("there is a node `{name}` already; expected a name of its own");
        return mistake(&daemon.name, text);
    }
    if networks > NODE_NETWORKS {
        let text = format!(
            "netmsgd is on every network, and there are {networks}; expected at most {NODE_NETWORKS}"
        );
        return mistake(&daemon.name, text);
    }
    Ok(())
}

fn check_count(file: &ClusterFile) -> Result<(), Mistake> {
    if file.node.is_empty() {
        return Err(Mistake {
            at: 0,
            text: "there is no node; expected at least one [[node]]".into(),
        });
    }
    if let Some(extra) = file.node.get(NODES) {
        return mistake(
            extra,
            format!(
                "there are {} nodes; expected at most {NODES}",
                file.node.len()
            ),
        );
    }
    if let Some(extra) = file.network.get(NETWORKS) {
        return mistake(
            extra,
            format!(
                "there are {} networks; expected at most {NETWORKS}",
                file.network.len()
            ),
        );
    }
    Ok(())
}

fn check_node(node: &NodeEntry, folder: &Path) -> Result<(), Mistake> {
    check_name(&node.name, "node")?;
    if node.name.get_ref() == "host" {
        return mistake(
            &node.name,
            "`host` is the name of the host itself; expected another name".into(),
        );
    }
    let memory = *node.memory.get_ref();
    if !u32::try_from(memory).is_ok_and(|mib| MEMORY_MIB.contains(&mib)) {
        let (least, most) = (MEMORY_MIB.start(), MEMORY_MIB.end());
        return mistake(
            &node.memory,
            format!("`memory` is {memory}; expected {least} to {most} (MiB)"),
        );
    }
    check_mtu(&node.mtu)?;
    let image = node.image.get_ref();
    if image.is_empty() || is_path(image) && !folder.join(image).is_file() {
        return mistake(
            &node.image,
            format!("there is no file `{image}`; expected the name of an image or the path of one"),
        );
    }
    if let Some(module) = node
        .module
        .as_ref()
        .filter(|module| !folder.join(module.get_ref()).is_file())
    {
        let text = format!(
            "there is no file `{}`; expected a path from the folder of this file",
            module.get_ref()
        );
        return mistake(module, text);
    }
    for word in &node.arguments {
        check_word(word, "the argument", "`key=value`")?;
    }
    Ok(())
}

/// What becomes a word of an image's command line.
fn check_word(word: &Spanned<String>, what: &str, expected: &str) -> Result<(), Mistake> {
    let text = word.get_ref();
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let text = format!("{what} {text:?} is not one word; expected {expected} without spaces");
        return mistake(word, text);
    }
    Ok(())
}

/// A device that offers less would have nodes send larger frames than it carries; virtio's field
/// for it has 16 bits.
fn check_mtu(mtu: &Spanned<i64>) -> Result<(), Mistake> {
    let bytes = *mtu.get_ref();
    let most = u16::MAX;
    let why = if bytes < MIN_MTU.into() {
        "nodes send frames of that size in any case"
    } else if bytes > most.into() {
        "a virtio device cannot say more"
    } else {
        return Ok(());
    };
    let text = format!("`mtu` is {bytes}; expected {MIN_MTU} to {most} (bytes): {why}");
    mistake(mtu, text)
}

/// Names travel in command lines and, of nodes, in 16 bytes of a frame.
fn check_name(name: &Spanned<String>, what: &str) -> Result<(), Mistake> {
    let text = name.get_ref();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 16 || !text.chars().all(good) {
        return mistake(
            name,
            format!(
                "`{text}` is no name for a {what}; expected 1 to 16 letters, digits, `-` or `_`"
            ),
        );
    }
    Ok(())
}

fn check_networks(file: &ClusterFile) -> Result<Networks, Mistake> {
    if file.network.is_empty() {
        return Ok(vec![("net".into(), (0..file.node.len()).collect())]);
    }
    let mut networks: Networks = Vec::new();
    for network in &file.network {
        let network = network.get_ref();
        check_name(&network.name, "network")?;
        check_mtu(&network.mtu)?;
        let name = network.name.get_ref();
        if networks.iter().any(|(other, _)| other == name) {
            return mistake(
                &network.name,
                format!("there is a network `{name}` already; expected a name of its own"),
            );
        }
        if network.nodes.get_ref().is_empty() {
            return mistake(
                &network.nodes,
                format!("the network `{name}` has no nodes; expected the names of nodes"),
            );
        }
        let members = members(file, network.nodes.get_ref())?;
        let before = |place: &&usize| {
            let others = networks
                .iter()
                .filter(|(_, others)| others.contains(*place));
            others.count() >= NODE_NETWORKS
        };
        if let Some(place) = members.iter().find(before) {
            let node = file.node[*place].get_ref().name.get_ref();
            return mistake(
                &network.nodes,
                format!("the node `{node}` is on more than {NODE_NETWORKS} networks"),
            );
        }
        networks.push((name.clone(), members));
    }
    Ok(networks)
}

fn members(file: &ClusterFile, names: &[Spanned<String>]) -> Result<Vec<usize>, Mistake> {
    let mut members = Vec::new();
    for name in names {
        match node_names(file).position(|known| known == name.get_ref()) {
            None => {
                let expected = similar::expected(name.get_ref(), node_names(file));
                return mistake(
                    name,
                    format!("there is no node `{}`; {expected}", name.get_ref()),
                );
            }
            Some(place) if members.contains(&place) => {
                return mistake(
                    name,
                    format!(
                        "the node `{}` is named twice; expected each node once",
                        name.get_ref()
                    ),
                );
            }
            Some(place) => members.push(place),
        }
    }
    Ok(members)
}

fn check_faults(file: &ClusterFile) -> Result<(), Mistake> {
    let names: Vec<_> = node_names(file).collect();
    for rule in &file.fault {
        if let Err((_, error)) = Faults::new(0, std::slice::from_ref(rule.get_ref()), &names) {
            return mistake(rule, error.to_string());
        }
    }
    Ok(())
}

fn node_names(file: &ClusterFile) -> impl Iterator<Item = &str> {
    file.node
        .iter()
        .map(|node| node.get_ref().name.get_ref().as_str())
}
