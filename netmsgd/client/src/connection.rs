//! The way to the daemon: connections, one for each thread that is waiting.
//!
//! Owns: a request out and its answer back, the connections that nobody uses at the moment, and
//! the memory file that each keeps for what is sent out of line. Leaves to others: what is asked.

use crate::error::Failure;
use crate::limits::{KEEP_CONNECTIONS, KEEP_MEMORY, MAX_PACKET};
use crate::protocol::{Answer, Operation, Reply, Request, VERSION};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The daemon, and with it the node that it is: the beginning of everything.
///
/// A clone is the same task. The task ends, and with it all its rights, when the last clone and
/// the last right are dropped.
#[derive(Clone, Debug)]
pub struct Node(pub(crate) Arc<Shared>);

/// Why there is no way to the daemon.
#[derive(Debug)]
pub enum ConnectError {
    /// The socket cannot be reached.
    Socket(PathBuf, std::io::Error),
    /// The daemon refused.
    Refused(Failure),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path, error) => {
                write!(f, "cannot reach netmsgd at {}: {error}", path.display())
            }
            Self::Refused(failure) => write!(f, "netmsgd refused: {failure}"),
        }
    }
}

impl std::error::Error for ConnectError {}

#[derive(Debug)]
pub(crate) struct Shared {
    path: PathBuf,
    token: [u8; 16],
    name: String,
    /// How long to look for an answer before sleeping, in nanoseconds.
    spin: AtomicU64,
    idle: Mutex<Vec<Connection>>,
}

/// A connection, of use to one thread at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    packet: Vec<u8>,
    answer: Box<[u8]>,
    memory: Option<OwnedFd>,
    spin: Duration,
}

/// What an answer was.
pub(crate) struct Answered<'a> {
    pub(crate) reply: Reply,
    pub(crate) text: &'a [u8],
    pub(crate) tail: &'a [u8],
    /// The memory file that came with it.
    pub(crate) file: Option<OwnedFd>,
}

impl Answered<'_> {
    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        (self.reply.answer == Answer::Failed)
            .then(|| Failure::read(self.reply.what, &self.reply, self.text))
    }

    pub(crate) fn done(&self) -> Result<Reply, Failure> {
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.reply),
        }
    }
}

impl Node {
    /// Begins a task at the daemon that listens at `path`.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(path: &Path) -> Result<Self, ConnectError> {
        let unreachable = |error: Errno| ConnectError::Socket(path.to_owned(), error.into());
        let mut connection = Connection::open(path).map_err(unreachable)?;
        let greeted = connection.greet([0; 16]);
        let (token, name) = greeted.map_err(ConnectError::Refused)?;
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            token,
            name,
            spin: AtomicU64::new(0),
            idle: Mutex::new(vec![connection]),
        })))
    }

    /// The name of the node that the daemon is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Looks for answers so long before sleeping: for programs on processors of their own, which
    /// have better things to do than nothing, and none better than to wait.
    pub fn set_spin(&self, spin: Duration) {
        let nanos = u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX);
        self.0.spin.store(nanos, Ordering::Relaxed);
    }

    /// Asks for something whose answer is a head.
    pub(crate) fn ask(&self, request: &Request, tail: &[u8]) -> Result<Reply, Failure> {
        self.0.ask(request, tail)
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that nobody uses, or a new one.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let mut connection = Connection::open(&self.path)?;
                connection.greet(self.token)?;
                connection
            }
        };
        connection.spin = Duration::from_nanos(self.spin.load(Ordering::Relaxed));
        Ok(connection)
    }

    /// Gives a connection back, for the next.
    pub(crate) fn put_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEEP_CONNECTIONS {
            idle.push(connection);
        }
    }

    pub(crate) fn ask(&self, request: &Request, tail: &[u8]) -> Result<Reply, Failure> {
        let mut connection = self.connection()?;
        let packet = connection.begin(request);
        packet.extend_from_slice(tail);
        let reply = connection.exchange(None)?.done();
        self.put_back(connection);
        reply
    }

    /// Asks for something that has no answer. A daemon that is gone has forgotten it anyway.
    pub(crate) fn tell(&self, request: &Request) {
        if let Ok(mut connection) = self.connection() {
            connection.begin(request);
            if connection.send(None).is_ok() {
                self.put_back(connection);
            }
        }
    }
}

