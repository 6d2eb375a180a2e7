//! Memory: frames of RAM, the heap, stacks and device memory.
//!
//! Owns: who has which frame. Leaves to others: what is in it. Every request can fail, and a
//! failure costs nobody but the one who asked.

pub mod carve;
pub mod free;
pub mod inject;

#[cfg(target_os = "none")]
pub mod device;
#[cfg(target_os = "none")]
mod dma;
#[cfg(target_os = "none")]
mod frame;
#[cfg(target_os = "none")]
mod frames;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
pub(crate) mod stack;

pub use carve::Region;
#[cfg(target_os = "none")]
pub use dma::DmaRegion;
#[cfg(target_os = "none")]
pub use frame::{Frame, Frames};
#[cfg(target_os = "none")]
pub use frames::{free_frames, initialise, table_bytes};
#[cfg(target_os = "none")]
pub(crate) use heap::heap_region;

/// Bytes of a frame.
pub const FRAME: usize = 4096;

/// There is no memory left for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl core::fmt::Display for NoMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for NoMemory {}
