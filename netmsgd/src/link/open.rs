//! Where links come from: what the command line names, opened.
//!
//! Owns the only unsafe code of the daemon: a packet socket's address and a TAP device's name have
//! no safe words in `rustix`. What the kernel refuses is said with what mends it.
#![allow(unsafe_code)]

use super::stream::Stream;
use super::udp::Hub;
use super::{Datagrams, Link, Wire};
use crate::limits::{BUFFERS_OF_WAITING_LINK, LEAST_BUFFERS, LINK_BUFFER};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt;
use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The Ethernet type of FLIP.
const FLIP: u16 = 0x8146;

/// The largest UDP datagram over IPv4 less Ethernet's header, the largest MTU of a UDP link.
pub const UDP_MTU: u16 = (65_507 - 14) as u16;

/// What a link is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// An inherited datagram socket, a frame in each datagram (QEMU's `-netdev dgram`).
    Datagram(RawFd),
    /// An inherited stream socket (QEMU's `-netdev stream`).
    Stream(RawFd),
    /// A UDP socket bound to an address, and its peers; with none, whoever sends is one.
    Udp(SocketAddr, Vec<SocketAddr>),
    /// A packet socket on an interface.
    Packet(String),
    /// A TAP device.
    Tap(String),
}

/// Why there is no link.
#[derive(Debug)]
pub enum LinkError {
    /// The descriptor was not inherited, or is no socket of that kind.
    Inherited(RawFd, Errno),
    /// A UDP address cannot be used.
    Udp(SocketAddr, std::io::Error),
    /// There is no such interface, or it is not an Ethernet.
    Interface(String, Errno),
    /// The process may not do that.
    Capability {
        /// The interface.
        interface: String,
        /// What it lacks.
        capability: &'static str,
    },
    /// There is no memory for its buffers.
    NoMemory,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherited(fd, error) => write!(
                f,
                "descriptor {fd} is not an inherited socket of that kind: {error}"
            ),
            Self::Udp(address, error) => write!(f, "cannot use UDP address {address}: {error}"),
            Self::Interface(name, error) => {
                write!(f, "cannot use the interface {name}: {error}")
            }
            Self::Capability {
                interface,
                capability,
            } => write!(
                f,
                "the interface {interface} needs the capability {capability}: run as root, or give \
                 it with `setcap {}=ep netmsgd`, or use a UDP link, which needs none",
                capability.to_lowercase()
            ),
            Self::NoMemory => f.write_str("out of memory for a link's buffers"),
        }
    }
}

impl std::error::Error for LinkError {}

/// What was opened: the wire, the interface's station address if it has one, the largest MTU, and
/// how many frames it holds for us.
pub type Opened = (Box<dyn Wire>, Option<[u8; 6]>, u16, u16);

/// Opens a link. With `mtu`, that is the largest payload that it is to carry.
///
/// # Errors
/// [`LinkError`].
pub fn open(kind: &LinkKind, mtu: Option<u16>) -> Result<Opened, LinkError> {
    let (wire, mac, most, waits): (Box<dyn Wire>, _, _, _) = match kind {
        LinkKind::Datagram(fd) => {
            let socket = inherited(*fd, rustix::net::SocketType::DGRAM)?;
            (Box::new(Datagrams(socket)), None, u16::MAX, true)
        }
        LinkKind::Stream(fd) => {
            let socket = inherited(*fd, rustix::net::SocketType::STREAM)?;
            (Box::new(Stream::new(socket)), None, u16::MAX, true)
        }
        LinkKind::Udp(address, peers) => (udp(*address, peers)?, None, UDP_MTU, false),
        LinkKind::Packet(interface) => {
            let (socket, mac, mtu) = packet(interface)?;
            (Box::new(Datagrams(socket)), Some(mac), mtu, false)
        }
        LinkKind::Tap(interface) => {
            let device = tap(interface)?;
            let mtu = interface_mtu(interface).unwrap_or(1500);
            (Box::new(Datagrams(device)), None, mtu, true)
        }
    };
    let mtu = mtu.map_or(most, |mtu| mtu.min(most));
    let buffers = if waits {
        BUFFERS_OF_WAITING_LINK
    } else {
        // A socket charges each frame for about twice its size.
        let room = sockopt::socket_recv_buffer_size(wire.descriptor()).unwrap_or(0);
        let frames = room / (2 * (usize::from(mtu) + 512));
        (frames as u16).clamp(LEAST_BUFFERS, BUFFERS_OF_WAITING_LINK)
    };
    Ok((wire, mac, mtu, buffers))
}

fn without_blocking(descriptor: impl AsFd) -> Result<(), Errno> {
    let flags = fcntl_getfl(&descriptor)?;
    fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)
}

/// Asks for large buffers; the kernel grants what its administrator allows.
fn enlarge(socket: impl AsFd) {
    let _ = sockopt::set_socket_send_buffer_size(&socket, LINK_BUFFER);
    let _ = sockopt::set_socket_recv_buffer_size(&socket, LINK_BUFFER);
}

/// A copy of a descriptor that this process was started with.
fn inherited(fd: RawFd, kind: rustix::net::SocketType) -> Result<OwnedFd, LinkError> {
    let refuse = |error| LinkError::Inherited(fd, error);
    if fd < 3 {
        return Err(refuse(Errno::BADF));
    }
    // SAFETY: the descriptor is only looked at, and copied; if it is not open, the kernel says so.
    let given = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = rustix::io::fcntl_dupfd_cloexec(given, 3).map_err(refuse)?;
    if sockopt::socket_type(&socket).map_err(refuse)? != kind {
        return Err(refuse(Errno::PROTOTYPE));
    }
    without_blocking(&socket).map_err(refuse)?;
    enlarge(&socket);
    Ok(socket)
}

