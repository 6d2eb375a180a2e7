//! What the standard library has no safe words for.
//!
//! Owns: every `unsafe` of this program: system calls by `libc`, the exit device, the markers.
//! Leaves to others: when any of it is done.
//! Source: Linux man pages packet(7), netdevice(7), arp(7), socket(7), finit_module(2); QEMU's
//! `isa-debug-exit` (status 2·v + 1).

use libc::{c_int, c_void};
use std::ffi::CString;
use std::fs::File;
use std::io::{Error, Result};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// The only network device of a guest.
const DEVICE: &[u8] = b"eth0";

/// Where QEMU's exit device listens.
const EXIT_PORT: u16 = 0xf4;

fn check(result: c_int) -> Result<c_int> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Mounts a file system that needs no device.
pub fn mount(kind: &str, folder: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (kind, folder) = (CString::new(kind)?, CString::new(folder)?);
    // SAFETY: both strings end in NUL and live through the call; no data is passed.
    let result = unsafe {
        libc::mount(
            kind.as_ptr(),
            folder.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    check(result).map(drop)
}

/// A system call that does nothing.
pub fn nothing() {
    // SAFETY: it has no arguments and no effect. Not by the library, which may know the answer.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// Loads a kernel module.
pub fn load_module(file: &File) -> Result<()> {
    // SAFETY: an open file, an empty string of parameters, no flags.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    check(result as c_int).map(drop)
}

/// Any socket: the kernel's switches of a device are reached through it.
fn any_socket() -> Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is ours alone.
    unsafe {
        let fd = check(libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn device_request() -> libc::ifreq {
    // SAFETY: plain old data, of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE) {
        *to = *from as libc::c_char;
    }
    request
}

fn device(operation: libc::c_ulong, request: &mut libc::ifreq) -> Result<()> {
    let socket = any_socket()?;
    // SAFETY: these requests read and write one `ifreq`, which outlives the call.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            operation as _,
            std::ptr::from_mut(request),
        )
    };
    check(result).map(drop)
}

fn internet_address(address: Ipv4Addr) -> libc::sockaddr {
    let [a, b, c, d] = address.octets().map(|octet| octet as libc::c_char);
    let mut data = [0; 14];
    data[2..6].copy_from_slice(&[a, b, c, d]);
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: data,
    }
}

/// Gives the network device its address and starts it.
pub fn device_up(address: Ipv4Addr) -> Result<()> {
    let mut request = device_request();
    request.ifr_ifru.ifru_addr = internet_address(address);
    device(libc::SIOCSIFADDR, &mut request)?;
    let mut request = device_request();
    device(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the kernel has just filled this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    device(libc::SIOCSIFFLAGS, &mut request)
}

/// The largest packet that the network device sends.
pub fn set_mtu(mtu: u32) -> Result<()> {
    let mut request = device_request();
    request.ifr_ifru.ifru_mtu = mtu as c_int;
    device(libc::SIOCSIFMTU, &mut request)
}

/// The network device's number.
fn device_index() -> Result<c_int> {
    let mut request = device_request();
    device(libc::SIOCGIFINDEX, &mut request)?;
    // SAFETY: the kernel has just filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// The network device's hardware address.
pub fn device_mac() -> Result<[u8; 6]> {
    let mut request = device_request();
    device(libc::SIOCGIFHWADDR, &mut request)?;
    // SAFETY: the kernel has just filled this member.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(address.sa_data) {
        *to = from as u8;
    }
    Ok(mac)
}

/// Tells the kernel a neighbour's hardware address for good: nobody is asked in a measurement.
pub fn set_neighbour(address: Ipv4Addr, mac: [u8; 6]) -> Result<()> {
    // SAFETY: plain old data, of which zero is a value.
    let mut request: libc::arpreq = unsafe { std::mem::zeroed() };
    request.arp_pa = internet_address(address);
    request.arp_ha.sa_family = libc::ARPHRD_ETHER;
    for (to, from) in request.arp_ha.sa_data.iter_mut().zip(mac) {
        *to = from as libc::c_char;
    }
    request.arp_flags = libc::ATF_PERM | libc::ATF_COM;
    for (to, from) in request.arp_dev.iter_mut().zip(DEVICE) {
        *to = *from as libc::c_char;
    }
    let socket = any_socket()?;
    // SAFETY: this request reads one `arpreq`, which outlives the call.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSARP as _,
            std::ptr::from_ref(&request),
        )
    };
    check(result).map(drop)
}

