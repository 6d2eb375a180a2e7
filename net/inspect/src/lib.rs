//! What a node says about itself: its threads, ports, rights, sessions and counters, in tables.
//!
//! Owns: the tables and their rows ([`rows`]), how they travel ([`page`]), and filling in those
//! that follow from the core alone. Leaves to others: threads, memory and cards, which a
//! [`Platform`] tells; the port at which is asked; and showing it.
//!
//! A table is read in pieces. A question names a table and a **cursor**, which is 0 at first; the
//! answer has rows, and the cursor for the next question, or that it was the end. A piece is
//! bounded in bytes ([`limits::PAGE`]) and in places looked at ([`limits::VISITS`]), so that a
//! node with a thousand ports stands still for none of them, and it is of one moment. From piece
//! to piece time goes on: what was there all the time is seen exactly once, what came or went
//! meanwhile perhaps. A cursor that nobody gave harms nobody: it is a place, and what is behind
//! the last place is the end.
//!
//! Why numbers in a row and not an item for each: a row of twenty numbers as items would take 320
//! bytes and be checked twenty times. Why all rows look alike: what a tool does not know it can
//! pass over, and a node may say more than a tool knows, or less (docs/inspection.md).
#![no_std]
#![forbid(unsafe_code)]
// See clippy.toml: nothing here may abort for want of memory.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_macros))]

#[cfg(test)]
extern crate alloc;

mod codes;
mod counters;
pub mod limits;
pub mod page;
pub mod rows;
mod tables;

pub use page::{Ended, Page, Question, read_page};
pub use rows::{Row, Table, Text};
pub use tables::{Platform, answer};
