//! A switch for Ethernet frames between nodes, with faults.
//!
//! Owns one thread that polls a datagram socket per port, forwards frames by learned addresses
//! and asks `norma-faults` about each. Every queue is bounded, and what does not fit is dropped
//! and counted, as a real switch does.
//!
//! Why the nodes' ends are kept open here: a node that was killed can be started again on its
//! port, and a frame to a dead node is lost without an error, as on a cable.

use super::capture::{Tap, fate};
use super::table::{Table, Way};
use super::{LinkKind, raise_send_buffer};
use crate::limits::{FRAME, SWITCH_BATCH, SWITCH_QUEUE};
use norma_faults::{Faults, Schedule, Station};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A port that the switch is to have.
#[derive(Debug)]
pub struct Port {
    /// The node behind it, as the fault rules know it.
    pub station: Station,
    ours: UnixDatagram,
    theirs: OwnedFd,
}

impl Port {
    /// A port for a node.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn new(station: Station) -> std::io::Result<Self> {
        let (ours, theirs) = UnixDatagram::pair()?;
        ours.set_nonblocking(true)?;
        raise_send_buffer(&ours)?;
        raise_send_buffer(&theirs)?;
        Ok(Self {
            station,
            ours,
            theirs: theirs.into(),
        })
    }

    /// A copy of the node's end, to be handed to its QEMU.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn node_end(&self) -> std::io::Result<OwnedFd> {
        self.theirs.try_clone()
    }

    /// The kind of socket that a port is.
    pub const KIND: LinkKind = LinkKind::Dgram;
}

/// What a switch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames handed to a port.
    pub forwarded: u64,
    /// Frames dropped because a port's queue or the queue of delayed frames was full.
    pub overflowed: u64,
    /// What came in and was no frame.
    pub malformed: u64,
}

/// A running switch, which ends with this value.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    ends: Vec<(Station, OwnedFd)>,
}

#[derive(Debug)]
struct Shared {
    faults: Mutex<Faults>,
    stop: AtomicBool,
    wake: OwnedFd,
    forwarded: AtomicU64,
    overflowed: AtomicU64,
    malformed: AtomicU64,
}

impl Switch {
    /// Starts a switch, which tells `tap` of each frame. The rules' time begins now.
    ///
    /// # Errors
    /// The host has no descriptors or threads left.
    pub fn start(ports: Vec<Port>, faults: Faults, tap: Option<Tap>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            faults: Mutex::new(faults),
            stop: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            forwarded: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
        });
        let mut ends = Vec::new();
        let mut sides = Vec::new();
        for port in ports {
            ends.push((port.station, port.theirs));
            sides.push(Side {
                station: port.station,
                socket: port.ours,
                queue: VecDeque::new(),
            });
        }
        let mut worker = Worker {
            shared: Arc::clone(&shared),
            sides,
            table: Table::default(),
            delayed: Schedule::default(),
            tap,
            started: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("switch".into())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
            ends,
        })
    }

    /// A copy of a node's end of its port, for a node that is started again or for the host
    /// itself.
    ///
    /// # Errors
    /// The host has no descriptors left, or no such port exists.
    pub fn node_end(&self, station: Station) -> std::io::Result<OwnedFd> {
        let end = self.ends.iter().find(|(of, _)| *of == station);
        end.ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))?
            .1
            .try_clone()
    }

    /// The fault rules, to cut and heal links and to read what was done. The switch stands still
    /// while this is held.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults()
    }

    /// What the switch did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            forwarded: self.shared.forwarded.load(Ordering::Relaxed),
            overflowed: self.shared.overflowed.load(Ordering::Relaxed),
            malformed: self.shared.malformed.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The switch's side of a port.
struct Side {
    station: Station,
    socket: UnixDatagram,
    queue: VecDeque<Vec<u8>>,
}

/// A frame that is to leave by a port.
struct Leaving {
    from: usize,
    to: usize,
    frame: Vec<u8>,
    /// What befell it, if it is captured.
    fate: Option<String>,
}

struct Worker {
    shared: Arc<Shared>,
    sides: Vec<Side>,
    table: Table,
    delayed: Schedule<Leaving>,
    tap: Option<Tap>,
    started: Instant,
}

