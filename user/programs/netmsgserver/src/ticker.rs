//! Deadlines: a thread that sleeps until something is due, and then wakes the server as frames do.
//!
//! Why a thread: deadlines of the core seldom come nearer from one call to the next, so that to
//! tell it of a new one is rare; but a receive with a time has the kernel set a timer each time,
//! and cannot be joined with an answer.

use crate::limits::PRIORITY;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use norma_user::{Clock, Failure, Message, ReceiveRight, SendRight, spawn};

pub struct Ticker {
    port: SendRight,
    /// When it wakes the server, or `u64::MAX`. It is the thread that says that it has: its clock
    /// is not the server's to the nanosecond, and whoever compared the time with his own could
    /// wait for a wake that was.
    due: Arc<AtomicU64>,
}

impl Ticker {
    /// One that sends an empty message to `bell` when something is due.
    pub fn start(bell: SendRight) -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        let right = port.make_send()?;
        let due = Arc::new(AtomicU64::new(u64::MAX));
        let gone_off = Arc::clone(&due);
        spawn(PRIORITY, move || {
            // When the port or the bell is gone, so is the server.
            let _ = tick(&port, &bell, &gone_off);
        })?;
        Ok(Self { port: right, due })
    }

    /// Has the server woken by that time.
    #[inline]
    pub fn arm(&mut self, due: u64) -> Result<(), Failure> {
        if due < self.due.load(Ordering::Relaxed) {
            self.tell(due)?;
        }
        Ok(())
    }

    #[cold]
    fn tell(&mut self, due: u64) -> Result<(), Failure> {
        // If it goes off now for what it was told before, it is told this again: no harm.
        self.due.store(due, Ordering::Relaxed);
        self.port.send(Message::with_data(&due.to_le_bytes())?)?;
        Ok(())
    }
}

fn tick(port: &ReceiveRight, bell: &SendRight, gone_off: &AtomicU64) -> Result<(), Failure> {
    let mut clock = Clock::new();
    let mut message = Message::new()?;
    let mut due = u64::MAX;
    loop {
        let patience = match due {
            u64::MAX => Duration::MAX,
            due => Duration::from_nanos(due.saturating_sub(clock.now())),
        };
        match port.receive_into(&mut message, patience) {
            Ok(None) => {
                let told = message.data().try_into();
                due = told.map_or(u64::MAX, u64::from_le_bytes);
            }
            Ok(Some(_)) | Err(Failure::Cancelled) => {}
            Err(Failure::TimedOut | Failure::Empty) => {
                due = u64::MAX;
                gone_off.store(u64::MAX, Ordering::Relaxed);
                // One that lies there already says as much.
                let _ = bell.try_send(Message::new()?);
            }
            Err(failure) => return Err(failure),
        }
    }
}
