//! The kernel's one lock: spin's, with interrupts off while it is held.
//!
//! Owns: that an interrupt handler never waits for what it interrupted, and that a thread made
//! ready under the lock runs when the lock is released, not before. Leaves to others: keeping
//! the time short, and giving locks back in the reverse order of taking them: the one taken
//! first is what switches interrupts on again. Never held across a device's waiting or a switch
//! of threads.

use crate::{arch, thread};
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use spin::mutex::{SpinMutex, SpinMutexGuard};

/// A value that threads and interrupt handlers share.
pub struct IrqLock<T: ?Sized> {
    inner: SpinMutex<T>,
}

impl<T> IrqLock<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            inner: SpinMutex::new(value),
        }
    }
}

impl<T: ?Sized> IrqLock<T> {
    /// Takes the lock.
    ///
    /// # Panics
    /// If the lock is already held: with one processor and interrupts off that can only be the
    /// caller itself, who would wait for ever.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> IrqGuard<'_, T> {
        let interrupts_were_on = arch::interrupts_off();
        self.take(interrupts_were_on)
    }

    /// As [`IrqLock::lock`], for an interrupt handler: interrupts are off and stay off, so that
    /// nobody has to ask.
    #[inline]
    #[track_caller]
    pub(crate) fn lock_in_handler(&self) -> IrqGuard<'_, T> {
        self.take(false)
    }

    #[inline(always)]
    #[track_caller]
    fn take(&self, interrupts_were_on: bool) -> IrqGuard<'_, T> {
        match self.inner.try_lock() {
            Some(guard) => IrqGuard {
                lock: self,
                guard: ManuallyDrop::new(guard),
                interrupts_were_on,
            },
            None => held_already(),
        }
    }
}

impl<T> IrqLock<T> {
    /// The value, whoever holds the lock: for a report before the end.
    pub(crate) fn peek(&self) -> *const T {
        self.inner.as_mut_ptr()
    }
}

#[cold]
#[track_caller]
fn held_already() -> ! {
    panic!("a lock is taken by who already holds it")
}

/// Access to what an [`IrqLock`] guards, until dropped.
#[must_use]
pub struct IrqGuard<'a, T: ?Sized> {
    lock: &'a IrqLock<T>,
    guard: ManuallyDrop<SpinMutexGuard<'a, T>>,
    interrupts_were_on: bool,
}

impl<T: ?Sized> IrqGuard<'_, T> {
    /// Gives the lock up for the time of `wait`, and takes it again. Interrupts stay off, but
    /// for what `wait` itself does about them.
    #[inline(always)]
    pub(crate) fn unlocked<R>(&mut self, wait: impl FnOnce() -> R) -> R {
        // SAFETY: the guard is replaced below, before anybody can use it; `wait` cannot unwind,
        // because a panic never returns on this target.
        unsafe { ManuallyDrop::drop(&mut self.guard) };
        let result = wait();
        match self.lock.inner.try_lock() {
            Some(guard) => self.guard = ManuallyDrop::new(guard),
            None => held_already(),
        }
        result
    }
}

impl<T: ?Sized> Deref for IrqGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for IrqGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: ?Sized> Drop for IrqGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped here once and never used again.
        unsafe { ManuallyDrop::drop(&mut self.guard) };
        if self.interrupts_were_on {
            thread::interrupts_on();
        }
    }
}
