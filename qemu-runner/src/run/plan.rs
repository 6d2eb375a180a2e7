//! What is to be started.
//!
//! Owns the plan of a cluster (nodes, networks, faults), the command lines that follow from it,
//! and starting it.

use super::mishaps::Agenda;
use super::outside::{Registered, lend_memory};
use super::{Fated, Lazy, Node, Run, RunError};
use crate::limits::EVENTS;
use crate::link::{Capture, LinkKind, Port, Switch, mac};
use crate::qemu::{Accelerator, Guest, Machine, Nic, Process, QemuCommand, mac_text};
use crate::trace::Trace;
use crate::ui::Ui;
use norma_faults::{Faults, Rule, Station};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// One node to be started.
#[derive(Clone, Debug)]
pub struct NodePlan {
    pub(super) name: String,
    guest: Guest,
    pub(super) image: PathBuf,
    machine: Machine,
    memory_mib: u32,
    pub(super) cluster: Option<String>,
    arguments: Vec<String>,
    module: Option<PathBuf>,
    cpu: String,
    pin: Option<usize>,
    mtu: u16,
    legacy_devices: bool,
    extra: Vec<OsString>,
}

impl NodePlan {
    /// A node called `name` that runs `image`: microvm, 64 MiB, unless told otherwise.
    #[must_use]
    pub fn new(name: &str, image: &Path) -> Self {
        Self {
            name: name.into(),
            guest: Guest::Norma,
            image: image.into(),
            machine: Machine::Microvm,
            memory_mib: 64,
            cluster: None,
            arguments: Vec::new(),
            module: None,
            cpu: "max".into(),
            pin: None,
            mtu: u16::MAX,
            legacy_devices: false,
            extra: Vec::new(),
        }
    }

    /// A Linux guest: a kernel, the archive of its first file system, its whole command line.
    #[must_use]
    pub fn linux(name: &str, kernel: &Path, archive: &Path, append: &str) -> Self {
        Self {
            guest: Guest::Linux,
            module: Some(archive.into()),
            arguments: vec![append.into()],
            ..Self::new(name, kernel)
        }
    }

    /// Another machine.
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Another cluster than the plan's: a stranger on the same network.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = Some(name.into());
        self
    }

    /// A word on the image's command line, behind `node=` and `cluster=`.
    #[must_use]
    pub fn argument(mut self, word: &str) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// A file that the image finds as its first module.
    #[must_use]
    pub fn module(mut self, file: &Path) -> Self {
        self.module = Some(file.into());
        self
    }

    /// Another `-cpu`.
    #[must_use]
    pub fn cpu(mut self, cpu: &str) -> Self {
        self.cpu = cpu.into();
        self
    }

    /// Binds all of QEMU to one processor of the host.
    #[must_use]
    pub fn pin(mut self, processor: usize) -> Self {
        self.pin = Some(processor);
        self
    }

    /// The MTU that the node's devices offer.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Gives the node virtio devices of the old kind, which it will refuse.
    #[must_use]
    pub fn legacy_devices(mut self) -> Self {
        self.legacy_devices = true;
        self
    }

    /// Further arguments for QEMU, verbatim.
    #[must_use]
    pub fn extra<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.extra.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// A network and the nodes that are on it, by their places in the plan.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name, for messages.
    pub name: String,
    /// Its nodes.
    pub members: Vec<usize>,
    /// The MTU that devices on it offer at most.
    pub mtu: u16,
    /// Whether all who can hear it are trusted.
    pub trusted: bool,
}

/// A cluster to be started.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) cluster: String,
    pub(super) nodes: Vec<NodePlan>,
    pub(super) networks: Vec<Network>,
    link: LinkKind,
    accelerator: Accelerator,
    rules: Vec<Rule>,
    seed: u64,
    switched: bool,
    capture: Option<Capture>,
    pub(super) findable: Option<String>,
    pub(super) monitored: bool,
    trace: Option<Trace>,
    quiet: bool,
}

impl Plan {
    /// These nodes, on no network.
    #[must_use]
    pub fn new(nodes: Vec<NodePlan>) -> Self {
        Self {
            cluster: "default".into(),
            nodes,
            networks: Vec::new(),
            link: LinkKind::default(),
            accelerator: Accelerator::Tcg,
            rules: Vec::new(),
            seed: 0,
            switched: false,
            capture: None,
            findable: None,
            monitored: false,
            trace: None,
            quiet: false,
        }
    }

