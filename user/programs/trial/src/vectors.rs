//! Vector registers stay a thread's own, however often others run.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use norma_user::{Failure, println, spawn, yield_now};

static WRONG: AtomicU32 = AtomicU32::new(0);

/// Threads that keep numbers of their own in vector registers, and one that uses none.
pub fn all() -> Result<(), Failure> {
    let threads = [1, 2, 3, 4].map(|own| spawn(0, move || keep(own)));
    for _ in 0..200 {
        yield_now();
    }
    for thread in threads {
        thread?.join();
    }
    let wrong = WRONG.load(Ordering::Relaxed);
    println!("vector registers were wrong {wrong} times");
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::OutOfRange),
    }
}

fn keep(own: u64) {
    for round in 0..200u64 {
        let (mut low, mut high): (u64, u64);
        // SAFETY: the compiler does not use these registers; between the two halves the thread
        // gives way by a call, or is interrupted in the loop.
        unsafe {
            asm!("movq xmm3, {0}", "movq xmm15, {0}", in(reg) own);
            if round % 2 == 0 {
                yield_now();
            } else {
                for _ in 0..20_000 {
                    core::hint::spin_loop();
                }
            }
            asm!("movq {0}, xmm3", "movq {1}, xmm15", out(reg) low, out(reg) high);
        }
        if (low, high) != (own, own) {
            WRONG.fetch_add(1, Ordering::Relaxed);
        }
        (low, high) = (0, 0);
        let _ = (low, high);
    }
}