impl Worker {
    fn run(&mut self) {
        let mut buffer = vec![0; FRAME];
        while let Ok(readable) = self.wait() {
            if self.shared.stop.load(Ordering::SeqCst) {
                return;
            }
            for port in readable {
                self.receive(port, &mut buffer);
            }
            while let Some(leaving) = self.delayed.pop_due(self.started.elapsed()) {
                self.send(leaving);
            }
            for side in &mut self.sides {
                side.flush();
            }
        }
    }

    /// Waits until there is something to do, and says which ports have frames.
    fn wait(&self) -> std::io::Result<Vec<usize>> {
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        for side in &self.sides {
            let out = if side.queue.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            fds.push(PollFd::new(&side.socket, PollFlags::IN | out));
        }
        let due = self
            .delayed
            .next_due()
            .map(|due| due.saturating_sub(self.started.elapsed()));
        let timeout = due.map(timespec);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let ports = fds[1..].iter().enumerate();
        Ok(ports
            .filter(|(_, fd)| fd.revents().contains(PollFlags::IN))
            .map(|(port, _)| port)
            .collect())
    }

    fn receive(&mut self, port: usize, buffer: &mut [u8]) {
        for _ in 0..SWITCH_BATCH {
            // An error is an empty socket, or a node that just died: nothing to forward.
            let Ok(length) = self.sides[port].socket.recv(buffer) else {
                return;
            };
            self.forward(port, &buffer[..length]);
        }
    }

    fn forward(&mut self, port: usize, frame: &[u8]) {
        match self.table.route(port, frame) {
            Way::Nowhere => {
                if frame.len() < 14 {
                    self.shared.malformed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Way::One(to) => self.pass(port, to, frame),
            Way::All => {
                for to in (0..self.sides.len()).filter(|to| *to != port) {
                    self.pass(port, to, frame);
                }
            }
        }
    }

    /// Passes a frame from one port to another, as far as the faults allow.
    fn pass(&mut self, from: usize, to: usize, frame: &[u8]) {
        let now = self.started.elapsed();
        let (source, target) = (self.sides[from].station, self.sides[to].station);
        let verdict = self
            .shared
            .faults()
            .on_frame(now, source, target, frame.len());
        let passages = verdict.passages();
        if let Some(tap) = &mut self.tap
            && passages.is_empty()
        {
            tap.frame(source, target, frame, Some("lost"));
        }
        for (copy, passage) in passages.iter().enumerate() {
            let leaving = Leaving {
                from,
                to,
                frame: passage.frame(frame),
                fate: match &self.tap {
                    Some(_) => fate(passage, copy, passages.len()),
                    None => None,
                },
            };
            if passage.delay.is_zero() {
                self.send(leaving);
            } else if let Err(leaving) = self.delayed.push(now + passage.delay, leaving) {
                self.dropped(&leaving, "lost: too many frames are delayed");
            }
        }
    }

    fn send(&mut self, leaving: Leaving) {
        let side = &mut self.sides[leaving.to];
        if !side.has_room() {
            return self.dropped(&leaving, "lost: the receiver's queue is full");
        }
        let fate = leaving.fate.as_deref();
        self.note(&leaving, fate);
        self.sides[leaving.to].send(leaving.frame);
        self.shared.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    fn dropped(&mut self, leaving: &Leaving, why: &str) {
        self.note(leaving, Some(why));
        self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&mut self, leaving: &Leaving, fate: Option<&str>) {
        if let Some(tap) = &mut self.tap {
            let station = |side: usize| self.sides[side].station;
            let (from, to) = (station(leaving.from), station(leaving.to));
            tap.frame(from, to, &leaving.frame, fate);
        }
    }
}

impl Side {
    /// Whether a frame can be sent or queued.
    fn has_room(&self) -> bool {
        self.queue.len() < SWITCH_QUEUE
    }

    /// Sends a frame, or queues it if the socket is full.
    fn send(&mut self, frame: Vec<u8>) {
        if !self.queue.is_empty() || !self.try_send(&frame) {
            self.queue.push_back(frame);
        }
    }

    fn flush(&mut self) {
        while let Some(frame) = self.queue.pop_front() {
            if !self.try_send(&frame) {
                self.queue.push_front(frame);
                return;
            }
        }
    }

    /// False when the socket is full. A frame that cannot be sent for another reason is gone.
    fn try_send(&self, frame: &[u8]) -> bool {
        match self.socket.send(frame) {
            Err(error) => error.kind() != ErrorKind::WouldBlock,
            Ok(_) => true,
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A nanosecond more, so that what is due is due when `poll` returns.
    let duration = duration + Duration::from_nanos(1);
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
