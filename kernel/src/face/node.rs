//! The node, as `main` is given it.

use crate::face::error::Failure;
use crate::limits::{SETTLE_PATIENCE, SETTLE_STEP, STACK};
use crate::memory::{Frame, NoMemory};
use crate::node;
use crate::thread::{self, Wake};
use crate::{counters, timer};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use norma_drivers::virtio::{NetCounters, NetDevice};
use norma_ipc::ThreadId;

/// Threads that run or wait, the first included.
static THREADS: AtomicU32 = AtomicU32::new(1);

/// This node. A handle without a state of its own: copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Node(());

/// What a node has counted since its start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Interrupts, timer, threads, heap.
    pub platform: counters::Counters,
    /// The network card.
    pub card: NetCounters,
    /// Sessions.
    pub net: norma_net::Counters,
}

impl Node {
    /// For the wiring alone: the node has been started.
    #[doc(hidden)]
    pub const fn started() -> Self {
        Node(())
    }

    /// Its FLIP address, new at each boot.
    pub fn address(&self) -> u64 {
        node::lock().core.address().0
    }

    /// Starts a thread that can use ports. Priorities go from 0 (lowest) to 7.
    ///
    /// # Errors
    /// All places for threads are taken, or there is no memory.
    pub fn spawn(
        &self,
        name: &str,
        priority: u8,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<thread::JoinHandle, thread::SpawnError> {
        self.spawn_with_stack(name, priority, STACK, body)
    }

    /// As [`Node::spawn`], with a stack of `stack` bytes, rounded up to 16, 32 or 64 KiB instead
    /// of 64: for threads by the thousand. Interrupts run on it too, and use up to half of the
    /// smallest.
    ///
    /// # Errors
    /// As for [`Node::spawn`].
    pub fn spawn_with_stack(
        &self,
        name: &str,
        priority: u8,
        stack: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<thread::JoinHandle, thread::SpawnError> {
        THREADS.fetch_add(1, Ordering::Relaxed);
        let spawned = thread::spawn_known(name, priority, stack, introduce, move || {
            let this = thread::current();
            body();
            leave(this);
        });
        if spawned.is_err() {
            THREADS.fetch_sub(1, Ordering::Relaxed);
        }
        spawned
    }

    /// Threads that there are and can use ports, this one and the kernel's own included.
    pub fn threads(&self) -> u32 {
        THREADS.load(Ordering::Relaxed)
    }

    /// Waits.
    ///
    /// # Errors
    /// [`Failure::Cancelled`].
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        match thread::sleep(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)) {
            Wake::Cancelled => Err(Failure::Cancelled),
            Wake::Woken | Wake::TimedOut => Ok(()),
        }
    }

    /// Waits until every message that left for another node has arrived there, or come to
    /// nothing, and until every node that was given a right here to a port elsewhere, also to one
    /// that has moved away, can do without this node; two seconds at most. What runs when `main`
    /// has returned: the machine ends then, and what has not arrived is lost.
    pub fn settle(&self) {
        let patience = self.now() + SETTLE_PATIENCE.as_nanos() as u64;
        while node::lock().core.is_unsettled() && self.now() < patience {
            // Cancelled or not, it looks again.
            let _ = self.sleep(SETTLE_STEP);
        }
    }

    /// Nanoseconds since the machine was started.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        timer::now()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let engine = node::lock();
        Counts {
            platform: counters::snapshot(),
            card: engine.card_counters(),
            net: *engine.core.counters(),
        }
    }

    /// The network card without anything above it, for a benchmark's floor: while the returned
    /// value lives, no frame reaches the node's ports. `None` if there is no card.
    pub fn raw_card(&self) -> Option<RawCard> {
        RawCard::take()
    }
}

/// The bare network card.
#[derive(Debug)]
pub struct RawCard(());

impl RawCard {
    fn take() -> Option<Self> {
        node::divert(true).then_some(RawCard(()))
    }

    /// Lets `with` use the card; interrupts are off meanwhile.
    pub fn with<R>(&self, with: impl FnOnce(&mut NetDevice<Frame>) -> R) -> R {
        let mut engine = node::lock();
        with(
            engine
                .card()
                .expect("a bare card was taken from a node that has one"),
        )
    }

    /// Waits for a frame: until the card interrupts.
    pub fn wait(&self) {
        thread::block();
    }

    /// As [`RawCard::wait`], until `deadline` ([`Node::now`]) at the latest.
    pub fn wait_until(&self, deadline: u64) {
        // Whoever waits looks at the card again in either case.
        let _ = thread::block_until(deadline);
    }
}

impl Drop for RawCard {
    fn drop(&mut self) {
        node::divert(false);
    }
}

// Apart from the generic function that uses them, which is made anew wherever it is called.

fn introduce(thread: ThreadId) -> Result<(), NoMemory> {
    let known = node::lock().core.ipc().register_thread(thread);
    known.map_err(|_| NoMemory)
}

fn leave(thread: ThreadId) {
    THREADS.fetch_sub(1, Ordering::Relaxed);
    let mut engine = node::lock();
    engine.core.ipc().unregister_thread(thread);
    let now = node::now();
    engine.act(now);
}