impl Connection {
    fn open(path: &Path) -> Result<Self, Errno> {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self {
            socket,
            packet: Vec::with_capacity(MAX_PACKET),
            answer: vec![0; MAX_PACKET].into_boxed_slice(),
            memory: None,
            spin: Duration::ZERO,
        })
    }

    fn greet(&mut self, token: [u8; 16]) -> Result<([u8; 16], String), Failure> {
        let request = Request {
            value: VERSION,
            ..Request::new(Operation::Hello, 0)
        };
        self.begin(&request).extend_from_slice(&token);
        let answered = self.exchange(None)?;
        answered.done()?;
        let token = answered.tail.first_chunk().copied();
        let name = String::from_utf8_lossy(answered.text).into_owned();
        token.map(|token| (token, name)).ok_or(Failure::BadRequest)
    }

    /// Begins a request; what belongs into its tail is appended to what this gives.
    pub(crate) fn begin(&mut self, request: &Request) -> &mut Vec<u8> {
        self.packet.clear();
        request.emit(&mut self.packet);
        &mut self.packet
    }

    /// Writes `bytes` into the connection's memory file, which is the sender's own again when the
    /// answer has come. Gives the file away if it is too large to be kept.
    pub(crate) fn write_memory(&mut self, bytes: &[u8]) -> Result<OwnedFd, Failure> {
        let file = match self.memory.take() {
            Some(file) if bytes.len() <= KEEP_MEMORY => file,
            kept => {
                self.memory = kept;
                memory_file()?
            }
        };
        write_all(file.as_fd(), bytes)?;
        Ok(file)
    }

    /// Keeps a memory file for the next message.
    pub(crate) fn keep_memory(&mut self, file: OwnedFd, length: usize) {
        if length <= KEEP_MEMORY {
            self.memory = Some(file);
        }
    }

    fn send(&mut self, file: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let Some(file) = file else {
            // Without a file there is no need of a message's head, which the kernel would copy.
            return loop {
                match rustix::net::send(&self.socket, &self.packet, SendFlags::NOSIGNAL) {
                    Err(Errno::INTR) => {}
                    sent => break sent.map(drop),
                }
            };
        };
        let files = [file];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        loop {
            let packet = [IoSlice::new(&self.packet)];
            match rustix::net::sendmsg(&self.socket, &packet, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Sends the request that was begun, with a memory file, and waits for its answer.
    pub(crate) fn exchange(
        &mut self,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Answered<'_>, Failure> {
        self.send(file)?;
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        let mut spin_until = None;
        if !self.spin.is_zero() {
            flags |= RecvFlags::DONTWAIT;
            spin_until = Some(Instant::now() + self.spin);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut buffer = [IoSliceMut::new(&mut self.answer)];
            match rustix::net::recvmsg(&self.socket, &mut buffer, &mut control, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if spin_until.is_some_and(|end| Instant::now() >= end) {
                        flags -= RecvFlags::DONTWAIT;
                    }
                    // On one processor it is the daemon that is waited for.
                    std::thread::yield_now();
                }
                other => break other?,
            }
        };
        let mut file = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut files) = message {
                file = files.next();
            }
        }
        if received.bytes == 0 {
            // The daemon has closed the connection.
            return Err(Errno::CONNRESET.into());
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(Failure::BadRequest);
        }
        let (reply, text, tail) =
            Reply::parse(&self.answer[..received.bytes]).ok_or(Failure::BadRequest)?;
        Ok(Answered {
            reply,
            text,
            tail,
            file,
        })
    }
}

/// A new, empty memory file.
pub(crate) fn memory_file() -> Result<OwnedFd, Errno> {
    rustix::fs::memfd_create(
        "norma-message",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )
}

fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let mut at = 0;
    while at < bytes.len() {
        match rustix::io::pwrite(file, &bytes[at..], at as u64) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => at += count,
        }
    }
    Ok(())
}
