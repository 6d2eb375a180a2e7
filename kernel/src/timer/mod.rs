//! Time, and the one hardware timer that all deadlines share.
//!
//! Owns: the clock, and setting the timer as rarely as can be. Leaves to others: what happens
//! at a deadline: threads go on, slices end, the network's callback is called. Times are
//! nanoseconds since the machine was started.

pub mod table;

#[cfg(target_os = "none")]
mod hardware;
#[cfg(target_os = "none")]
pub use hardware::{
    begin, initialise, nanoseconds, now, set_network_callback, set_network_deadline,
};
#[cfg(target_os = "none")]
pub(crate) use hardware::{
    clear_thread, set_network_deadline_uninterrupted, set_slice, set_thread,
};
