//! Writing typed messages: values, and rights and memory, which are moved in.
//!
//! Leaves to others: the format of items, and every check of it (`norma_ipc::typed`).

use crate::face::error::Failure;
use crate::face::rights::AnyRight;
use crate::face::{Memory, ReceiveRight, SendOnceRight, SendRight};
use crate::memory::{Frame, Frames};
use crate::node;
use crate::thread::rights as held;
use alloc::vec::Vec;
use core::fmt;
use norma_ipc::typed::{self, Number, Scalar};
use norma_ipc::{Disposition, Name, Right};

/// Appends items to a message: [`Message::write`](crate::face::Message::write).
///
/// A method that fails has appended nothing, and gives back what it was given.
#[derive(Debug)]
pub struct Writer<'m>(pub(crate) typed::Writer<'m, Frame>);

/// What was not written, and why.
#[derive(Debug)]
#[must_use]
pub struct WriteError<T> {
    /// Why.
    pub failure: Failure,
    /// What was not written.
    pub value: T,
}

impl<T> fmt::Display for WriteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for WriteError<T> {}

impl<T> From<WriteError<T>> for Failure {
    fn from(error: WriteError<T>) -> Self {
        error.failure
    }
}

macro_rules! numbers {
    ($($type:ident $what:literal),*) => {$(
        #[doc = concat!("Writes ", $what, ".")]
        ///
        /// # Errors
        /// [`Failure::NoMemory`], also when the inline data are full.
        #[inline]
        pub fn $type(&mut self, value: $type) -> Result<&mut Self, Failure> {
            self.value(value)
        }
    )*};
}

