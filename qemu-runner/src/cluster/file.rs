//! The form of a cluster file.
//!
//! Owns what may be written; `check.rs` owns whether it makes sense. Fields that checks complain
//! about carry their place in the file; numbers with a range are whole numbers of any size here, so
//! that `check.rs` can say which.

use crate::qemu::Machine;
use norma_faults::Rule;
use serde::Deserialize;
use toml::Spanned;

/// A cluster file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterFile {
    /// The cluster's name, which is its identity on the wire.
    #[serde(default = "default_name")]
    pub name: Spanned<String>,
    /// The seed of the faults.
    pub seed: Option<u64>,
    /// The nodes.
    #[serde(default)]
    pub node: Vec<Spanned<NodeEntry>>,
    /// The networks; one with all nodes if there is none here.
    #[serde(default)]
    pub network: Vec<Spanned<NetworkEntry>>,
    /// The faults.
    #[serde(default)]
    pub fault: Vec<Spanned<Rule>>,
    /// This host as one more node.
    pub netmsgd: Option<DaemonEntry>,
}

/// The daemon by which programs of this host are part of the cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DaemonEntry {
    #[serde(default = "default_daemon")]
    pub name: Spanned<String>,
    pub socket: Option<String>,
}

/// A node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeEntry {
    pub name: Spanned<String>,
    pub image: Spanned<String>,
    #[serde(default = "default_memory")]
    pub memory: Spanned<i64>,
    pub machine: Option<Machine>,
    #[serde(default)]
    pub arguments: Vec<Spanned<String>>,
    pub module: Option<Spanned<String>>,
    #[serde(default = "default_mtu")]
    pub mtu: Spanned<i64>,
    #[serde(default)]
    pub service: bool,
    #[serde(default)]
    pub qemu: Vec<String>,
}

/// A network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkEntry {
    pub name: Spanned<String>,
    pub nodes: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "default_mtu")]
    pub mtu: Spanned<i64>,
    #[serde(default = "default_trust")]
    pub trusted: bool,
}

fn default_name() -> Spanned<String> {
    Spanned::new(0..0, "default".into())
}

fn default_daemon() -> Spanned<String> {
    Spanned::new(0..0, "linux".into())
}

fn default_memory() -> Spanned<i64> {
    Spanned::new(0..0, 64)
}

fn default_trust() -> bool {
    true
}

fn default_mtu() -> Spanned<i64> {
    Spanned::new(0..0, u16::MAX.into())
}
