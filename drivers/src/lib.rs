//! The devices of a virtual machine, each behind a small safe face.
//!
//! Owns: virtio-net, the serial console, the clock, the interrupt controller, the source of
//! randomness and the exit device. Leaves to others: what a frame means (this crate knows no
//! protocol), where memory comes from ([`virtio::DmaPage`] is implemented by the kernel), and what an
//! interrupt does. Unsafe code lives here and in the kernel's platform half, nowhere else.
#![cfg_attr(not(test), no_std)]

pub mod clock;
pub mod entropy;
pub mod exit;
pub mod interrupts;
pub mod serial;
pub mod virtio;
