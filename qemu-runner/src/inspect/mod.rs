//! Looking into the nodes of a running cluster: `cargo norma ps`, `ports`, `sessions` and so on.
//!
//! Owns: coming to the node's network as one more node ([`Visit`]), reading its tables, and what
//! the tables mean together ([`model`]). Leaves to others: the tables (`norma-inspect`), finding
//! the cluster (`running`), the port on its switch (`link::door`), and showing it (`show`).
//!
//! The visitor is a node as any other: `netmsgd`, inside this process, on a port of the switch.
//! So a node is asked as another node would ask it, by messages to its host port.

mod growth;
mod model;
mod show;
mod visit;

pub mod commands;
pub mod table;

pub use model::Model;
pub use visit::{Asked, Visit};
