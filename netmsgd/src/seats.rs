//! Seats among the daemon's sockets: who is let in, whose request is read, and who goes.
//!
//! Owns: what the poller waits for at each seat. Leaves to others: one seat (`seat`), and what a
//! request means.

use crate::daemon::{Daemon, LISTENER};
use crate::limits::{ACCEPT_AGAIN_NS, CONNECTIONS_OF_PROCESS, MAX_CONNECTIONS};
use crate::seat::{Doing, Read, Seat};
use norma_ipc::ThreadId;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;

/// The poller's number of the first seat.
pub(crate) const FIRST_SEAT: u64 = 1 << 16;

fn seat_number(place: u32, generation: u32) -> u64 {
    FIRST_SEAT + (u64::from(generation) << 32 | u64::from(place))
}

impl Daemon {
    pub(crate) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match rustix::net::accept_with(&self.listener.socket, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return,
            Err(_) => {
                // No descriptors: whoever wants in waits, and we do not ask all the time.
                self.deaf_until = self.now.0 + ACCEPT_AGAIN_NS;
                return self.watch_listener(EventFlags::empty());
            }
        };
        let Ok(credentials) = rustix::net::sockopt::socket_peercred(&socket) else {
            return;
        };
        let process = credentials.pid.as_raw_nonzero().get();
        let mut seats = self.seats.iter().flatten();
        let free = self.seats.iter().position(Option::is_none);
        let place = free.unwrap_or(self.seats.len());
        let of_process = seats
            .by_ref()
            .filter(|seat| seat.process == process)
            .count();
        if place >= MAX_CONNECTIONS || of_process >= CONNECTIONS_OF_PROCESS {
            // Closed: the program sees that the daemon does not take it.
            return;
        }
        if self
            .core
            .ipc()
            .register_thread(ThreadId(place as u32))
            .is_err()
        {
            return;
        }
        self.generation = self.generation.wrapping_add(1) & 0xffff;
        let seat = Seat::new(socket, process, self.generation);
        let data = EventData::new_u64(seat_number(place as u32, seat.generation));
        if epoll::add(&self.poller, &seat.socket, data, seat.interest).is_err() {
            return;
        }
        if place == self.seats.len() {
            self.seats.push(None);
        }
        self.seats[place] = Some(seat);
    }

    pub(crate) fn watch_listener(&self, interest: EventFlags) {
        let data = EventData::new_u64(LISTENER);
        let _ = epoll::modify(&self.poller, &self.listener.socket, data, interest);
    }

    pub(crate) fn seat_event(&mut self, number: u64, flags: EventFlags) {
        let place = ((number - FIRST_SEAT) & 0xffff_ffff) as u32;
        let Some(seat) = self.seat(place) else {
            return;
        };
        if seat_number(place, seat.generation) != number {
            return; // Of whoever had the place before, in the same turn.
        }
        if flags.contains(EventFlags::OUT) && !seat.flush() {
            return self.close(place);
        }
        if flags.contains(EventFlags::IN) && seat.is_free() {
            self.read(place);
        } else if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            return self.close(place);
        } else if flags.contains(EventFlags::IN) {
            // More than it may send before it has its answer: that waits in its own socket.
            return self.set_interest(place, EventFlags::empty());
        }
        self.watch(place);
    }

    /// Reads a request and does what it asks for.
    fn read(&mut self, place: u32) {
        let Some(Some(seat)) = self.seats.get(place as usize) else {
            return;
        };
        match seat.read(&mut self.request) {
            Read::Nothing => {}
            Read::Gone => self.close(place),
            Read::Packet(length, file) => {
                // Taken out, and put back whatever happens between.
                let request = std::mem::take(&mut self.request);
                let understood = self.handle(place, &request[..length], file);
                self.request = request;
                self.act();
                if !understood {
                    self.close(place);
                }
            }
        }
    }

    pub(crate) fn seat(&mut self, place: u32) -> Option<&mut Seat> {
        self.seats.get_mut(place as usize)?.as_mut()
    }

    /// Has the poller wait for what a seat waits for. A thread that waits and whose program has
    /// sent nothing more costs no system call.
    pub(crate) fn watch(&mut self, place: u32) {
        if let Some(seat) = self.seat(place) {
            let (wanted, interest) = (seat.wanted(), seat.interest);
            if wanted != interest && !(wanted.is_empty() && interest == EventFlags::IN) {
                self.set_interest(place, wanted);
            }
        }
    }

    fn set_interest(&mut self, place: u32, interest: EventFlags) {
        if let Some(Some(seat)) = self.seats.get_mut(place as usize) {
            seat.interest = interest;
            let data = EventData::new_u64(seat_number(place, seat.generation));
            let _ = epoll::modify(&self.poller, &seat.socket, data, interest);
        }
    }

    /// Notes for what a thread waits, and until when.
    pub(crate) fn wait_for(&mut self, place: u32, doing: Doing, deadline: u64) {
        let Some(Some(seat)) = self.seats.get_mut(place as usize) else {
            return;
        };
        seat.doing = doing;
        if seat.deadline != u64::MAX {
            self.deadlines.remove(&(seat.deadline, place));
        }
        seat.deadline = deadline;
        if deadline != u64::MAX {
            self.deadlines.insert((deadline, place));
        }
    }

    /// A program has closed a connection, or is to have one less.
    pub(crate) fn close(&mut self, place: u32) {
        self.wait_for(place, Doing::Nothing, u64::MAX);
        let Some(seat) = self.seats.get_mut(place as usize).and_then(Option::take) else {
            return;
        };
        let _ = epoll::delete(&self.poller, &seat.socket);
        self.core.ipc().unregister_thread(ThreadId(place));
        if let Some(task) = seat.task {
            self.leave(task);
        }
        self.act();
    }
}
