//! norma-tests: tests of whole virtual machines, and of the shape of the workspace.
//!
//! The machines are in `vm/`, which `cargo norma test` runs. The shape is here: which crate may
//! know of which. Nothing of this is part of the product.
#![forbid(unsafe_code)]

#[cfg(test)]
mod layers;
#[cfg(test)]
mod lineage;
