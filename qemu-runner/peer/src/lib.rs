//! What the Linux guests of the comparison are told to do.
//!
//! Owns: the words of a [`plan`], which the runner writes and the program reads; the frequency of
//! the counter by which a guest takes times ([`clock`]); what a guest tells of where its time goes
//! ([`marks`]).
//! Leaves to others: doing it (`main.rs` and what lies beside it), starting guests (the runner).
//! Why this way: one definition for both ends, so that neither can misread the other.
#![deny(unsafe_code)]

#[allow(unsafe_code)] // One instruction.
pub mod clock;
pub mod marks;
pub mod plan;
