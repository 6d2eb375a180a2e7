//! The node, as `main` is given it.

use crate::face::call::await_reply;
use crate::face::error::Failure;
use crate::face::{Message, SendRight};
use crate::limits::STACK;
use crate::memory::{Frame, NoMemory};
use crate::node::{self, Patience};
use crate::thread::{self, Wake};
use crate::{counters, timer};
use core::time::Duration;
use norma_drivers::virtio::{NetCounters, NetDevice};
use norma_net::{LookUp, NAME_UNKNOWN};

/// How long a node that was found may take to answer for a name: several times what it takes to
/// notice that it is dead.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(3);

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
        let introduce = |thread| {
            let known = node::lock().core.ipc().register_thread(thread);
            known.map_err(|_| NoMemory)
        };
        thread::spawn_known(name, priority, stack, introduce, move || {
            let this = thread::current();
            body();
            let mut engine = node::lock();
            engine.core.ipc().unregister_thread(this);
            let now = node::now();
            engine.act(now);
        })
    }

    /// Looks a name up: on this node, then in the cluster, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] after about a second at the most; [`Failure::TimedOut`] after
    /// three if the node that has the name is there and does not answer.
    pub fn look_up(&self, name: &str) -> Result<SendRight, Failure> {
        self.look_up_within(name, Patience::of(LOOK_UP_PATIENCE))
    }

    fn look_up_within(&self, name: &str, patience: Patience) -> Result<SendRight, Failure> {
        let thread = thread::current();
        let mut engine = node::lock();
        let now = node::now();
        let space = engine.space;
        match engine.core.look_up(now, thread, name) {
            Ok(LookUp::Found(right)) => {
                let inserted = engine.core.ipc().insert(space, right).map_err(|refused| {
                    engine.core.ipc().release(refused.right);
                    refused.error
                });
                inserted
                    .map(SendRight::from_name)
                    .map_err(|error| Failure::from_right(&engine, error))
            }
            Ok(LookUp::Asked) => {
                engine.act(now);
                let answer = await_reply(&mut engine, thread, None, patience)?;
                drop(engine);
                named(Message::wrap(answer))
            }
            Err(error) => Err(Failure::from_right(&engine, error)),
        }
    }

    /// Looks a name up until somebody has checked it in, for at most `timeout`.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] or [`Failure::TimedOut`] when the time is up.
    pub fn wait_for(&self, name: &str, timeout: Duration) -> Result<SendRight, Failure> {
        let deadline =
            timer::now().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        loop {
            let left = deadline.saturating_sub(timer::now());
            let patience = LOOK_UP_PATIENCE.min(Duration::from_nanos(left));
            match self.look_up_within(name, Patience::of(patience)) {
                Err(Failure::NameUnknown | Failure::TimedOut | Failure::NodeDied { .. })
                    if timer::now() < deadline =>
                {
                    // Looking up is itself slow when nobody answers; this is for when somebody
                    // says at once that the name is not there yet.
                    self.sleep(Duration::from_millis(20))?;
                }
                result => return result,
            }
        }
    }

    /// Makes a name unknown again. Tells whether it was checked in on this node.
    pub fn check_out(&self, name: &str) -> bool {
        let mut engine = node::lock();
        let known = engine.core.check_out(name);
        let now = node::now();
        engine.act(now);
        known
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

    /// Nanoseconds since the machine was started.
    #[inline]
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

fn named(mut answer: Message) -> Result<SendRight, Failure> {
    if answer.id() == NAME_UNKNOWN {
        return Err(Failure::NameUnknown);
    }
    answer.take_right()?.ok_or(Failure::NameUnknown)
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
