//! Writing typed messages: values, and rights and memory, which are moved in.
//!
//! Leaves to others: the format of items, and every check of it (`norma_ipc::typed`).

use crate::carry::listed;
use crate::failure::Failure;
use crate::memory::Memory;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
use alloc::vec::Vec;
use core::fmt;
use norma_abi::Entry;
use norma_ipc::NoMemory;
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::typed::{Kind, Number, Row, Scalar};

/// Appends items to a message: [`Message::write`](crate::Message::write).
///
/// A method that fails has appended nothing, and gives back what it was given.
#[derive(Debug)]
pub struct Writer<'m> {
    pub(crate) data: &'m mut Vec<u8>,
    pub(crate) rights: &'m mut Vec<Entry>,
    pub(crate) memory: &'m mut Memory,
}

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

impl<'m> Writer<'m> {
    fn row(&mut self) -> Row<'_> {
        Row::new(self.data)
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the inline data are full.
    #[inline]
    pub fn value<T: Scalar>(&mut self, value: T) -> Result<&mut Self, Failure> {
        self.row().array(&[value])?;
        Ok(self)
    }

    norma_ipc::each_scalar!(numbers);

    /// Writes any number of values of one type.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn array<T: Scalar>(&mut self, values: &[T]) -> Result<&mut Self, Failure> {
        self.row().array(values)?;
        Ok(self)
    }

    /// Writes a string of bytes, which nobody converts.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<&mut Self, Failure> {
        self.row().bytes(bytes)?;
        Ok(self)
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn text(&mut self, text: &str) -> Result<&mut Self, Failure> {
        self.row().text(text)?;
        Ok(self)
    }

    /// Says that the next `count` items belong together: an array of texts is a list and so many
    /// texts. They have to follow.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn list(&mut self, count: u32) -> Result<&mut Self, Failure> {
        self.row().list(count)?;
        Ok(self)
    }

    /// Moves a send right in.
    ///
    /// # Errors
    /// Gives the right back when the message is full, or for want of memory.
    pub fn send_right(&mut self, right: SendRight) -> Result<&mut Self, WriteError<SendRight>> {
        self.moved(right)
    }

    /// Moves a send-once right in.
    ///
    /// # Errors
    /// As [`Writer::send_right`].
    pub fn send_once_right(
        &mut self,
        right: SendOnceRight,
    ) -> Result<&mut Self, WriteError<SendOnceRight>> {
        self.moved(right)
    }

    /// Moves a receive right in, and with it the port and what is queued there.
    ///
    /// # Errors
    /// As [`Writer::send_right`].
    pub fn receive_right(
        &mut self,
        right: ReceiveRight,
    ) -> Result<&mut Self, WriteError<ReceiveRight>> {
        self.moved(right)
    }

    /// Puts a copy of a send right in.
    ///
    /// # Errors
    /// The port may be dead; [`Failure::NoMemory`].
    pub fn copy_right(&mut self, right: &SendRight) -> Result<&mut Self, Failure> {
        Ok(self.moved(right.copy()?)?)
    }

    /// Makes a send right to the port and puts it in.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send(&mut self, port: &ReceiveRight) -> Result<&mut Self, Failure> {
        Ok(self.moved(port.make_send()?)?)
    }

    /// Makes a send-once right to the port and puts it in.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn make_send_once(&mut self, port: &ReceiveRight) -> Result<&mut Self, Failure> {
        Ok(self.moved(port.make_send_once()?)?)
    }

    /// Moves an array of send rights in.
    ///
    /// # Errors
    /// Gives them back, in order, when the message is full, or for want of memory.
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

    /// Moves a region of bytes in; the first without a copy, but a message's memory lies together,
    /// so that with each further one all of it is copied. What is behind its end in its last page
    /// is zeroed.
    ///
    /// # Errors
    /// Gives the region back when the message is full, or for want of memory.
    pub fn memory(&mut self, region: Memory) -> Result<&mut Self, WriteError<Memory>> {
        self.region(Kind::Bytes, 1, region)
    }

    /// The same of a region that holds an array of numbers.
    ///
    /// # Errors
    /// As [`Writer::memory`], also when the region does not end behind a number.
    pub fn numbers<T: Number>(&mut self, region: Memory) -> Result<&mut Self, WriteError<Memory>> {
        if !region.len().is_multiple_of(size_of::<T>()) {
            return Err(no_memory(region));
        }
        self.region(T::KIND, size_of::<T>() as u8, region)
    }

    /// Shares a region of bytes with the message: no page is copied until one of the two is
    /// written to, and then that page alone.
    ///
    /// # Errors
    /// [`Failure::NoMemory`], also when the message is full.
    pub fn copy_memory(&mut self, region: &Memory) -> Result<&mut Self, Failure> {
        Ok(self.memory(region.share()?)?)
    }

    fn moved<R: AnyRight>(&mut self, right: R) -> Result<&mut Self, WriteError<R>> {
        if self.reserve_rights(1).is_err() {
            return Err(no_memory(right));
        }
        self.row().rights(R::KIND, 1);
        self.rights.push(listed(right.into_name(), R::KIND));
        Ok(self)
    }

    fn all_moved<R: AnyRight>(&mut self, rights: Vec<R>) -> Result<&mut Self, WriteError<Vec<R>>> {
        if self.reserve_rights(rights.len()).is_err() {
            return Err(no_memory(rights));
        }
        self.row().rights(R::KIND, rights.len());
        for right in rights {
            self.rights.push(listed(right.into_name(), R::KIND));
        }
        Ok(self)
    }

    fn reserve_rights(&mut self, count: usize) -> Result<(), NoMemory> {
        if count > MAX_RIGHTS.saturating_sub(self.rights.len()) {
            return Err(NoMemory);
        }
        self.rights.try_reserve(count).map_err(|_| NoMemory)?;
        self.row().reserve(0)
    }

    fn region(
        &mut self,
        kind: Kind,
        width: u8,
        region: Memory,
    ) -> Result<&mut Self, WriteError<Memory>> {
        if self.row().reserve(0).is_err() {
            return Err(no_memory(region));
        }
        let bytes = region.len();
        self.memory.append(region).map_err(no_memory)?;
        self.row().region(kind, width, bytes);
        Ok(self)
    }
}

fn no_memory<T>(value: T) -> WriteError<T> {
    WriteError {
        failure: Failure::NoMemory,
        value,
    }
}
