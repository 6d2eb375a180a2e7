//! The node as `main` gets it: what the machine was started with, and what the kernel can do.
//!
//! Owns: starting the node on the network card that the machine has. A node without a card is
//! refused, because services would look for each other in vain; `network=off` on the command
//! line says that it is meant.

use crate::devices;
use crate::information::BootInfo;
use core::ops::Deref;
use norma_drivers::virtio::MmioCandidate;
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
    pub(crate) fn start(boot: BootInfo) -> Result<Self, node::NodeError> {
        let card = match boot.command_line.get("network") {
            Some("off") => None,
            _ => Some(node::find_card(&candidates(&boot))?),
        };
        let identity = node::Identity {
            name: boot.node(),
            cluster: boot.cluster(),
            seed: boot.seed,
        };
        node::start(identity, card)?;
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

/// Where memory-mapped devices may be: where the command line says, else the usual places of a
/// machine without PCI.
fn candidates(boot: &BootInfo) -> heapless::Vec<MmioCandidate, { devices::LIMIT }> {
    boot.mmio_devices()
        .iter()
        .map(|device| MmioCandidate {
            base: device.address,
            interrupt: device.line,
        })
        .collect()
}
