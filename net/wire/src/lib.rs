//! norma's wire formats: every byte that leaves a node is described here.
//!
//! Owns the layout of Ethernet, FLIP and session headers, of the HELLO body, the right
//! descriptor and the call context, and the arithmetic that says where the parts of a
//! message lie in a frame. Leaves to others what the fields mean over time: FLIP's
//! behaviour is in `norma-flip`, that of sessions in `norma-net`.
//!
//! Each format comes at two levels, as in smoltcp's `wire`: a *view* over bytes, which is
//! checked once and whose accessors cannot panic afterwards, and a small typed `Repr` with
//! `parse`, `buffer_len` and `emit`. The views stand on array references (`&[u8; 40]`) and
//! not on slices: the length is then part of the type, so that reading a header compiles to
//! plain loads without any bounds check.
//!
//! Source: `docs/wire.md`, the specification. The numbers W-… in comments are its rules.
#![no_std]
#![forbid(unsafe_code)]
// See clippy.toml: nothing here may abort for want of memory.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_macros))]

mod bytes;
pub mod context;
pub mod control;
pub mod descriptor;
pub mod error;
pub mod ethernet;
pub mod flip;
pub mod hash;
pub mod hello;
pub mod layout;
pub mod session;
pub mod special;

pub use error::Error;
pub use flip::Address;
