//! The daemon's links: frames from them into the core, and back.
//!
//! Owns: which link is which network, and what is done about one that has no room or is gone.
//! What `kernel/src/node.rs` and its cards are in a kernel.

use crate::arguments::LinkArgument;
use crate::daemon::{Core, Daemon, DaemonError, FIRST_LINK, random};
use crate::link::Link;
use crate::page::{Page, Pages};
use norma_flip::{Instant, NetworkId};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::time::Duration;

impl Daemon {
    pub(crate) fn link_event(&mut self, place: usize, flags: EventFlags) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        let was_blocked = link.blocked;
        if flags.contains(EventFlags::OUT) {
            link.resume();
        }
        if link.gone {
            return self.part_with(place);
        }
        let resumed = was_blocked && !link.blocked;
        if resumed {
            self.watch_link(place, EventFlags::IN);
        }
        self.receive_on(place);
        if resumed {
            self.act();
        }
    }

    /// Takes frames from a link, and carries out what follows; whether there were any.
    pub(crate) fn receive_on(&mut self, place: usize) -> bool {
        let (core, now) = (&mut self.core, self.now);
        let network = NetworkId(place as u8);
        let Some(link) = self.links.get_mut(place).filter(|link| !link.gone) else {
            return false;
        };
        let before = link.counters.received;
        if place == 0 {
            link.receive(|frame| core.handle_frame(now, frame));
        } else {
            link.receive(|frame| core.handle_frame_on(now, network, frame));
        }
        let any = link.counters.received > before;
        if link.gone {
            self.part_with(place);
        }
        if any {
            // Whoever waits for what has come goes first.
            while let Some(thread) = self.core.poll_urgent_wake() {
                self.wake(thread);
            }
            self.act();
        }
        any
    }

    /// The other end of a link is gone, for ever: nothing is to be heard of it any more.
    fn part_with(&self, place: usize) {
        if let Some(link) = self.links.get(place) {
            let _ = epoll::delete(&self.poller, link.descriptor());
            eprintln!("netmsgd: the other end of link {place} is gone");
        }
    }

    fn watch_link(&self, place: usize, interest: EventFlags) {
        if let Some(link) = self.links.get(place) {
            let data = EventData::new_u64(FIRST_LINK + place as u64);
            let _ = epoll::modify(&self.poller, link.descriptor(), data, interest);
        }
    }

    /// Sends what the core has; whether there was anything.
    pub(crate) fn transmit(&mut self) -> bool {
        let mut any = false;
        let now = self.now;
        let (several, none) = (self.links.len() > 1, self.links.is_empty());
        if none {
            discard(&mut self.core, now);
        }
        for place in 0..self.links.len() {
            let (core, network) = (&mut self.core, NetworkId(place as u8));
            let link = &mut self.links[place];
            if link.blocked {
                continue;
            }
            if link.gone {
                // What is for nobody is lost, as on a cable that was cut.
                while several && core.wants_transmit_on(now, network) {
                    if !discard_one(|frame| core.poll_transmit_on(now, network, frame)) {
                        break;
                    }
                }
                if !several {
                    discard(core, now);
                }
                continue;
            }
            if several {
                while core.wants_transmit_on(now, network)
                    && link.send(|frame| core.poll_transmit_on(now, network, frame))
                {
                    any = true;
                }
            } else {
                while core.wants_transmit(now) && link.send(|frame| core.poll_transmit(now, frame))
                {
                    any = true;
                }
            }
            if link.blocked {
                self.watch_link(place, EventFlags::IN | EventFlags::OUT);
            }
        }
        any
    }
}

pub(crate) fn open_links(
    links: &[LinkArgument],
    spin: Duration,
    source: &mut Pages,
) -> Result<Vec<Link>, DaemonError> {
    let mut opened = Vec::new();
    for LinkArgument {
        kind,
        mtu,
        mac: station,
        ..
    } in links
    {
        let (wire, own, mtu, buffers) = crate::link::open(kind, *mtu).map_err(DaemonError::Link)?;
        let mac = match station.or(own) {
            Some(mac) => mac,
            // Locally administered, for one station.
            None => {
                let random: [u8; 6] = random().map_err(DaemonError::Host)?;
                [
                    (random[0] & 0xfc) | 2,
                    random[1],
                    random[2],
                    random[3],
                    random[4],
                    random[5],
                ]
            }
        };
        let link = Link::new(wire, (mac, mtu, buffers), source);
        let link = link.map_err(DaemonError::Link)?;
        if !spin.is_zero() {
            crate::link::poll_card(&link, spin);
        }
        opened.push(link);
    }
    Ok(opened)
}

/// What a node without a network sends goes nowhere.
fn discard(core: &mut Core, now: Instant) {
    while core.wants_transmit(now) && discard_one(|frame| core.poll_transmit(now, frame)) {}
}

fn discard_one(poll: impl FnOnce(&mut norma_flip::Outgoing<'_, Page>) -> bool) -> bool {
    let mut pages = heapless::Vec::new();
    poll(&mut norma_flip::Outgoing {
        head: &mut [0; norma_flip::HEAD],
        pages: &mut pages,
        length: 0,
    })
}
