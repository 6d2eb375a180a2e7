//! What the platform's own steps cost: time here, instructions by the counting plugin, whose
//! markers stand around each loop.

use crate::{Failure, check};
use core::arch::asm;
use norma_boot::println;
use norma_kernel::memory::Frame;
use norma_kernel::{thread, timer};

const ROUNDS: u64 = 10_000;

/// Prints a line for each step.
pub fn all() -> Result<(), Failure> {
    measure("nothing", || {});
    measure("clock", || {
        core::hint::black_box(timer::now());
    });
    measure("wake and block", || {
        thread::wake(thread::current());
        thread::block();
    });
    measure("frame", || drop(core::hint::black_box(Frame::allocate())));
    measure("heap", || {
        drop(core::hint::black_box(alloc::boxed::Box::new([0u64; 8])))
    });
    measure("time-out, by an interrupt", || {
        thread::block_until(timer::now() + 10_000);
    });
    let main = thread::current();
    let spawned = thread::spawn("partner", 0, move || {
        loop {
            thread::hand_off(main);
        }
    });
    let partner = spawned
        .map_err(|_| Failure("a thread can be created"))?
        .thread();
    thread::hand_off(partner);
    measure("hand over and back", || thread::hand_off(partner));
    measure("wake, block, and back", || {
        thread::wake(partner);
        thread::block();
    });
    check(timer::now() > 0, "time passes")
}

fn measure(name: &str, mut step: impl FnMut()) {
    step();
    let start = timer::now();
    // SAFETY: a long no-op, which the counting plugin looks for.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 0x01, 0x00, 0xac, 0x7e") };
    for _ in 0..ROUNDS {
        step();
    }
    // SAFETY: as above.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 0x02, 0x00, 0xac, 0x7e") };
    let each = (timer::now() - start) / ROUNDS;
    println!("{name}: {each} ns");
}
