//! Rights across a session: what was exported to the peer, and what was imported from it.
//!
//! Owns: the two tables of a session. An **export** is a right of this node that the peer
//! holds; it has an index with a generation. An **import** is what this node knows of an export
//! of the peer: how many rights it has received, and the stand-in (a proxy port) that hangs on
//! it, or will (`directory`).
//!
//! Counting is a reference listing: the exporter counts how many send rights it has sent
//! (`sent`), the importer how many it has received (`received`). When the importer's last
//! right is gone it says how many it had received, and the exporter subtracts. Rights still
//! under way make the difference, so the entry lives until every one has arrived and been
//! released, whatever order frames take (Mach's transit counts; Birrell et al., "Network
//! Objects", 1993).

mod exports;
mod imports;
mod token;

pub(crate) use exports::{Barred, Export, Exports, NO_EXPORT, NODE_SERVICE, PER_EXPORT};
pub(crate) use imports::{Import, Imports};
pub(crate) use token::{Destination, FOREIGN, NODE_ITSELF, home_of, parse_token, token};
