//! Every bound of the runner, with its reason.

use std::time::Duration;

/// Bytes of one console line that are kept; a guest that never ends its line must not fill the
/// host's memory.
pub const CONSOLE_LINE: usize = 64 * 1024;

/// Console lines kept per node for waits and failure reports.
pub const CONSOLE_LINES: usize = 4096;

/// Console lines shown when a node failed.
pub const REPORTED_LINES: usize = 40;

/// The same of one that was stopped to say what its threads do: some hundred threads.
pub const STOPPED_LINES: usize = 2000;

/// Events of consoles under way to the thread that waits for them. A guest that prints faster
/// is held up by its own pipe.
pub const EVENTS: usize = 1024;

/// Frames that wait in the switch for one port whose socket is full: two receive rings of a
/// guest. More would only add delay.
pub const SWITCH_QUEUE: usize = 512;

/// Frames taken from one port before the others have their turn.
pub const SWITCH_BATCH: usize = 32;

/// Those that can join a running network by a port of the switch at a time: commands that look
/// into a node, one or two of them typed by a person.
pub const SWITCH_GUESTS: usize = 32;

/// The largest frame: what a virtio-net device with an MTU of 65,535 can send, plus Ethernet's
/// header, rounded up.
pub const FRAME: usize = 65_536 + 64;

/// Learned addresses per switch; a flood of invented ones must not fill the host's memory.
pub const SWITCH_ADDRESSES: usize = 1024;

/// Bytes asked for as a socket's send buffer. The kernel grants no more than
/// `net.core.wmem_max` of it; what it grants by default holds four large frames.
pub const SEND_BUFFER: usize = 4 << 20;

/// How long a signal waits for the orderly way out before the process is ended.
pub const ORDERLY_END: Duration = Duration::from_secs(3);

/// How often a waiting thread looks whether a signal came.
pub const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// Nodes in a cluster file. Each is a process with threads of its own; a host that can run more
/// deserves a larger number here.
pub const NODES: usize = 64;

/// Networks in a cluster file, and networks that one node can be on: QEMU's microvm has eight
/// virtio-mmio slots.
pub const NETWORKS: usize = 8;

/// The least MTU of a device: nodes take a smaller one for this, as `norma-flip` bounds it.
pub const MIN_MTU: u16 = 576;

/// Networks that one node can be on: what its kernel drives cards for.
pub const NODE_NETWORKS: usize = 4;

/// The smallest and the largest memory of a node in MiB: below, QEMU's own firmware has no room.
pub const MEMORY_MIB: std::ops::RangeInclusive<u32> = 8..=65_536;

/// The time-out of `demo`.
pub const DEMO_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the demo's file: what one message carries out of line.
pub const DEMO_FILE: usize = 64 << 20;

/// Lines that a daemon that is started may say before it serves, or instead of it: it says one
/// for each link.
pub const SAID_LINES: usize = 16;

/// How long QEMU's monitor may take to answer, and a node to say what its threads do: both take
/// milliseconds, on a host that is not too busy.
pub const MONITOR_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a unix socket's path, as the kernel has it: 108 with the zero behind it.
pub const SOCKET_PATH: usize = 107;
