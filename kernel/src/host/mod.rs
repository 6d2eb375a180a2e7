//! What a node answers about itself: the kernel's special ports, and threads begun from afar.
//!
//! Owns: one thread that receives from the ports in the first three slots of the node and from
//! that of each entry. It is started when the node is ready, so that nothing waits for it; it
//! uses ports as any service does ([`crate::face`]).
//! Leaves to others: the slots themselves and how they are found (`norma_net`).
//!
//! Source: NORMA's host, device and name server ports, and its creation of tasks on another
//! node (OSF MK kernel interfaces, Appendix D).

mod answers;
mod entries;
pub(crate) mod protocol;

use crate::face::{
    Failure, Message, Node, PortSet, ReceiveRight, SendRight, Start, set_kernel_port,
};
use crate::limits::{ENTRIES, LEAST_STACK, PRIORITIES};
use crate::sync::IrqLock;
use core::mem::ManuallyDrop;
use entries::Entry;
use norma_net::{DEVICE_PORT, HOST_PORT, NAME_PORT};

/// The set from which the thread receives, and the entries whose ports are in it.
struct Host {
    set: PortSet,
    entries: heapless::Vec<Entry, ENTRIES>,
}

static HOST: IrqLock<Option<Host>> = IrqLock::new(None);

/// The ports in the kernel's slots.
struct Ports {
    device: ReceiveRight,
    host: ReceiveRight,
    name: ReceiveRight,
}

/// Starts the thread, and makes the node known by its name. A node on which this fails does all
/// else.
///
/// # Errors
/// [`Failure::NoMemory`].
pub fn start() -> Result<(), Failure> {
    let ports = Ports {
        device: ReceiveRight::new()?,
        host: ReceiveRight::new()?,
        name: ReceiveRight::new()?,
    };
    let set = PortSet::new()?;
    for (port, which) in [
        (&ports.device, DEVICE_PORT),
        (&ports.host, HOST_PORT),
        (&ports.name, NAME_PORT),
    ] {
        set.add(port)?;
        set_kernel_port(which, port.make_send()?)?;
    }
    // The thread's own handle of the set, which is never given up.
    let receive_from = ManuallyDrop::new(PortSet { name: set.name() });
    *HOST.lock() = Some(Host {
        set,
        entries: heapless::Vec::new(),
    });
    let thread = move || serve(&receive_from, &ports);
    // It answers at once, whatever runs: who asks is perhaps another node.
    Node::started()
        .spawn_with_stack("node", PRIORITIES as u8 - 1, LEAST_STACK * 2, thread)
        .map_err(|_| Failure::NoMemory)?;
    crate::node::lock().core.make_known();
    Ok(())
}

/// Lets other nodes start threads that run `function`: see [`Node::register_entry`].
pub(crate) fn register(name: &str, priority: u8, function: fn(&mut Start)) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    let entry = Entry::new(name, priority, function, port)?;
    let mut host = HOST.lock();
    let host = host.as_mut().ok_or(Failure::NoMemory)?;
    if host.entries.iter().any(|other| other.name() == name) {
        return Err(Failure::NameTaken);
    }
    if host.entries.is_full() {
        return Err(Failure::NoMemory);
    }
    host.set.add(entry.port())?;
    // There is room.
    let _ = host.entries.push(entry);
    Ok(())
}

/// A right to the port of an entry.
fn entry_right(name: &str) -> Result<SendRight, Failure> {
    let host = HOST.lock();
    let mut entries = host.iter().flat_map(|host| &host.entries);
    let entry = entries.find(|entry| entry.name() == name);
    entry.ok_or(Failure::NoSuchEntry)?.port().make_send()
}

/// The entry to whose port a message came.
fn entry_of(message: &Message) -> Option<entries::Begin> {
    let host = HOST.lock();
    let mut entries = host.iter().flat_map(|host| &host.entries);
    let entry = entries.find(|entry| entry.port().received(message))?;
    Some(entry.begin())
}

fn serve(set: &PortSet, ports: &Ports) {
    loop {
        // A notification that comes here was asked for by nobody.
        let Ok(message) = set.receive() else {
            continue;
        };
        match entry_of(&message) {
            Some(entry) => entry.start(message),
            None if message.expects_reply() => {
                if let Some(answer) = answers::answer(ports, message) {
                    // Whoever asked may be gone.
                    let _ = answer.reply();
                }
            }
            None => {}
        }
    }
}
