//! What differs between processors. One today: x86-64.

mod x86_64;

pub use self::x86_64::*;
