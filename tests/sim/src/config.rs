//! What a run consists of.

use core::time::Duration;

use norma_faults::{Action, Rule};

use crate::link::Link;
use crate::topology::Segment;
use crate::wild::Wild;

/// A run. All of it follows from these fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where all chance comes from.
    pub seed: u64,
    /// Nodes; each has one server, and clients of all servers.
    pub nodes: usize,
    /// Calling threads on each node.
    pub clients: usize,
    /// Calls that each of them makes.
    pub calls: u32,
    /// Whether calls also pass rights around.
    pub rights: bool,
    /// Most bytes of out-of-line memory in a call, and in its reply.
    pub max_memory: usize,
    /// Most bytes of inline data besides the first 32.
    pub max_inline: usize,
    /// Threads on each node that send one-way messages.
    pub senders: usize,
    /// Messages that each of them sends.
    pub messages: u32,
    /// How long the receiver of one-way messages takes for each.
    pub receiver_pause: Duration,
    /// The number of the first frame in each session, instead of a random one.
    pub first_sequence: Option<u32>,
    /// Threads that do whatever can be done, instead of clients and senders.
    pub wild: Option<Wild>,
    /// Largest Ethernet payload.
    pub mtu: u16,
    /// Nodes with another one.
    pub other_mtu: Vec<(usize, u16)>,
    /// The networks and who is on each; a node on several is a router. One with everybody on it
    /// if there is none here.
    pub networks: Vec<Segment>,
    /// Receive buffers of each node.
    pub receive_buffers: u16,
    /// How long a frame takes.
    pub latency: Duration,
    /// The wire to each node, if it is not infinitely fast.
    pub link: Option<Link>,
    /// What the network does to frames, and what befalls nodes: node 0 is called `node0`.
    pub rules: Vec<Rule>,
    /// Calls may fail because a node is taken for dead. Set when that can rightly happen.
    pub deaths: bool,
    /// Frames may be changed on the way: what they carry is not checked, and calls may time out.
    pub corruption: bool,
    /// Frames are forged: what nodes believe of each other, and what comes of messages, means
    /// nothing. What must hold is what each node can see to alone.
    pub forged: bool,
    /// Virtual time after which a run that has not ended has failed.
    pub limit: Duration,
    /// Steps between two audits of the node concerned; 0 for none, where a test holds rights
    /// in its own hands.
    pub audit_every: u64,
    /// A test holds rights in its own hands, which those audits cannot see: they do not count
    /// references then, and look at the rest.
    pub in_hands: bool,
}

impl Default for Config {
    /// Two nodes, one client each, on a bad network.
    fn default() -> Self {
        Config {
            seed: 1,
            nodes: 2,
            clients: 1,
            calls: 2000,
            rights: false,
            max_memory: 0,
            max_inline: 64,
            senders: 0,
            messages: 0,
            receiver_pause: Duration::ZERO,
            first_sequence: None,
            wild: None,
            mtu: 65_521,
            other_mtu: Vec::new(),
            networks: Vec::new(),
            receive_buffers: 64,
            latency: Duration::from_micros(50),
            link: None,
            rules: bad_network(0.2),
            deaths: false,
            corruption: false,
            forged: false,
            limit: Duration::from_secs(600),
            audit_every: 1,
            in_hands: false,
        }
    }
}

impl Config {
    /// What rules call the nodes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (0..self.nodes).map(node_name).collect()
    }

    /// A network without faults.
    #[must_use]
    pub fn calm(mut self) -> Self {
        self.rules.clear();
        self
    }
}

/// What rules call the node of that number.
#[must_use]
pub fn node_name(number: usize) -> String {
    format!("node{number}")
}

/// A network that loses so many of its frames, doubles some and lets some overtake others.
#[must_use]
pub fn bad_network(loss: f64) -> Vec<Rule> {
    let jitter = |jitter| Some(jitter);
    vec![
        Rule::new(Action::Drop).with_probability(loss),
        Rule {
            jitter_ms: jitter(3.0),
            ..Rule::new(Action::Duplicate).with_probability(0.1)
        },
        Rule {
            jitter_ms: jitter(1.0),
            ..Rule::new(Action::Reorder).with_probability(0.2)
        },
    ]
}
