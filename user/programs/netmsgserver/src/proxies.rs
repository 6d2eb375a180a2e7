//! Proxies: ports of the server's that stand for ports of other nodes.
//!
//! Owns: which stands for which, and when one is given up: when nobody on this node has a right to
//! it any more, or the port that it stands for has died.
//!
//! That nobody has one is told without a word about which port it is. So each counts the rights
//! made to it from a number of its own on, and what is told is that count.

use crate::limits::QUEUE;
use crate::server::Server;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use norma_ipc::{About, Delivery, Name, Notification, RightKind, ThreadId};
use norma_user::{Failure, ReceiveRight, SendRight};

/// Rights made to a proxy before its count begins again.
const COUNTS: u32 = 1 << 16;

#[derive(Debug)]
pub struct Proxy {
    pub port: ReceiveRight,
    /// What the core calls the right to the port of the other node.
    pub remote: Name,
    /// Its number among all proxies.
    number: u16,
    /// Rights made since the count began.
    made: u32,
    /// It was asked to be told when there are none.
    asked: bool,
}

#[derive(Debug, Default)]
pub struct Proxies {
    /// By what the kernel calls the port.
    proxies: BTreeMap<u32, Proxy>,
    by_remote: BTreeMap<u32, u32>,
    numbers: Vec<Option<u32>>,
    free: Vec<u16>,
}

impl Proxies {
    pub fn get(&self, port: u32) -> Option<&Proxy> {
        self.proxies.get(&port)
    }

    /// What the kernel calls the port that stands for the one of which the core has this right.
    pub fn of(&self, remote: Name) -> Option<u32> {
        self.by_remote.get(&remote.raw()).copied()
    }

    pub fn insert(&mut self, port: ReceiveRight, remote: Name) -> Result<u32, ReceiveRight> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => match u16::try_from(self.numbers.len()) {
                Ok(number) => {
                    self.numbers.push(None);
                    number
                }
                Err(_) => return Err(port),
            },
        };
        let name = port.name().raw();
        self.numbers[usize::from(number)] = Some(name);
        self.by_remote.insert(remote.raw(), name);
        self.proxies.insert(
            name,
            Proxy {
                port,
                remote,
                number,
                made: 0,
                asked: false,
            },
        );
        Ok(name)
    }

    pub fn remove(&mut self, port: u32) -> Option<Proxy> {
        let proxy = self.proxies.remove(&port)?;
        self.by_remote.remove(&proxy.remote.raw());
        self.numbers[usize::from(proxy.number)] = None;
        self.free.push(proxy.number);
        Some(proxy)
    }
}

impl Proxy {
    fn base(&self) -> u32 {
        u32::from(self.number) * COUNTS
    }
}

impl Server {
    /// The proxy of a port of another node, for a send right of the core's to it, which it takes;
    /// one that is not there yet is made.
    pub fn proxy_for(&mut self, remote: Name) -> Result<u32, Failure> {
        if let Some(port) = self.proxies.of(remote) {
            // It has its own already.
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, remote, RightKind::Send);
            return Ok(port);
        }
        let made = ReceiveRight::new().and_then(|port| {
            port.set_queue_limit(QUEUE)?;
            Ok(port)
        });
        match made {
            Ok(port) => self.stand_in(port, remote),
            Err(failure) => {
                let ipc = self.core.ipc();
                let _ = ipc.deallocate(self.space, remote, RightKind::Send);
                Err(failure)
            }
        }
    }

    /// Has `port` stand for the port of another node.
    pub fn stand_in(&mut self, port: ReceiveRight, remote: Name) -> Result<u32, Failure> {
        let added = self.set.add(&port);
        let port = added.and_then(|()| {
            let inserted = self.proxies.insert(port, remote);
            inserted.map_err(|_| Failure::NoMemory)
        });
        let ipc = self.core.ipc();
        if port.is_err() {
            let _ = ipc.deallocate(self.space, remote, RightKind::Send);
            return port;
        }
        if let Ok(notify) = ipc.make_right(self.space, self.core_news, RightKind::SendOnce)
            && let Err(refused) = ipc.request(self.space, remote, About::Death, notify)
        {
            ipc.retract(refused.right);
        }
        port
    }

    /// A send right to a proxy, for a program.
    pub fn right_to(&mut self, port: u32) -> Result<SendRight, Failure> {
        let proxy = self.proxies.proxies.get_mut(&port);
        let proxy = proxy.ok_or(Failure::InvalidName)?;
        if proxy.made == 0 || proxy.made == COUNTS - 1 {
            proxy.port.set_make_sends(proxy.base())?;
            proxy.made = 0;
            // What was asked with the count before is asked anew.
            proxy.asked = false;
        }
        let right = proxy.port.make_send()?;
        proxy.made += 1;
        self.watch_senders(port)?;
        Ok(right)
    }

    /// Asks to be told when nobody on this node has a right to a proxy.
    pub fn watch_senders(&mut self, port: u32) -> Result<(), Failure> {
        let Some(proxy) = self.proxies.proxies.get_mut(&port) else {
            return Ok(());
        };
        if !proxy.asked {
            let notify = self.news.make_send_once()?;
            let count = proxy.base() + proxy.made;
            let asked = proxy.port.notify_no_senders(count, notify);
            asked.map_err(|error| error.failure)?;
            proxy.asked = true;
        }
        Ok(())
    }

    /// There is no right to some proxy, which had made so many.
    pub fn no_senders(&mut self, make_sends: u32) {
        let number = (make_sends / COUNTS) as usize;
        let Some(port) = self.proxies.numbers.get(number).copied().flatten() else {
            return;
        };
        let Some(proxy) = self.proxies.proxies.get_mut(&port) else {
            return;
        };
        proxy.asked = false;
        // Another may have been made since.
        let left = proxy.port.status().is_ok_and(|status| status.has_senders);
        if left || make_sends % COUNTS != proxy.made {
            let _ = self.watch_senders(port);
            return;
        }
        if let Some(proxy) = self.proxies.remove(port) {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, proxy.remote, RightKind::Send);
        }
    }

    /// The core has news about a port of another node.
    pub fn news_of_others(&mut self, thread: ThreadId, delivery: Delivery<crate::pages::Page>) {
        match delivery {
            Delivery::Notification(Notification::DeadName { name, .. }) => {
                if let Some(port) = self.proxies.of(name) {
                    // With its receive right the port dies, and all who have rights to it learn.
                    drop(self.proxies.remove(port));
                }
                let ipc = self.core.ipc();
                let _ = ipc.destroy(self.space, name);
            }
            other => self.core.ipc().discard_delivery(other),
        }
        self.listen(thread, self.core_news);
    }
}
