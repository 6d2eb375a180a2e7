//! From QEMU's PVH entry to an image's `main`.
//!
//! Owns: the entry point, the first page tables, what the machine says about itself (memory,
//! command line, modules, devices), and wiring everything together ([`start`]: the only place).
//! Leaves to others: everything that goes on after `main` has been called.
//!
//! An image is a crate with
//! ```text
//! #![no_std]
//! #![no_main]
//! norma_boot::image!(main);
//! fn main(node: norma_boot::Node) -> Result<(), norma_boot::Failure> {
//!     Ok(())
//! }
//! ```
#![cfg_attr(not(test), no_std)]

pub mod command_line;
pub mod devices;

#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod information;
#[cfg(target_os = "none")]
mod node;
#[cfg(target_os = "none")]
mod paging;
#[cfg(target_os = "none")]
mod start;

#[cfg(target_os = "none")]
pub use information::BootInfo;
#[cfg(target_os = "none")]
pub use node::Node;
#[cfg(target_os = "none")]
pub use norma_kernel::face::{
    About, AnyRight, Array, CallError, CheckInError, Context, Counts, DEVICE_PORT, Delivery,
    Disposition, FIRST_SERVICE_PORT, Failure, Fate, Frame, Frames, HOST_PORT, Item, Kind, Location,
    Memory, Message, MoveError, NAME_PORT, NAME_TAKEN, Name, NetworkCard, NodeInformation,
    NodeName, Notification, PAGE_SIZE, Page, PageSource, PortSet, PortStatus, RawCard, ReadError,
    Reader, ReceiveError, ReceiveRight, ReceiveStatus, RemoteEntry, RemoteNode, RemoteThread,
    ReturnedRight, Right, RightKind, RightTypes, SendError, SendOnceRight, SendRight, Space, Start,
    Values, WriteError, Writer, node,
};
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use norma_kernel::inspect::serve as __inspected;
#[cfg(target_os = "none")]
pub use norma_kernel::thread::JoinHandle;
#[cfg(target_os = "none")]
pub use norma_kernel::{print, println};
#[cfg(target_os = "none")]
pub use start::{__start, Main};

/// Makes `$main` what the image runs: a function that takes a [`Node`] and returns a
/// `Result` whose error can be displayed.
///
/// The node answers what `cargo norma ps` and its like ask about it. With `uninspected` behind
/// `$main` it does not, and the image is about 16 KiB smaller.
#[macro_export]
macro_rules! image {
    ($main:path) => {
        $crate::__image!($main, Some($crate::__inspected));
    };
    ($main:path, uninspected) => {
        $crate::__image!($main, None);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __image {
    ($main:path, $inspected:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn norma_main(start_info: u64) -> ! {
            $crate::__start(start_info, $main, $inspected)
        }
    };
}