impl Writer<'_> {
    /// Writes a value.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the inline data are full.
    #[inline]
    pub fn value<T: Scalar>(&mut self, value: T) -> Result<&mut Self, Failure> {
        self.0.value(value)?;
        Ok(self)
    }

    norma_ipc::each_scalar!(numbers);

    /// Writes any number of values of one type.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn array<T: Scalar>(&mut self, values: &[T]) -> Result<&mut Self, Failure> {
        self.0.array(values)?;
        Ok(self)
    }

    /// Writes a string of bytes, which nobody converts.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<&mut Self, Failure> {
        self.0.bytes(bytes)?;
        Ok(self)
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn text(&mut self, text: &str) -> Result<&mut Self, Failure> {
        self.0.text(text)?;
        Ok(self)
    }

    /// Says that the next `count` items belong together: an array of texts is a list and so many
    /// texts. They have to follow.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn list(&mut self, count: u32) -> Result<&mut Self, Failure> {
        self.0.list(count)?;
        Ok(self)
    }

    /// Moves a send right in.
    ///
    /// # Errors
    /// Gives the right back when the message is full, or for want of memory.
    pub fn send_right(&mut self, right: SendRight) -> Result<&mut Self, WriteError<SendRight>> {
        self.moved(right, Disposition::MoveSend)
    }

    /// Moves a send-once right in.
    ///
    /// # Errors
    /// As [`Writer::send_right`].
    pub fn send_once_right(
        &mut self,
        right: SendOnceRight,
    ) -> Result<&mut Self, WriteError<SendOnceRight>> {
        self.moved(right, Disposition::MoveSendOnce)
    }

    /// Moves a receive right in, and with it the port and what is queued there.
    ///
    /// # Errors
    /// As [`Writer::send_right`].
    pub fn receive_right(
        &mut self,
        right: ReceiveRight,
    ) -> Result<&mut Self, WriteError<ReceiveRight>> {
        self.moved(right, Disposition::MoveReceive)
    }

    /// Puts a copy of a send right in.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy_right(&mut self, right: &SendRight) -> Result<&mut Self, Failure> {
        self.made(right.name(), Disposition::CopySend)
    }

    /// Makes a send right to the port and puts it in.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&mut self, port: &ReceiveRight) -> Result<&mut Self, Failure> {
        self.made(port.name(), Disposition::MakeSend)
    }

    /// Makes a send-once right to the port and puts it in.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&mut self, port: &ReceiveRight) -> Result<&mut Self, Failure> {
        self.made(port.name(), Disposition::MakeSendOnce)
    }

    /// Moves an array of send rights in.
    ///
    /// # Errors
    /// Gives them back, in order, when the message is full, for want of memory, or when one is
    /// dead by now.
    pub fn send_rights(
        &mut self,
        rights: Vec<SendRight>,
    ) -> Result<&mut Self, WriteError<Vec<SendRight>>> {
        self.all_moved(rights)
    }

    /// Moves an array of send-once rights in.
    ///
    /// # Errors
    /// As [`Writer::send_rights`].
    pub fn send_once_rights(
        &mut self,
        rights: Vec<SendOnceRight>,
    ) -> Result<&mut Self, WriteError<Vec<SendOnceRight>>> {
        self.all_moved(rights)
    }

    /// Moves an array of receive rights in.
    ///
    /// # Errors
    /// As [`Writer::send_rights`].
    pub fn receive_rights(
        &mut self,
        rights: Vec<ReceiveRight>,
    ) -> Result<&mut Self, WriteError<Vec<ReceiveRight>>> {
        self.all_moved(rights)
    }

    /// Moves a region of bytes in, without a copy. What is behind its end in its last page is
    /// zeroed.
    ///
    /// # Errors
    /// Gives the region back when the message is full, or for want of memory.
    pub fn memory(&mut self, region: Memory) -> Result<&mut Self, WriteError<Memory>> {
        match self.0.memory(region, &mut Frames) {
            Ok(_) => Ok(self),
            Err(value) => Err(no_memory(value)),
        }
    }

    /// The same of a region that holds an array of numbers.
    ///
    /// # Errors
    /// As [`Writer::memory`], also when the region does not end behind a number.
    pub fn numbers<T: Number>(&mut self, region: Memory) -> Result<&mut Self, WriteError<Memory>> {
        match self.0.numbers::<T>(region, &mut Frames) {
            Ok(_) => Ok(self),
            Err(value) => Err(no_memory(value)),
        }
    }

    /// Shares a region of bytes with the message: no page is copied until one of the two is
    /// written to, and then that page alone.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the message is full.
    pub fn copy_memory(&mut self, region: &Memory) -> Result<&mut Self, Failure> {
        self.0.copied_memory(region, &mut Frames)?;
        Ok(self)
    }

    /// Moves one right out of the space and in.
    fn moved<R: AnyRight>(
        &mut self,
        right: R,
        disposition: Disposition,
    ) -> Result<&mut Self, WriteError<R>> {
        let mut engine = node::lock();
        let space = engine.space;
        let failure = match engine.core.ipc().copy_in(space, right.name(), disposition) {
            Err(error) => Failure::from_right(&engine, error),
            Ok(taken) => match self.0.right(taken) {
                Ok(_) => {
                    // Its name denotes nothing any more.
                    let _ = right.into_name();
                    held::given_up();
                    // Threads that wait at a port that was moved learn so.
                    engine.act(node::now());
                    return Ok(self);
                }
                Err(taken) => {
                    let name = right.into_name();
                    let value = R::from_name(put_back(&mut engine, taken, name));
                    return Err(no_memory(value));
                }
            },
        };
        Err(WriteError {
            failure,
            value: right,
        })
    }

    /// Takes or makes a right that is nobody's yet.
    fn made(&mut self, name: Name, disposition: Disposition) -> Result<&mut Self, Failure> {
        let mut engine = node::lock();
        let space = engine.space;
        match engine.core.ipc().copy_in(space, name, disposition) {
            Err(error) => Err(Failure::from_right(&engine, error)),
            Ok(made) => match self.0.right(made) {
                Ok(_) => Ok(self),
                Err(made) => {
                    engine.core.ipc().release(made);
                    engine.act(node::now());
                    Err(Failure::NoMemory)
                }
            },
        }
    }

    /// Moves an array of rights out of the space and in, or none of them.
    fn all_moved<R: AnyRight>(&mut self, rights: Vec<R>) -> Result<&mut Self, WriteError<Vec<R>>> {
        let mut taken = Vec::new();
        if taken.try_reserve_exact(rights.len()).is_err() {
            return Err(no_memory(rights));
        }
        let mut engine = node::lock();
        let space = engine.space;
        let mut failure = None;
        for right in &rights {
            match engine.core.ipc().extract(space, right.name(), R::KIND) {
                Ok(right) => taken.push(right),
                Err(error) => {
                    failure = Some(Failure::from_right(&engine, error));
                    break;
                }
            }
        }
        if failure.is_none() {
            match self.0.rights(R::KIND, &mut taken) {
                Ok(_) => {
                    for right in rights {
                        let _ = right.into_name();
                        held::given_up();
                    }
                    engine.act(node::now());
                    return Ok(self);
                }
                Err(error) => failure = Some(Failure::from_right(&engine, error)),
            }
        }
        // Each goes back to where it was, as far as it was taken.
        let mut taken = taken.into_iter();
        let mut value = rights;
        for place in &mut value {
            let Some(right) = taken.next() else { break };
            let name = put_back(&mut engine, right, place.name());
            let old = core::mem::replace(place, R::from_name(name));
            let _ = old.into_name();
        }
        engine.act(node::now());
        drop(engine);
        Err(WriteError {
            failure: failure.unwrap_or(Failure::NoMemory),
            value,
        })
    }
}

/// Puts a right that was taken out of the space a moment ago, where it had this name, back.
fn put_back(engine: &mut node::Engine, right: Right, name: Name) -> Name {
    let space = engine.space;
    match engine.core.ipc().insert(space, right) {
        Ok(name) => name,
        Err(refused) => {
            // There was a place for it a moment ago.
            engine.core.ipc().release(refused.right);
            name
        }
    }
}

fn no_memory<T>(value: T) -> WriteError<T> {
    WriteError {
        failure: Failure::NoMemory,
        value,
    }
}
