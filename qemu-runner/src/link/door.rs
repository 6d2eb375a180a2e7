//! Where other processes of this user come to the networks of a running cluster.
//!
//! Owns one thread that listens at a unix socket for each node. Whoever connects is sent a port of
//! a network on which that node is, as a descriptor, and has it until the connection ends, however
//! that happens. Leaves to others: who may open the socket (the folder it lies in is the user's
//! alone), and what is said on the network.

use super::switch::{Entrance, Guest};
use norma_faults::Station;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::IoSlice;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use std::io::{Error, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What whoever comes is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The cluster's name, which is its identity on the wire.
    pub cluster: String,
    /// Whether the network is trusted.
    pub trusted: bool,
    /// Why there is no port, if there is none.
    pub refused: Option<String>,
}

/// Bytes of a welcome, in JSON.
const WELCOME: usize = 4096;

/// A socket that leads to a network.
#[derive(Debug)]
pub struct Leaf {
    /// Where it is made.
    pub path: PathBuf,
    /// The network.
    pub entrance: Entrance,
    /// What is said there.
    pub welcome: Welcome,
}

/// The sockets of a cluster, which end with this value.
#[derive(Debug)]
pub struct Door {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Listens; the fault rules know those who come as `station`.
    ///
    /// # Errors
    /// The host refuses.
    pub fn open(leaves: Vec<Leaf>, station: Station) -> Result<Self> {
        let mut opened = Vec::new();
        for leaf in leaves {
            let listener = UnixListener::bind(&leaf.path)?;
            listener.set_nonblocking(true)?;
            opened.push((listener, leaf));
        }
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let porter = Porter {
            stop: stop.try_clone()?,
            leaves: opened,
            guests: Vec::new(),
            station,
        };
        let thread = std::thread::Builder::new()
            .name("door".into())
            .spawn(move || porter.run())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Porter {
    stop: OwnedFd,
    leaves: Vec<(UnixListener, Leaf)>,
    guests: Vec<(UnixStream, Guest)>,
    station: Station,
}

impl Porter {
    fn run(mut self) {
        while let Some(ready) = self.wait() {
            let (leaves, guests) = ready.split_at(self.leaves.len());
            // A guest has nothing to say: its connection can be read from when it ends.
            let mut stays = guests.iter().map(|ready| !ready);
            self.guests.retain(|_| stays.next().unwrap_or(true));
            for ((listener, leaf), ready) in self.leaves.iter().zip(leaves) {
                if *ready && let Ok((stream, _)) = listener.accept() {
                    self.guests.extend(admit(leaf, stream, self.station));
                }
            }
        }
    }

    /// Which sockets have something, those of leaves before those of guests; `None` at the end.
    fn wait(&self) -> Option<Vec<bool>> {
        let leaves = self.leaves.iter().map(|(listener, _)| listener.as_fd());
        let guests = self.guests.iter().map(|(stream, _)| stream.as_fd());
        let all = std::iter::once(self.stop.as_fd())
            .chain(leaves)
            .chain(guests);
        let mut all: Vec<_> = all
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match poll(&mut all, None) {
            Ok(_) if !all[0].revents().is_empty() => None,
            Ok(_) => Some(all[1..].iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(rustix::io::Errno::INTR) => Some(vec![false; all.len() - 1]),
            Err(_) => None,
        }
    }
}

/// Gives somebody a port, or says why not.
fn admit(leaf: &Leaf, stream: UnixStream, station: Station) -> Option<(UnixStream, Guest)> {
    let mut welcome = leaf.welcome.clone();
    let guest = match leaf.entrance.come_in(station) {
        Ok(guest) => Some(guest),
        Err(error) => {
            welcome.refused = Some(error.to_string());
            None
        }
    };
    let text = serde_json::to_vec(&welcome).ok()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let end = guest.as_ref().map(|(_, end)| [end.as_fd()]);
    if let Some(end) = &end {
        control.push(SendAncillaryMessage::ScmRights(end));
    }
    // What does not fit the socket's buffer at once is more than it ever is.
    let sent = rustix::net::sendmsg(
        &stream,
        &[IoSlice::new(&text)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    match (sent, guest) {
        (Ok(_), Some((guest, _))) => Some((stream, guest)),
        _ => None,
    }
}

/// A port of a network of somebody else's cluster, and what was said about it. It is there as long
/// as the connection is kept.
#[derive(Debug)]
pub struct Joined {
    /// The port's end: a frame in each datagram.
    pub end: OwnedFd,
    /// What was said.
    pub welcome: Welcome,
    _connection: UnixStream,
}

/// Comes to the network behind a socket.
///
/// # Errors
/// Nobody listens there (any more), or there is no port.
pub fn join(path: &Path) -> Result<Joined> {
    let connection = UnixStream::connect(path)?;
    let mut text = [0; WELCOME];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        &connection,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut ends = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.into_iter().next(),
        _ => None,
    });
    let end = ends.next();
    let welcome: Welcome = serde_json::from_slice(&text[..received.bytes])
        .map_err(|error| Error::other(format!("the cluster's runner says nonsense: {error}")))?;
    if let Some(reason) = welcome.refused {
        return Err(Error::other(reason));
    }
    let end = end.ok_or_else(|| Error::other("the cluster's runner gives no port"))?;
    Ok(Joined {
        end,
        welcome,
        _connection: connection,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Port, Switch};
    use super::*;
    use norma_faults::Faults;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[..6].copy_from_slice(&[if to == 0xff { 0xff } else { 0x52 }, 0, 0, 0, 0, to]);
        frame[6..12].copy_from_slice(&[0x52, 0, 0, 0, 0, from]);
        frame
    }

    fn receive(end: &UnixDatagram) -> Option<u8> {
        let mut buffer = [0; 100];
        end.recv(&mut buffer).ok().map(|_| buffer[11])
    }

    #[test]
    fn a_guest_hears_and_is_heard_until_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let port = Port::new(0).unwrap();
        let node = UnixDatagram::from(port.node_end().unwrap());
        node.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let faults = Faults::new(1, &[], &["a", "host"]).unwrap();
        let switch = Switch::start(vec![port], faults, None).unwrap();
        let welcome = Welcome {
            cluster: "zoo".into(),
            trusted: true,
            refused: None,
        };
        let leaf = Leaf {
            path: path.clone(),
            entrance: switch.entrance(),
            welcome: welcome.clone(),
        };
        let door = Door::open(vec![leaf], 1).unwrap();
        for round in 2..5 {
            let joined = join(&path).unwrap();
            assert_eq!(joined.welcome, welcome);
            let guest = UnixDatagram::from(joined.end.try_clone().unwrap());
            guest
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            guest.send(&frame(0xff, round)).unwrap();
            assert_eq!(receive(&node), Some(round));
            node.send(&frame(round, 1)).unwrap();
            assert_eq!(receive(&guest), Some(1), "round {round}");
        }
        // As many as may be there at a time: those that left count no more.
        let all: Vec<_> = (0..crate::limits::SWITCH_GUESTS)
            .map(|_| {
                std::iter::repeat_with(|| join(&path))
                    .take(200)
                    .find_map(|joined| {
                        std::thread::sleep(Duration::from_millis(5));
                        joined.ok()
                    })
            })
            .collect();
        assert!(all.iter().all(Option::is_some));
        assert!(join(&path).unwrap_err().to_string().contains("others"));
        drop(door);
        assert!(join(&path).is_err());
    }
}
