//! Does what its first argument says: the other side of the tests in the image `tasks`.
//!
//! What goes as it should ends with 0; what does not ends with another number, or panics.
#![no_std]
#![no_main]

extern crate alloc;

mod both;
mod cluster;
mod faults;
mod frames;
mod measure;
mod ports;
mod relayed;
mod typed;
mod vectors;

use core::time::Duration;
use norma_user::{Failure, Task, println, sleep, spawn, yield_now};

/// Whose face `both.rs` is written against.
mod face {
    pub use norma_user::*;
}

norma_user::program!(main);

fn main(task: Task) -> Result<(), Failure> {
    let mut words = task.arguments().split(' ');
    let (what, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or(""));
    match what {
        "spin" => loop {
            core::hint::spin_loop();
        },
        "wait" => task.port().receive().map(drop).map_err(Failure::from),
        "threads" => threads(),
        "sleep" => sleep(Duration::from_secs(3600)),
        "vectors" => vectors::all(),
        "echo" => ports::echo(&task, rest),
        "client" => ports::client(&task, rest),
        "relayed-echo" => ports::relayed_echo(&task, rest),
        "relayed-client" => ports::relayed_client(&task, rest),
        "relayed-keeper" => relayed::keeper(&task),
        "relayed-doomed" => relayed::doomed(&task),
        "relayed-burst" => relayed::burst(&task),
        "relayed-visitor" => relayed::visitor(&task),
        "measure" => measure::null(&task, rest),
        "ports" => ports::all(&task),
        "other-node" => cluster::other(&task, rest),
        "hold" => cluster::hold(&task),
        "typed" => typed::all(&task),
        "memory" => ports::memory(),
        "frames-echo" => frames::echo(&task),
        "frames-call" => frames::call_frames(&task),
        "frames-hostile" => frames::hostile(&task),
        "frames-unentitled" => frames::unentitled(),
        "handled" => faults::handled(&task),
        "unanswered" => ports::unanswered(&task),
        "exit" => task.exit(rest.parse().unwrap_or(99)),
        other => faults::fault(other),
    }
}

/// Threads come and go by the hundred, each with a stack of its own.
fn threads() -> Result<(), Failure> {
    use core::sync::atomic::{AtomicU32, Ordering};
    static RUN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..40 {
        let threads = [0; 8].map(|_: u8| {
            spawn(0, || {
                yield_now();
                RUN.fetch_add(1, Ordering::Relaxed);
            })
        });
        for thread in threads {
            thread?.join();
        }
    }
    let run = RUN.load(Ordering::Relaxed);
    println!("{run} threads have run");
    match run {
        320 => Ok(()),
        _ => Err(Failure::OutOfRange),
    }
}
