//! Names of the cluster, on a node whose network is a task's business: asked of the server.
//!
//! The server answers at the port that is checked in on this node as [`NAME`]. A request has its
//! kind as the first byte of its data; to look up is followed by the time to wait in nanoseconds,
//! 8 bytes, little-endian; then comes the name. With a right to check in goes that right. The
//! answer has the identifier 0, and the right that was looked up; or the number of a code.

use crate::failure::Failure;
use crate::message::Message;
use crate::rights::SendRight;
use crate::send::nanoseconds;
use alloc::vec::Vec;
use core::time::Duration;
use norma_abi::Code;

/// What the server is called on its own node.
pub const NAME: &str = "netmsgserver";

const CHECK_IN: u8 = 1;
const CHECK_OUT: u8 = 2;
const LOOK_UP: u8 = 3;
const SETTLE: u8 = 4;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// To make the right that comes along known.
    CheckIn {
        /// Under this name.
        name: &'a str,
    },
    /// To forget a name.
    CheckOut {
        /// This one.
        name: &'a str,
    },
    /// To find a right.
    LookUp {
        /// By this name.
        name: &'a str,
        /// Nanoseconds to wait for somebody to check it in; 0 to ask once.
        patience: u64,
    },
    /// To answer when all that was sent has arrived.
    Settle,
}

impl<'a> Request<'a> {
    /// Reads a request; `None` if it is none.
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let (kind, rest) = data.split_first()?;
        let text = |bytes: &'a [u8]| core::str::from_utf8(bytes).ok();
        Some(match *kind {
            CHECK_IN => Request::CheckIn { name: text(rest)? },
            CHECK_OUT => Request::CheckOut { name: text(rest)? },
            LOOK_UP => {
                let (patience, name) = rest.split_first_chunk()?;
                Request::LookUp {
                    name: text(name)?,
                    patience: u64::from_le_bytes(*patience),
                }
            }
            SETTLE => Request::Settle,
            _ => return None,
        })
    }

    fn message(self) -> Result<Message, Failure> {
        let mut data = Vec::new();
        data.try_reserve(128).map_err(|_| Failure::NoMemory)?;
        let name = match self {
            Request::CheckIn { name } => {
                data.push(CHECK_IN);
                name
            }
            Request::CheckOut { name } => {
                data.push(CHECK_OUT);
                name
            }
            Request::LookUp { name, patience } => {
                data.push(LOOK_UP);
                data.extend_from_slice(&patience.to_le_bytes());
                name
            }
            Request::Settle => {
                data.push(SETTLE);
                ""
            }
        };
        data.extend_from_slice(name.as_bytes());
        Message::with_data(&data)
    }
}

/// An answer of the server's.
///
/// # Errors
/// [`Failure::NoMemory`].
pub fn answer(outcome: Result<Option<SendRight>, Failure>) -> Result<Message, Failure> {
    let mut message = Message::new()?;
    match outcome {
        Ok(None) => {}
        Ok(Some(right)) => message.push_right(right)?,
        Err(failure) => message.set_id(failure.code().number() as u32),
    }
    Ok(message)
}

/// The server of this node.
#[derive(Debug)]
pub struct Network {
    server: SendRight,
}

impl Network {
    /// Finds it; waits for at most `timeout` for it to be there.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`].
    pub fn find(task: &crate::Task, timeout: Duration) -> Result<Self, Failure> {
        let server = task.wait_for(NAME, timeout)?;
        Ok(Self { server })
    }

    /// Makes a copy of a right known to the whole cluster under `name`, of 1 to 63 bytes.
    ///
    /// # Errors
    /// [`Failure::BadName`], [`Failure::NameTaken`], [`Failure::NoMemory`].
    pub fn check_in(&self, name: &str, right: &SendRight) -> Result<(), Failure> {
        let mut message = Request::CheckIn { name }.message()?;
        message.push_copy(right)?;
        self.ask(message).map(drop)
    }

    /// Makes a name unknown again.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`] if it was not checked in on this node.
    pub fn check_out(&self, name: &str) -> Result<(), Failure> {
        self.ask(Request::CheckOut { name }.message()?).map(drop)
    }

    /// Looks a name up until somebody has checked it in, for at most `timeout`; with no time at
    /// all, once.
    ///
    /// # Errors
    /// [`Failure::NameUnknown`].
    pub fn look_up(&self, name: &str, timeout: Duration) -> Result<SendRight, Failure> {
        let patience = nanoseconds(timeout);
        let request = Request::LookUp { name, patience };
        let mut answer = self.ask(request.message()?)?;
        answer.take_right()?.ok_or(Failure::NameUnknown)
    }

    /// Waits until all that was sent to other nodes has arrived there.
    ///
    /// # Errors
    /// The server is gone.
    pub fn settle(&self) -> Result<(), Failure> {
        self.ask(Request::Settle.message()?).map(drop)
    }

    fn ask(&self, message: Message) -> Result<Message, Failure> {
        let answer = self.server.call(message)?;
        match answer.id() {
            0 => Ok(answer),
            code => Err(Failure::from_code(Code::from_number(code.into()), 0)),
        }
    }
}