/// A packet socket for frames of one EtherType.
pub fn packet_socket(ether_type: u16) -> Result<OwnedFd> {
    let protocol = ether_type.to_be();
    // SAFETY: no pointers; the descriptor is ours alone.
    let socket = unsafe {
        let fd = check(libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            c_int::from(protocol),
        ))?;
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: plain old data, of which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol;
    address.sll_ifindex = device_index()?;
    // SAFETY: the address has this length and outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    check(result)?;
    Ok(socket)
}

/// Sends one datagram or frame.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the buffer is readable for its length.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast::<c_void>(),
            bytes.len(),
            0,
        )
    };
    usize::try_from(sent).map_err(|_| Error::last_os_error())
}

/// Receives one datagram or frame; does not wait for it if `at_once`.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8], at_once: bool) -> Result<usize> {
    let flags = if at_once { libc::MSG_DONTWAIT } else { 0 };
    // SAFETY: the buffer is writable for its length.
    let received = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            bytes.as_mut_ptr().cast::<c_void>(),
            bytes.len(),
            flags,
        )
    };
    usize::try_from(received).map_err(|_| Error::last_os_error())
}

/// Bytes of a TCP connection that were written and not acknowledged yet.
pub fn unacknowledged(socket: impl AsFd) -> Result<c_int> {
    let mut bytes: c_int = 0;
    // SAFETY: this request (SIOCOUTQ, the same number) writes one integer, which outlives it.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            libc::TIOCOUTQ as _,
            std::ptr::from_mut(&mut bytes),
        )
    };
    check(result)?;
    Ok(bytes)
}

fn set_option<T>(socket: BorrowedFd<'_>, name: c_int, value: &T) -> Result<()> {
    // SAFETY: the value is readable for its length.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            std::ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

/// A receive on this socket fails after that time.
pub fn set_patience(socket: impl AsFd, patience: Duration) -> Result<()> {
    let value = libc::timeval {
        tv_sec: patience.as_secs() as _,
        tv_usec: 0,
    };
    set_option(socket.as_fd(), libc::SO_RCVTIMEO, &value)
}

/// A receive on this socket asks the device itself for so long before it sleeps.
pub fn set_busy_poll(socket: impl AsFd, microseconds: c_int) -> Result<()> {
    set_option(socket.as_fd(), libc::SO_BUSY_POLL, &microseconds)
}

/// Room for what has arrived, as much as root may have.
pub fn set_receive_room(socket: impl AsFd, bytes: c_int) -> Result<()> {
    set_option(socket.as_fd(), libc::SO_RCVBUFFORCE, &bytes)
}

/// Ends the virtual machine with the status 2·`value` + 1.
pub fn leave(value: u32) -> ! {
    // SAFETY: asks for one port, which is QEMU's exit device or nothing.
    if unsafe { libc::ioperm(u64::from(EXIT_PORT), 4, 1) } == 0 {
        // SAFETY: the port was granted; a write to it ends the machine or does nothing.
        unsafe {
            std::arch::asm!("out dx, eax", in("dx") EXIT_PORT, in("eax") value,
                options(nomem, nostack, preserves_flags));
        }
    }
    // Without the device: the kernel panics when its first program ends, which is a failure.
    std::process::exit(1)
}

/// The instruction that the counting plugin looks for: `nopl 0x7eac00ID(%rax)`. It does nothing.
macro_rules! marker {
    ($id:literal) => {
        // SAFETY: a no-operation with an operand that is not accessed.
        unsafe {
            std::arch::asm!(
                concat!(".byte 0x0f, 0x1f, 0x80, ", $id, ", 0x00, 0xac, 0x7e"),
                options(nostack, preserves_flags)
            )
        }
    };
}

/// Opens a measured stretch on the calling guest.
#[inline(always)]
pub fn open_calling() {
    marker!("0x01");
}

/// Closes it.
#[inline(always)]
pub fn close_calling() {
    marker!("0x02");
}

/// Opens a measured stretch on the serving guest.
#[inline(always)]
pub fn open_serving() {
    marker!("0x11");
}

/// Closes it.
#[inline(always)]
pub fn close_serving() {
    marker!("0x12");
}
