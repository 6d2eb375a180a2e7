//! Making an allocation fail on purpose, so that tests can see that the node survives it.
//!
//! Owns: the count-down that heap and frames share. Leaves to others: which allocation; a test
//! tries them all, one after the other.

use core::sync::atomic::{AtomicU64, Ordering};

static LEFT: AtomicU64 = AtomicU64::new(0);

/// Has the `n`-th allocation from now on fail, once; 1 is the very next. 0 takes it back.
pub fn fail_after(n: u64) {
    LEFT.store(n, Ordering::Relaxed);
}

/// Whether this allocation is to fail. Loads and stores apart are enough: who allocates has
/// interrupts off.
#[cfg_attr(not(target_os = "none"), allow(dead_code))]
#[inline(always)]
pub(crate) fn fails() -> bool {
    let left = LEFT.load(Ordering::Relaxed);
    if left == 0 {
        return false;
    }
    LEFT.store(left - 1, Ordering::Relaxed);
    left == 1
}

#[cfg(test)]
mod tests {
    #[test]
    fn fails_once() {
        super::fail_after(3);
        let outcomes: Vec<bool> = (0..5).map(|_| super::fails()).collect();
        assert_eq!(outcomes, [false, false, true, false, false]);
    }
}
