//! Many norma nodes in one process, in virtual time, on a network as bad as one likes.
//!
//! Owns: the world (nodes, their threads as state machines, the network between them), what the
//! threads do, and the books by which is checked that nothing is lost, doubled or leaked. Leaves
//! to others: the nodes themselves (`norma-net`, driven exactly as a kernel drives it) and what
//! the network does to frames (`norma-faults`, the same rules as in the runner's switch).
//!
//! A run is a function of its [`Config`]: the same seed gives the same frames at the same
//! times. After each step the rights of the node concerned are counted anew
//! (`norma_ipc::Ipc::audit`), so that a leak shows where it arises.
//!
//! Sources: TigerBeetle's VOPR, turmoil, and FoundationDB's simulation (Zhou et al. 2021).

#![forbid(unsafe_code)]

pub mod actor;
mod config;
mod drive;
pub mod heap;
mod ledger;
mod link;
mod machine;
mod report;
mod run;
pub mod scenarios;
mod topology;
mod trace;
pub mod wild;
mod world;

pub use config::{Config, bad_network, node_name};
pub use drive::CallError;
pub use ledger::Ledger;
pub use link::Link;
pub use machine::Machine;
pub use report::{Failure, Report};
pub use run::{run, run_prepared};
pub use topology::Segment;
pub use wild::Books;
pub use world::World;

/// A node of the simulation.
pub type Node = norma_net::Node<heap::Pages>;
/// A message of the simulation.
pub type Message = norma_ipc::Message<norma_ipc::HeapPage>;
