//! Deadlines: a thread that sleeps until something is due, and then wakes the server as frames do.
//!
//! Why a thread: deadlines of the core seldom come nearer from one call to the next, so that to
//! tell it of a new one is rare; but a receive with a time has the kernel set a timer each time,
//! and cannot be joined with an answer.

use crate::limits::PRIORITY;
use norma_user::{Clock, Failure, Message, ReceiveRight, SendRight, spawn};

use core::time::Duration;

pub struct Ticker {
    port: SendRight,
    /// When it wakes the server, or `u64::MAX`.
    due: u64,
}

impl Ticker {
    /// One that sends an empty message to `bell` when something is due.
    pub fn start(bell: SendRight) -> Result<Self, Failure> {
        let port = ReceiveRight::new()?;
        let right = port.make_send()?;
        spawn(PRIORITY, move || {
            // When the port or the bell is gone, so is the server.
            let _ = tick(&port, &bell);
        })?;
        Ok(Self {
            port: right,
            due: u64::MAX,
        })
    }

    /// Has the server woken by that time.
    #[inline]
    pub fn arm(&mut self, now: u64, due: u64) -> Result<(), Failure> {
        if self.due <= now {
            // It has gone off.
            self.due = u64::MAX;
        }
        if due < self.due {
            self.tell(due)?;
        }
        Ok(())
    }

    #[cold]
    fn tell(&mut self, due: u64) -> Result<(), Failure> {
        self.due = due;
        self.port.send(Message::with_data(&due.to_le_bytes())?)?;
        Ok(())
    }
}

fn tick(port: &ReceiveRight, bell: &SendRight) -> Result<(), Failure> {
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
                // One that lies there already says as much.
                let _ = bell.try_send(Message::new()?);
            }
            Err(failure) => return Err(failure),
        }
    }
}
