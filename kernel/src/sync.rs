//! The kernel's one lock: interrupts are off while it is held.
//!
//! Owns: that an interrupt handler never waits for what it interrupted, and that a thread made
//! ready under the lock runs when the lock is released, not before. Leaves to others: keeping
//! the time short, and giving locks back in the reverse order of taking them: the one taken
//! first is what switches interrupts on again. Never held across a device's waiting or a switch
//! of threads.
//!
//! There is one processor, and interrupts are off: so nobody comes between a look at the flag
//! and the change of it, and a lock that is held is held by who asks for it. With several
//! processors the two become one atomic exchange, and a loop.

use crate::{arch, thread};
use core::cell::{Cell, UnsafeCell};
use core::ops::{Deref, DerefMut};

/// A value that threads and interrupt handlers share.
pub struct IrqLock<T: ?Sized> {
    held: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and there is one guard at a time; the flag
// only with interrupts off, which the compiler takes for a use of all memory.
unsafe impl<T: ?Sized + Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            held: Cell::new(false),
            value: UnsafeCell::new(value),
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

    /// As [`IrqLock::lock`], for a thread that is going to wait: interrupts are on, and will be
    /// again, so that nobody has to ask.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn lock_in_thread(&self) -> IrqGuard<'_, T> {
        arch::interrupts_disable();
        self.take(true)
    }

    #[inline(always)]
    #[track_caller]
    fn take(&self, interrupts_were_on: bool) -> IrqGuard<'_, T> {
        self.hold();
        IrqGuard {
            lock: self,
            interrupts_were_on,
        }
    }

    #[inline(always)]
    #[track_caller]
    fn hold(&self) {
        if self.held.get() {
            held_already();
        }
        self.held.set(true);
    }

    #[inline(always)]
    fn release(&self) {
        self.held.set(false);
    }
}

impl<T> IrqLock<T> {
    /// The value, whoever holds the lock: for a report before the end.
    pub(crate) fn peek(&self) -> *const T {
        self.value.get()
    }

    /// Whether somebody holds it, and so may be in the middle of changing the value.
    pub(crate) fn is_held(&self) -> bool {
        self.held.get()
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
    interrupts_were_on: bool,
}

impl<T: ?Sized> IrqGuard<'_, T> {
    /// Gives the lock up until what this gives is dropped, and takes it again then. Interrupts
    /// stay off, but for what is done about them meanwhile. Not a function that is given a
    /// closure: a closure cannot say that it is to be inlined.
    #[inline(always)]
    pub(crate) fn unlocked(&mut self) -> Unlocked<'_, T> {
        self.lock.release();
        Unlocked(self.lock)
    }
}

/// The time for which a guard has given its lock up. Nobody can use the guard meanwhile: it is
/// borrowed.
#[must_use]
pub(crate) struct Unlocked<'a, T: ?Sized>(&'a IrqLock<T>);

impl<T: ?Sized> Drop for Unlocked<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.hold();
    }
}

impl<T: ?Sized> Deref for IrqGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock, so this is the only access.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for IrqGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock and is borrowed alone, so this is the only access.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for IrqGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.release();
        if self.interrupts_were_on {
            thread::interrupts_on();
        }
    }
}
