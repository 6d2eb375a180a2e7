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
use crate::limits::{FRAME, SWITCH_BATCH, SWITCH_GUESTS, SWITCH_QUEUE};
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

impl Stats {
    /// The sum of what several switches did.
    #[must_use]
    pub fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            forwarded: sum.forwarded + one.forwarded,
            overflowed: sum.overflowed + one.overflowed,
            malformed: sum.malformed + one.malformed,
        })
    }

    /// What was dropped, in a line for people; nothing where nothing was. What fault rules drop is
    /// not in it.
    #[must_use]
    pub fn dropped(&self) -> Option<String> {
        let (full, bad) = (self.overflowed, self.malformed);
        if full + bad == 0 {
            return None;
        }
        let mut why = Vec::new();
        if full > 0 {
            why.push(format!(
                "{full} because a queue was full (of a node that had ended, stood still or was too \
                 slow, or of frames that a fault rule delays)"
            ));
        }
        if bad > 0 {
            why.push(format!("{bad} that were shorter than an Ethernet header"));
        }
        Some(format!(
            "the runner's switch dropped frames: {}",
            why.join(", ")
        ))
    }
}

/// A running switch, which ends with this value.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    ends: Vec<(Station, OwnedFd)>,
}

/// A way for those that come and go to the ports of a running switch.
#[derive(Clone, Debug)]
pub struct Entrance(Arc<Shared>);

/// A port that somebody has who came later. It goes with this value.
#[derive(Debug)]
pub struct Guest {
    shared: Arc<Shared>,
    number: u64,
}

/// What the worker is to do about a guest.
#[derive(Debug)]
enum Change {
    Come(u64, Station, UnixDatagram),
    Go(u64),
}

#[derive(Debug, Default)]
struct Guests {
    last: u64,
    present: usize,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Shared {
    faults: Mutex<Faults>,
    guests: Mutex<Guests>,
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
            guests: Mutex::default(),
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
                socket: Some(port.ours),
                guest: None,
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

    /// The way for those that come later.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.shared))
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
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Entrance {
    /// Makes one more port, for somebody whom the rules know as `station`, and gives its far end.
    ///
    /// # Errors
    /// There are [`SWITCH_GUESTS`] such ports, or the host has no descriptors left.
    pub fn come_in(&self, station: Station) -> std::io::Result<(Guest, OwnedFd)> {
        let Port { ours, theirs, .. } = Port::new(station)?;
        let mut guests = self.0.guests();
        if guests.present >= SWITCH_GUESTS {
            return Err(std::io::Error::other(format!(
                "{SWITCH_GUESTS} others are on the network already"
            )));
        }
        guests.last += 1;
        guests.present += 1;
        let number = guests.last;
        guests.changes.push(Change::Come(number, station, ours));
        drop(guests);
        self.0.wake();
        let shared = Arc::clone(&self.0);
        Ok((Guest { shared, number }, theirs))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.shared.guests();
        guests.present -= 1;
        guests.changes.push(Change::Go(self.number));
        drop(guests);
        self.shared.wake();
    }
}

impl Shared {
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The switch's side of a port.
struct Side {
    station: Station,
    /// None for a guest that has left.
    socket: Option<UnixDatagram>,
    guest: Option<u64>,
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
            self.admit();
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

    /// Guests come and go. Who comes takes the place of one who has left: what was learned of that
    /// one leads to the new one until it is learned anew.
    fn admit(&mut self) {
        let changes = std::mem::take(&mut self.shared.guests().changes);
        for change in changes {
            match change {
                Change::Come(number, station, socket) => {
                    let side = Side {
                        station,
                        socket: Some(socket),
                        guest: Some(number),
                        queue: VecDeque::new(),
                    };
                    let left = self.sides.iter_mut().find(|side| side.socket.is_none());
                    match left {
                        Some(place) => *place = side,
                        None => self.sides.push(side),
                    }
                }
                Change::Go(number) => {
                    let mut sides = self.sides.iter_mut();
                    if let Some(side) = sides.find(|side| side.guest == Some(number)) {
                        side.socket = None;
                        side.guest = None;
                        side.queue.clear();
                    }
                }
            }
        }
    }

    /// Waits until there is something to do, and says which ports have frames.
    fn wait(&self) -> std::io::Result<Vec<usize>> {
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        let mut places = Vec::new();
        for (place, side) in self.sides.iter().enumerate() {
            let Some(socket) = &side.socket else {
                continue;
            };
            let out = if side.queue.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            fds.push(PollFd::new(socket, PollFlags::IN | out));
            places.push(place);
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
        if fds[0].revents().contains(PollFlags::IN) {
            // Until the next change.
            let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        }
        let ports = places.into_iter().zip(&fds[1..]);
        Ok(ports
            .filter(|(_, fd)| fd.revents().contains(PollFlags::IN))
            .map(|(port, _)| port)
            .collect())
    }

    fn receive(&mut self, port: usize, buffer: &mut [u8]) {
        for _ in 0..SWITCH_BATCH {
            // An error is an empty socket, or a node that just died: nothing to forward.
            let socket = self.sides[port].socket.as_ref();
            let Some(Ok(length)) = socket.map(|socket| socket.recv(buffer)) else {
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
                for to in 0..self.sides.len() {
                    if to != port && self.sides[to].socket.is_some() {
                        self.pass(port, to, frame);
                    }
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
        match self.socket.as_ref().map(|socket| socket.send(frame)) {
            Some(Err(error)) => error.kind() != ErrorKind::WouldBlock,
            Some(Ok(_)) | None => true,
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
