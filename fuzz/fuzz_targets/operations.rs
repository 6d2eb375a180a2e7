//! Fuzz: sequences of operations on ports, rights, sets and messages, against the model of the
//! property tests.
//!
//! The first byte says how large the world is; each five bytes after it are an operation. What
//! random sequences rarely reach, the fuzzer finds by what it covers.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../kernel/ipc/tests/properties/world/mod.rs"]
mod world;

use world::{Operation, Size, World};

/// Operations in one run: the checks after each cost most of the time.
const STEPS: usize = 400;

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let mut world = World::new(if size & 1 == 0 {
        Size::SMALL
    } else {
        Size::LARGE
    });
    let (steps, _) = bytes.as_chunks::<5>();
    for step in steps.iter().take(STEPS) {
        world.step(Operation::decode(*step));
        world.check();
    }
    world.end();
});
