//! What the scenario tests share.
#![allow(dead_code, reason = "each test program uses some of it")]

pub mod flood;

use std::time::Duration;

use norma_ipc::Reason;
use norma_sim::{CallError, Config, Message, World};

/// A world in which nothing runs yet.
pub fn world(config: &Config) -> World {
    World::new(config)
}

/// What must have succeeded.
pub fn must<T>(result: Result<T, CallError>) -> T {
    match result {
        Ok(value) => value,
        Err(CallError::Failure(failure)) => panic!("{failure}"),
        Err(other) => panic!("{other:?}"),
    }
}

/// Why what must have failed did.
pub fn dead<T>(result: Result<T, CallError>) -> Reason {
    match result {
        Err(CallError::Reason(reason)) => reason,
        Err(CallError::Failure(failure)) => panic!("{failure}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it succeeded"),
    }
}

/// The data of a message.
pub fn text(message: &Message) -> Vec<u8> {
    message.data().to_vec()
}

/// Everything is given back, and the books agree.
pub fn drained(w: &mut World) {
    let result = w.run_until(Duration::from_secs(3), |w| w.is_drained());
    if let Err(failure) = result {
        panic!("{failure}: {}", w.holdings());
    }
    for index in 0..w.machines() {
        if let Err(failure) = w.audit(index) {
            panic!("{failure}");
        }
    }
}