    /// Two nodes on one network. The first is started first.
    #[must_use]
    pub fn pair(one: NodePlan, other: NodePlan) -> Self {
        Self::together(vec![one, other])
    }

    /// All these nodes on one network.
    #[must_use]
    pub fn together(nodes: Vec<NodePlan>) -> Self {
        let members = (0..nodes.len()).collect();
        Self::new(nodes).network("net", members)
    }

    /// One more network.
    #[must_use]
    pub fn network(mut self, name: &str, members: Vec<usize>) -> Self {
        self.networks.push(Network {
            name: name.into(),
            members,
            mtu: u16::MAX,
            trusted: true,
        });
        self
    }

    /// The MTU of the last network added: devices on it offer no more.
    #[must_use]
    pub fn network_mtu(mut self, mtu: u16) -> Self {
        if let Some(network) = self.networks.last_mut() {
            network.mtu = mtu;
        }
        self
    }

    /// Tells the nodes on the last network added not to trust it.
    #[must_use]
    pub fn untrusted(mut self) -> Self {
        if let Some(network) = self.networks.last_mut() {
            network.trusted = false;
        }
        self
    }

    /// The cluster's name, which is its identity on the wire.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = name.into();
        self
    }

    /// How nodes are joined directly.
    #[must_use]
    pub fn link(mut self, link: LinkKind) -> Self {
        self.link = link;
        self
    }

    /// The accelerator of all nodes.
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = accelerator;
        self
    }

    /// Faults, on every network.
    #[must_use]
    pub fn faults(mut self, seed: u64, rules: Vec<Rule>) -> Self {
        self.seed = seed;
        self.rules = rules;
        self
    }

    /// Joins nodes by a switch even where they could be joined directly: to cut links by
    /// command, to restart nodes, or to send frames from the host.
    #[must_use]
    pub fn switched(mut self) -> Self {
        self.switched = true;
        self
    }

    /// Writes all frames to a capture, if there is one: that takes a switch.
    #[must_use]
    pub fn capture(mut self, capture: Option<&Capture>) -> Self {
        self.capture = capture.cloned();
        self
    }

    /// Lets `cargo norma gdb` and its like find the nodes while they run, as those of `command`:
    /// QEMU's debugger stub and monitor then listen on sockets of this user.
    #[must_use]
    pub fn findable(mut self, command: &str) -> Self {
        self.findable = Some(command.into());
        self
    }

    /// Has QEMU's monitor listen for [`Run::ask_what_they_do`]; others do not find the nodes by
    /// that. A findable plan has it anyway.
    #[must_use]
    pub fn monitored(mut self) -> Self {
        self.monitored = true;
        self
    }

    /// Takes the events of all nodes into a trace, if there is one. Their images must be built
    /// for that.
    #[must_use]
    pub fn trace(mut self, trace: Option<&Trace>) -> Self {
        self.trace = trace.cloned();
        self
    }

    /// Does not show the consoles.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// The station of the host itself on every switch of the plan.
    #[must_use]
    pub fn host_station(&self) -> Station {
        self.nodes.len() as Station
    }

    /// The QEMU commands, in the order of the nodes.
    #[must_use]
    pub fn commands(&self) -> Vec<QemuCommand> {
        (0..self.nodes.len())
            .map(|node| self.command(node))
            .collect()
    }

    /// The QEMU commands as lines for a shell. (The descriptors in them are inherited sockets,
    /// so the lines show and explain; to run one by hand, give its device another `-netdev`.)
    #[must_use]
    pub fn command_lines(&self) -> Vec<String> {
        self.commands().iter().map(QemuCommand::to_shell).collect()
    }

    fn command(&self, index: usize) -> QemuCommand {
        let node = &self.nodes[index];
        let networks = self.networks.iter().enumerate();
        let networks = networks.filter(|(_, network)| network.members.contains(&index));
        let nic = |((place, network), fd): ((usize, &Network), i32)| Nic {
            mac: mac(place, index),
            mtu: node.mtu.min(network.mtu),
            netdev: self.kind(network).netdev(fd),
        };
        let nics: Vec<_> = networks.clone().zip(3..).map(nic).collect();
        let untrusted = networks.filter(|(_, network)| !network.trusted);
        let untrusted: Vec<_> = untrusted
            .map(|(place, _)| mac_text(mac(place, index)))
            .collect();
        let mut words = Vec::new();
        if node.guest == Guest::Norma {
            words.push(format!("node={}", node.name));
            let cluster = node.cluster.as_ref().unwrap_or(&self.cluster);
            words.push(format!("cluster={cluster}"));
            if !untrusted.is_empty() {
                words.push(format!("untrusted={}", untrusted.join(",")));
            }
        }
        words.extend(node.arguments.iter().cloned());
        QemuCommand {
            guest: node.guest,
            machine: node.machine,
            accelerator: self.accelerator,
            cpu: node.cpu.clone(),
            memory_mib: node.memory_mib,
            kernel: node.image.clone(),
            module: node.module.clone(),
            append: words.join(" "),
            legacy_devices: node.legacy_devices,
            memory_file: self.traces(node).then_some(3 + nics.len() as i32),
            nics,
            extra: node.extra.clone(),
        }
    }

    /// Whether a node's events are taken: a Linux guest notes none.
    /// Whether the events of its nodes are taken.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    fn traces(&self, node: &NodePlan) -> bool {
        self.trace.is_some() && node.guest == Guest::Norma
    }

    pub(super) fn is_direct(&self, network: &Network) -> bool {
        network.members.len() == 2
            && self.rules.is_empty()
            && !self.switched
            && self.capture.is_none()
    }

    fn kind(&self, network: &Network) -> LinkKind {
        if self.is_direct(network) {
            self.link
        } else {
            Port::KIND
        }
    }

    /// Starts everything. The nodes die with the calling thread at the latest.
    ///
    /// # Errors
    /// The plan makes no sense, or the host refuses something.
    pub fn start(&self, ui: &Ui) -> Result<Run, RunError> {
        let mut ends: Vec<Vec<OwnedFd>> = self.nodes.iter().map(|_| Vec::new()).collect();
        let mut switches = Vec::new();
        let capture = self.capture.as_ref().map(|file| (file, file.new_run()));
        for (place, network) in self.networks.iter().enumerate() {
            let switch = self
                .join(place, network, &mut ends, capture)
                .map_err(|error| self.network_error(network, error))?;
            switches.extend(switch);
        }
        let (sender, events) = sync_channel(EVENTS);
        let mut commands = self.commands();
        let registered = self.register(ui, &mut commands, &switches);
        let Registered {
            registration,
            door,
            monitors,
        } = registered.unwrap_or_default();
        let mut run = Run {
            events,
            sender,
            nodes: Vec::new(),
            switches,
            agenda: Agenda::new(&self.rules, &self.names()),
            ui: *ui,
            echo: !self.quiet,
            _door: door,
            _registration: registration,
        };
        let trace = self
            .trace
            .as_ref()
            .map(|trace| (trace.clone(), trace.new_run()));
        for (index, (mut sockets, command)) in ends.into_iter().zip(commands).enumerate() {
            let plan = &self.nodes[index];
            let trace = trace.clone().filter(|_| self.traces(plan));
            let started = |source| RunError::Start {
                node: plan.name.clone(),
                source,
            };
            let memory = lend_memory(trace.as_ref(), &plan.name, &command, &mut sockets);
            let memory = memory.map_err(started)?;
            let process = Process::start(&command, sockets, plan.pin, index, run.sender.clone())
                .map_err(started)?;
            run.nodes.push(Node {
                name: plan.name.clone(),
                command,
                pin: plan.pin,
                process,
                log: Default::default(),
                outcome: None,
                symbols: Lazy::Unread(plan.image.clone()),
                panicking: false,
                fated: Fated::No,
                monitor: monitors.get(index).cloned(),
                hung: false,
                trace,
                _memory: memory,
            });
        }
        Ok(run)
    }

    fn network_error(&self, network: &Network, source: std::io::Error) -> RunError {
        RunError::Plan(format!(
            "cannot make the network {}: {source}",
            network.name
        ))
    }

    /// Makes a network and gives each member its end of it.
    fn join(
        &self,
        place: usize,
        network: &Network,
        ends: &mut [Vec<OwnedFd>],
        capture: Option<(&Capture, u64)>,
    ) -> std::io::Result<Option<Switch>> {
        if let ([one, other], true) = (&network.members[..], self.is_direct(network)) {
            let (end, other_end) = self.link.pair()?;
            ends[*one].push(end);
            ends[*other].push(other_end);
            return Ok(None);
        }
        let mut ports = Vec::new();
        for member in &network.members {
            let port = Port::new(*member as Station)?;
            ends[*member].push(port.node_end()?);
            ports.push(port);
        }
        if self.switched {
            ports.push(Port::new(self.host_station())?);
        }
        let stations = || self.stations().into_iter().map(str::to_owned).collect();
        let tap = capture.map(|(file, run)| file.tap(run, &network.name, stations()));
        Ok(Some(Switch::start(ports, self.fault_rules(place)?, tap)?))
    }

    fn names(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// The names of all stations: nodes, and the host.
    fn stations(&self) -> Vec<&str> {
        [self.names(), vec!["host"]].concat()
    }

    fn fault_rules(&self, place: usize) -> std::io::Result<Faults> {
        // Networks differ in their faults, repeatably.
        let seed = self.seed.wrapping_add(place as u64);
        Faults::new(seed, &self.rules, &self.stations())
            .map_err(|(_, error)| std::io::Error::other(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_faults::Action;

    fn nodes(count: usize) -> Vec<NodePlan> {
        (0..count)
            .map(|i| NodePlan::new(&format!("n{i}"), Path::new("/image")))
            .collect()
    }

    #[test]
    fn two_nodes_without_faults_are_joined_directly() {
        let direct = |plan: &Plan| plan.is_direct(&plan.networks[0]);
        let plan = Plan::together(nodes(2)).link(LinkKind::Stream);
        assert!(direct(&plan));
        assert!(
            plan.command_lines()[0].contains("stream,id=n0"),
            "{:?}",
            plan.command_lines()
        );
        assert!(!direct(&Plan::together(nodes(3))));
        assert!(!direct(&plan.clone().switched()));
        let faulty = plan.faults(1, vec![Rule::new(Action::Drop)]);
        assert!(!direct(&faulty));
        assert!(
            faulty.command_lines()[0].contains("dgram,id=n0"),
            "{:?}",
            faulty.command_lines()
        );
    }

    #[test]
    fn a_node_on_two_networks_has_two_devices() {
        let plan = Plan::new(nodes(3))
            .network("left", vec![0, 1])
            .network("right", vec![1, 2]);
        let nics: Vec<_> = plan
            .commands()
            .iter()
            .map(|command| command.nics.len())
            .collect();
        assert_eq!(nics, [1, 2, 1]);
        let mut macs: Vec<_> = plan
            .commands()
            .into_iter()
            .flat_map(|c| c.nics)
            .map(|nic| nic.mac)
            .collect();
        macs.sort_unstable();
        macs.dedup();
        assert_eq!(macs.len(), 4);
    }

    #[test]
    fn a_network_has_its_own_mtu_and_trust() {
        let plan = Plan::new(vec![nodes(1).remove(0).mtu(9000), nodes(2).remove(1)])
            .network("near", vec![0, 1])
            .network("far", vec![0, 1])
            .network_mtu(1500)
            .untrusted();
        let commands = plan.commands();
        let mtus: Vec<Vec<u16>> = commands
            .iter()
            .map(|command| command.nics.iter().map(|nic| nic.mtu).collect())
            .collect();
        assert_eq!(mtus, [[9000, 1500], [65_535, 1500]]);
        let second = mac_text(commands[1].nics[1].mac);
        assert_eq!(second, "52:54:00:01:00:02");
        assert!(
            commands[1]
                .append
                .ends_with(&format!(" untrusted={second}"))
        );
    }

    #[test]
    fn the_image_is_told_who_it_is() {
        let node = NodePlan::new("a", Path::new("/image")).argument("k=v");
        let plan = Plan::new(vec![node]).cluster("zoo");
        assert_eq!(plan.commands()[0].append, "node=a cluster=zoo k=v");
    }
}
