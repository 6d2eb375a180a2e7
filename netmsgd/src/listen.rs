//! The unix socket at which programs find the daemon.
//!
//! A daemon that was killed leaves its socket file behind, so a file is no sign of a daemon: one
//! that answers is. Two that start at the same moment are told apart by a lock on a file beside
//! it, which the kernel gives up with the process.

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted: a program that begins many threads at once.
const BACKLOG: i32 = 128;

/// The socket; its file goes with it.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: OwnedFd,
    path: PathBuf,
    _lock: OwnedFd,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum ListenError {
    /// Another daemon answers there.
    InUse(PathBuf),
    /// Something else than a socket has that name.
    NotASocket(PathBuf),
    /// The host refuses.
    Host(PathBuf, Errno),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "another netmsgd serves {}: end it, or give this one another --socket",
                path.display()
            ),
            Self::NotASocket(path) => {
                write!(f, "{} is there and is no socket", path.display())
            }
            Self::Host(path, error) => write!(f, "cannot listen at {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ListenError {}

impl Listener {
    /// Listens at `path`; a file that a dead daemon has left there is replaced. `mode` is who may
    /// connect, as for a file.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let refuse = |error| ListenError::Host(path.to_owned(), error);
        let lock = lock(path)?;
        let address = SocketAddrUnix::new(path).map_err(refuse)?;
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(ListenError::NotASocket(path.to_owned()));
            }
            // A daemon that does not lock, or whose lock file was removed, still answers.
            match rustix::net::connect(socket().map_err(refuse)?, &address) {
                Err(Errno::CONNREFUSED) => rustix::fs::unlink(path).map_err(refuse)?,
                Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
                    return Err(ListenError::InUse(path.to_owned()));
                }
                Err(error) => return Err(refuse(error)),
            }
        }
        let socket = socket().map_err(refuse)?;
        rustix::net::bind(&socket, &address).map_err(refuse)?;
        let listener = Self {
            socket,
            path: path.to_owned(),
            _lock: lock,
        };
        rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(refuse)?;
        rustix::net::listen(&listener.socket, BACKLOG).map_err(refuse)?;
        Ok(listener)
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

fn lock(path: &Path) -> Result<OwnedFd, ListenError> {
    let refuse = |error| ListenError::Host(path.to_owned(), error);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(&beside, flags, Mode::RUSR | Mode::WUSR).map_err(refuse)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::AGAIN) => Err(ListenError::InUse(path.to_owned())),
        Err(error) => Err(refuse(error)),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock file stays: to remove it would let two have it.
        let _ = rustix::fs::unlink(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_a_dead_daemon_left_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = Listener::bind(&path, 0o600).unwrap();
        assert!(matches!(
            Listener::bind(&path, 0o600),
            Err(ListenError::InUse(_))
        ));
        // Without the lock it is still found to answer.
        std::fs::remove_file(folder.path().join("socket.lock")).unwrap();
        assert!(matches!(
            Listener::bind(&path, 0o600),
            Err(ListenError::InUse(_))
        ));
        // A daemon that was killed: its file stays.
        let stale = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        drop(first);
        rustix::net::bind(&stale, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        drop(stale);
        assert!(path.exists());
        let second = Listener::bind(&path, 0o600).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Listener::bind(&path, 0o600),
            Err(ListenError::NotASocket(_))
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
