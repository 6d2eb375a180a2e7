//! Proxies: ports of the server's that stand for ports of other nodes.
//!
//! Owns: which stands for which, and when one is given up: when nobody on this node has a right to
//! it any more, or the port that it stands for has died.
//!
//! That nobody has one is told at the proxy itself: behind all that was sent to it, so that what a
//! program sent before it gave its right up goes out.

use crate::limits::QUEUE;
use crate::reasons;
use crate::server::Server;
use alloc::collections::BTreeMap;
use norma_ipc::{About, Name, Notification, RightKind, ThreadId};
use norma_user::{Delivery, Failure, ReceiveRight, SendRight};

type CoreDelivery = norma_ipc::Delivery<crate::pages::Page>;

#[derive(Debug)]
pub struct Proxy {
    pub port: ReceiveRight,
    /// What the core calls the right to the port of the other node.
    pub remote: Name,
    /// It was asked to be told when there are no rights to it.
    asked: bool,
}

#[derive(Debug, Default)]
pub struct Proxies {
    /// By what the kernel calls the port.
    proxies: BTreeMap<u32, Proxy>,
    by_remote: BTreeMap<u32, u32>,
}

impl Proxies {
    pub fn get(&self, port: u32) -> Option<&Proxy> {
        self.proxies.get(&port)
    }

    /// What the kernel calls the port that stands for the one of which the core has this right.
    pub fn of(&self, remote: Name) -> Option<u32> {
        self.by_remote.get(&remote.raw()).copied()
    }

    pub fn insert(&mut self, port: ReceiveRight, remote: Name) -> u32 {
        let name = port.name().raw();
        self.by_remote.insert(remote.raw(), name);
        let proxy = Proxy {
            port,
            remote,
            asked: false,
        };
        self.proxies.insert(name, proxy);
        name
    }

    pub fn remove(&mut self, port: u32) -> Option<Proxy> {
        let proxy = self.proxies.remove(&port)?;
        self.by_remote.remove(&proxy.remote.raw());
        Some(proxy)
    }
}

impl Proxy {
    /// Ends the watch over its senders: nothing of it may reach whoever receives there from now
    /// on.
    pub fn unwatch(&self) {
        if !self.asked {
            return;
        }
        match self.port.withdraw_no_senders() {
            Ok(Some(right)) => {
                let _ = right.retract();
            }
            _ => self.take_news(),
        }
    }

    /// Takes word that there were no senders out of the queue. What was sent before goes behind
    /// what was sent since, by others.
    fn take_news(&self) {
        let Ok(right) = self.port.make_send() else {
            return;
        };
        while let Ok(Delivery::Message(mut message)) = self.port.try_receive_any() {
            // There was room for it.
            let _ = right.send_from(&mut message, None);
        }
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
        let ipc = self.core.ipc();
        if let Err(failure) = added {
            let _ = ipc.deallocate(self.space, remote, RightKind::Send);
            return Err(failure);
        }
        let port = self.proxies.insert(port, remote);
        if let Ok(notify) = ipc.make_right(self.space, self.core_news, RightKind::SendOnce)
            && let Err(refused) = ipc.request(self.space, remote, About::Death, notify)
        {
            ipc.retract(refused.right);
        }
        Ok(port)
    }

    /// A send right to a proxy, for a program.
    pub fn right_to(&mut self, port: u32) -> Result<SendRight, Failure> {
        let proxy = self.proxies.get(port).ok_or(Failure::InvalidName)?;
        let right = proxy.port.make_send()?;
        self.watch_senders(port)?;
        Ok(right)
    }

    /// Asks to be told when nobody on this node has a right to a proxy.
    pub fn watch_senders(&mut self, port: u32) -> Result<(), Failure> {
        let Some(proxy) = self.proxies.proxies.get_mut(&port) else {
            return Ok(());
        };
        if !proxy.asked {
            let notify = proxy.port.make_send_once()?;
            let asked = proxy.port.notify_no_senders(0, notify);
            asked.map_err(|error| error.failure)?;
            proxy.asked = true;
        }
        Ok(())
    }

    /// There was no right to a proxy, and all that was sent to it before has been taken.
    pub fn no_senders(&mut self, port: u32) {
        let Some(proxy) = self.proxies.proxies.get_mut(&port) else {
            return;
        };
        proxy.asked = false;
        // Others may have been made since, and used.
        let status = proxy.port.status();
        let wanted = status.is_ok_and(|status| status.has_senders || status.queued > 0);
        if wanted {
            let _ = self.watch_senders(port);
        } else if let Some(proxy) = self.proxies.remove(port) {
            let ipc = self.core.ipc();
            let _ = ipc.deallocate(self.space, proxy.remote, RightKind::Send);
        }
    }

    /// The core has news about a port of another node.
    pub fn news_of_others(&mut self, thread: ThreadId, delivery: CoreDelivery) {
        match delivery {
            CoreDelivery::Notification(Notification::DeadName { name, reason }) => {
                let port = self.proxies.of(name);
                if let Some(proxy) = port.and_then(|port| self.proxies.remove(port)) {
                    // With its receive right the port dies, and all who have rights to it learn.
                    proxy.port.give_up(reasons::failure(reason));
                }
                let ipc = self.core.ipc();
                let _ = ipc.destroy(self.space, name);
            }
            other => self.core.ipc().discard_delivery(other),
        }
        self.listen(thread, self.core_news);
    }
}
