//! One machine: a node, its threads, and the adapter between frames in memory and bytes.

use core::time::Duration;

use norma_flip::{FRAME_PAGES, HEAD, Incoming, Instant, NetworkId, Outgoing};
use norma_ipc::{HeapPage, HeapPages, PAGE_SIZE, Page, PageSource, SpaceId, ThreadId};
use norma_net::{Config as NodeConfig, NodeName};

use crate::Node;
use crate::actor::Actor;
use crate::config::Config;
use crate::heap::{self, Pages};
use crate::topology::mac;

/// A thread: it runs when it is woken, or when its time has come.
pub(crate) struct Thread {
    pub(crate) actor: Option<Box<dyn Actor>>,
    pub(crate) runnable: bool,
    pub(crate) wake_at: Option<Duration>,
    pub(crate) done: bool,
}

/// A node and what runs on it.
pub struct Machine {
    number: usize,
    pub(crate) node: Node,
    /// On which network each of its cards is.
    networks: Vec<usize>,
    pub(crate) space: SpaceId,
    pub(crate) threads: Vec<Thread>,
    pub(crate) dead: bool,
    pub(crate) frozen_until: Duration,
    /// Times that it was started.
    pub(crate) boots: u64,
    /// What a kernel's timer is set to: only ever to an earlier time, until it goes off.
    timer: Option<Instant>,
    /// Times that it was set.
    pub(crate) timer_settings: u64,
}

/// The time of a node: none begins at zero.
pub(crate) fn instant(now: Duration) -> Instant {
    Instant(1_000_000_000 + now.as_nanos() as u64)
}

/// The reverse of [`instant`].
pub(crate) fn since_start(instant: Instant) -> Duration {
    Duration::from_nanos(instant.0.saturating_sub(1_000_000_000))
}

impl Machine {
    pub(crate) fn new(index: usize, config: &Config, boots: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&config.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&(index as u64).to_le_bytes());
        seed[16..24].copy_from_slice(&boots.to_le_bytes());
        let networks = config.networks_of(index);
        let name = NodeName::new(&format!("node{index}")).unwrap_or_default();
        let node_config = NodeConfig {
            name,
            cluster: NodeConfig::cluster_identity("sim"),
            mac: mac(networks[0], index),
            mtu: config.mtu_of(networks[0], index),
            receive_buffers: config.receive_buffers,
            seed,
        };
        let mut node = Node::new(node_config, Pages::default()).expect("a node can start");
        for network in &networks[1..] {
            let card = norma_net::Network {
                mac: mac(*network, index),
                mtu: config.mtu_of(*network, index),
                receive_buffers: config.receive_buffers,
            };
            node.add_network(card).expect("there is a place for a card");
        }
        if let Some(first) = config.first_sequence {
            node.set_first_sequence(first);
        }
        let space = node
            .ipc()
            .create_space(10_000)
            .expect("a space can be made");
        Machine {
            number: index,
            node,
            networks,
            space,
            threads: Vec::new(),
            dead: false,
            frozen_until: Duration::ZERO,
            boots,
            timer: None,
            timer_settings: 0,
        }
    }

    /// The node.
    pub fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    /// How often a kernel would have set its timer for the node.
    #[must_use]
    pub fn timer_settings(&self) -> u64 {
        self.timer_settings
    }

    /// Sets the timer as a kernel does.
    pub(crate) fn set_timer(&mut self) {
        let Some(due) = self.node.poll_timeout() else {
            return;
        };
        if self.timer.is_none_or(|timer| due < timer) {
            self.timer = Some(due);
            self.timer_settings += 1;
        }
    }

    /// The timer goes off, if it is time.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.timer.is_some_and(|timer| timer <= instant(now)) {
            self.timer = None;
        }
        heap::of(self.number, || self.node.handle_timeout(instant(now)));
    }

    /// The one space in which all threads of the machine have their rights.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// A new thread. Without an actor, whoever drives the world acts for it.
    pub fn spawn(&mut self, actor: Option<Box<dyn Actor>>) -> ThreadId {
        let thread = ThreadId(self.threads.len() as u32);
        self.node
            .ipc()
            .register_thread(thread)
            .expect("a thread can be made");
        let runnable = actor.is_some();
        self.threads.push(Thread {
            actor,
            runnable,
            wake_at: None,
            done: false,
        });
        thread
    }

    pub(crate) fn wake(&mut self, thread: ThreadId) {
        if let Some(thread) = self.threads.get_mut(thread.0 as usize) {
            thread.runnable = true;
        }
    }

    /// The next frame that the node sends, and on which network.
    pub(crate) fn transmit(&mut self, now: Duration) -> Option<(usize, Vec<u8>)> {
        (0..self.networks.len()).find_map(|card| {
            let bytes = self.transmit_on(now, card)?;
            Some((self.networks[card], bytes))
        })
    }

    fn transmit_on(&mut self, now: Duration, card: usize) -> Option<Vec<u8>> {
        let mut head = [0; HEAD];
        let mut pages: heapless::Vec<HeapPage, FRAME_PAGES> = heapless::Vec::new();
        let mut frame = Outgoing {
            head: &mut head,
            pages: &mut pages,
            length: 0,
        };
        let now = instant(now);
        // A node on one network goes the way of such nodes.
        let some = heap::of(self.number, || match self.networks[..] {
            [_] => self.node.poll_transmit(now, &mut frame),
            _ => self
                .node
                .poll_transmit_on(now, NetworkId(card as u8), &mut frame),
        });
        if !some {
            return None;
        }
        let length = frame.length;
        let mut bytes = head[..length.min(HEAD)].to_vec();
        for page in &pages {
            let count = (length - bytes.len()).min(PAGE_SIZE);
            bytes.extend_from_slice(&page.bytes()[..count]);
        }
        assert_eq!(bytes.len(), length, "a frame has as many bytes as it says");
        Some(bytes)
    }

    /// Hands bytes received on a network to the node, in the shape in which a device delivers
    /// them.
    pub(crate) fn receive(&mut self, now: Duration, network: usize, bytes: &[u8]) {
        let mut source = HeapPages::default();
        let behind = &bytes[bytes.len().min(HEAD)..];
        let mut pages: Vec<HeapPage> = Vec::new();
        for chunk in behind.chunks(PAGE_SIZE) {
            let mut page = source.allocate().expect("there are pages");
            page.bytes_mut().expect("it is fresh")[..chunk.len()].copy_from_slice(chunk);
            pages.push(page);
        }
        let head = &bytes[..bytes.len().min(HEAD)];
        let mut frame = Incoming {
            head,
            length: bytes.len(),
            pages: &mut pages,
        };
        let card = self.networks.iter().position(|on| *on == network);
        let card = NetworkId(card.expect("it has a card there") as u8);
        heap::of(self.number, || {
            self.node.handle_frame_on(instant(now), card, &mut frame);
        });
    }

    /// When the machine next wants to run on its own account.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        if self.dead {
            return None;
        }
        let threads = self.threads.iter().filter(|thread| !thread.done);
        let threads = threads.filter_map(|t| if t.runnable { Some(now) } else { t.wake_at });
        let node = self.node.poll_timeout().map(since_start);
        let due = threads.chain(node).min()?;
        Some(due.max(self.frozen_until).max(now))
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.node.ipc_ref().audit(self.node.held_rights())?;
        self.check_stand_ins()
    }

    pub(crate) fn check_stand_ins(&self) -> Result<(), String> {
        norma_net::audit([&self.node])
    }
}