fn udp(address: SocketAddr, peers: &[SocketAddr]) -> Result<Box<dyn Wire>, LinkError> {
    let refuse = |error| LinkError::Udp(address, error);
    let socket = UdpSocket::bind(address).map_err(refuse)?;
    socket.set_nonblocking(true).map_err(refuse)?;
    enlarge(&socket);
    if let [peer] = peers {
        socket.connect(peer).map_err(refuse)?;
        return Ok(Box::new(Datagrams(socket.into())));
    }
    Ok(Box::new(Hub::new(socket, peers.to_vec())))
}

/// The address to which a UDP link is bound.
#[must_use]
pub fn local_address(wire: &dyn Wire) -> Option<SocketAddr> {
    let address = rustix::net::getsockname(wire.descriptor()).ok()?;
    address.try_into().ok()
}

/// Asks the host to look at the card itself while a link is read, for so long, where it can: a
/// socket on a card whose driver can be polled.
pub fn poll_card(link: &Link, spin: Duration) {
    let microseconds = libc::c_int::try_from(spin.as_micros()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the call reads a number of the length that is given. What is no socket, or may not
    // be polled, says so, and is read all the same.
    unsafe {
        libc::setsockopt(
            link.descriptor().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BUSY_POLL,
            (&raw const microseconds).cast(),
            size_of_val(&microseconds) as u32,
        );
    }
}

fn capability(interface: &str, capability: &'static str) -> LinkError {
    LinkError::Capability {
        interface: interface.into(),
        capability,
    }
}

/// The kernel's description of an interface, asked for with one of the `SIOCGIF` requests.
fn ask(interface: &str, request: libc::c_ulong) -> Result<libc::ifreq, Errno> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    let mut description = named(interface)?;
    // SAFETY: the request reads the name and writes the union of a structure that outlives it.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), request as _, &mut description) };
    errno(outcome)?;
    Ok(description)
}

/// A description that has nothing but a name.
fn named(interface: &str) -> Result<libc::ifreq, Errno> {
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut description: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if interface.is_empty() || interface.len() >= description.ifr_name.len() {
        return Err(Errno::NODEV);
    }
    for (to, from) in description.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(description)
}

fn errno(outcome: libc::c_int) -> Result<libc::c_int, Errno> {
    if outcome < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(outcome)
}

fn interface_mtu(interface: &str) -> Result<u16, Errno> {
    let description = ask(interface, libc::SIOCGIFMTU)?;
    // SAFETY: that request has written this member.
    let mtu = unsafe { description.ifr_ifru.ifru_mtu };
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// A packet socket that takes and sends FLIP's frames of one interface.
fn packet(interface: &str) -> Result<(OwnedFd, [u8; 6], u16), LinkError> {
    let refuse = |error| LinkError::Interface(interface.into(), error);
    let protocol = FLIP.to_be();
    // SAFETY: a call without pointers.
    let socket = unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            libc::c_int::from(protocol),
        )
    };
    let socket = match errno(socket) {
        // SAFETY: the kernel has just made it, and nobody else knows of it.
        Ok(socket) => unsafe { OwnedFd::from_raw_fd(socket) },
        Err(Errno::PERM | Errno::ACCESS) => return Err(capability(interface, "CAP_NET_RAW")),
        Err(error) => return Err(refuse(error)),
    };
    let hardware = ask(interface, libc::SIOCGIFHWADDR).map_err(refuse)?;
    let mtu = interface_mtu(interface).map_err(refuse)?;
    let index = ask(interface, libc::SIOCGIFINDEX).map_err(refuse)?;
    // SAFETY: these requests have written these members.
    let (hardware, index) = unsafe { (hardware.ifr_ifru.ifru_hwaddr, index.ifr_ifru.ifru_ifindex) };
    if hardware.sa_family != libc::ARPHRD_ETHER {
        return Err(refuse(Errno::PROTONOSUPPORT));
    }
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(hardware.sa_data) {
        *to = from as u8;
    }
    // SAFETY: all-zero is a valid value of these plain C structures.
    let (mut address, mut all): (libc::sockaddr_ll, libc::packet_mreq) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index;
    all.mr_ifindex = index;
    all.mr_type = libc::PACKET_MR_ALLMULTI as u16;
    // SAFETY: both calls read a structure of the length that is given.
    let outcome = unsafe {
        let bound = libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as u32,
        );
        bound.min(libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const all).cast(),
            size_of_val(&all) as u32,
        ))
    };
    errno(outcome).map_err(refuse)?;
    enlarge(&socket);
    Ok((socket, mac, mtu))
}

/// A TAP device: one that is there and may be used, or a new one.
fn tap(interface: &str) -> Result<OwnedFd, LinkError> {
    let refuse = |error| match error {
        Errno::PERM | Errno::ACCESS => capability(interface, "CAP_NET_ADMIN"),
        error => LinkError::Interface(interface.into(), error),
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).map_err(refuse)?;
    let mut description = named(interface).map_err(refuse)?;
    description.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request reads a structure that outlives it, and writes its name.
    let outcome =
        unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &mut description) };
    errno(outcome).map_err(refuse)?;
    // Whoever lets us have it may have brought it up, and may not let us do so.
    let _ = bring_up(interface);
    Ok(device)
}

fn bring_up(interface: &str) -> Result<(), Errno> {
    let mut description = ask(interface, libc::SIOCGIFFLAGS)?;
    // SAFETY: that request has written this member.
    unsafe { description.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    let request = libc::SIOCSIFFLAGS;
    // SAFETY: the request reads a structure that outlives it.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), request as _, &description) };
    errno(outcome).map(drop)
}
