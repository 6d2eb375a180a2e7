//! The node as `main` gets it: what the machine was started with, and what the kernel can do.
//!
//! Owns: starting the node on the network cards that the machine has. A node without a card is
//! refused, because services would look for each other in vain; `network=off` on the command
//! line says that it is meant.

use crate::information::BootInfo;
use core::ops::Deref;
use norma_kernel::{face, node};

/// This node: the kernel's calls ([`face::Node`]), and what the machine was started with.
pub struct Node {
    kernel: face::Node,
    boot: BootInfo,
}

impl Deref for Node {
    type Target = face::Node;

    fn deref(&self) -> &face::Node {
        &self.kernel
    }
}

impl Node {
    /// Apart from its only caller: what is one large function instead of two spends hundreds of
    /// instructions on moving its many variables in and out of registers.
    #[inline(never)]
    pub(crate) fn start(boot: BootInfo) -> Result<Self, node::NodeError> {
        let cards = match boot.command_line.get("network") {
            Some("off") => Default::default(),
            _ => node::find_cards(&boot.mmio_devices())?,
        };
        let identity = node::Identity {
            name: boot.node(),
            cluster: boot.cluster(),
            seed: boot.seed,
            untrusted: boot.command_line.get("untrusted").unwrap_or(""),
            secure: boot.command_line.get("secure") == Some("on"),
        };
        node::start(identity, cards)?;
        Ok(Node {
            kernel: face::Node::started(),
            boot,
        })
    }

    /// What the machine was started with: command line, modules.
    pub fn boot(&self) -> &BootInfo {
        &self.boot
    }

    /// The node's name.
    pub fn name(&self) -> &'static str {
        self.boot.node()
    }

    /// The value of `key=value` on the command line.
    pub fn argument(&self, key: &str) -> Option<&'static str> {
        self.boot.command_line.get(key)
    }
}
