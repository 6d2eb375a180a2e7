//! Reading typed messages: values as they lie, and rights and memory, which are moved out.
//!
//! Leaves to others: the format of items, and every check of it (`norma_ipc::typed`).

use crate::face::rights::{AnyRight, taken};
use crate::face::{Memory, ReceiveRight, SendOnceRight, SendRight, Values};
use crate::memory::Frame;
use crate::node;
use core::marker::PhantomData;
use norma_ipc::typed::{self, Array, Item, Number, ReadError, Scalar};
use norma_ipc::{Name, Right};

/// Reads a message's items in order: [`Message::read`](crate::face::Message::read).
///
/// A read that fails takes nothing and does not move on, so that another can be tried. Rights
/// and memory that nobody takes stay in the message, and are released with it.
#[derive(Debug)]
pub struct Reader<'m>(pub(crate) typed::Reader<'m, Frame>);

macro_rules! numbers {
    ($($type:ident $what:literal),*) => {$(
        #[doc = concat!("Reads ", $what, ".")]
        ///
        /// # Errors
        /// [`ReadError`].
        #[inline]
        pub fn $type(&mut self) -> Result<$type, ReadError> {
            self.0.value()
        }
    )*};
}

macro_rules! rights {
    ($($one:ident $many:ident $type:ident $what:literal),*) => {$(
        #[doc = concat!("Takes a ", $what, " right out.")]
        ///
        /// # Errors
        /// [`ReadError`]; the right stays in the message.
        pub fn $one(&mut self) -> Result<$type, ReadError> {
            self.0.right_into($type::KIND, insert).map(taken)
        }

        #[doc = concat!("Reads an array of ", $what, " rights; each is taken out as the iterator ")]
        /// comes to it, the others stay in the message.
        ///
        /// # Errors
        /// [`ReadError`].
        pub fn $many(&mut self) -> Result<Rights<'_, 'm, $type>, ReadError> {
            Ok(Rights {
                rights: self.0.rights($type::KIND)?,
                held: PhantomData,
            })
        }
    )*};
}

impl<'m> Reader<'m> {
    /// The next item, without reading it; `None` at the end.
    ///
    /// # Errors
    /// A malformed item; see [`ReadError`].
    pub fn peek(&self) -> Result<Option<Item<'m>>, ReadError> {
        self.0.peek()
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`ReadError`].
    #[inline]
    pub fn value<T: Scalar>(&mut self) -> Result<T, ReadError> {
        self.0.value()
    }

    norma_ipc::each_scalar!(numbers);

    /// Reads any number of values of one type.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn array<T: Scalar>(&mut self) -> Result<Array<'m, T>, ReadError> {
        self.0.array()
    }

    /// Reads a string of bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn bytes(&mut self) -> Result<&'m [u8], ReadError> {
        self.0.bytes()
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn text(&mut self) -> Result<&'m str, ReadError> {
        self.0.text()
    }

    /// Reads how many of the following items belong together.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn list(&mut self) -> Result<u32, ReadError> {
        self.0.list()
    }

    rights! {
        send_right send_rights SendRight "send",
        send_once_right send_once_rights SendOnceRight "send-once",
        receive_right receive_rights ReceiveRight "receive"
    }

    /// Takes a region of bytes out, without a copy.
    ///
    /// # Errors
    /// [`ReadError`]; the memory stays in the message.
    pub fn memory(&mut self) -> Result<Memory, ReadError> {
        self.0.memory()
    }

    /// Takes a region that holds an array of numbers out.
    ///
    /// # Errors
    /// [`ReadError`]; the memory stays in the message.
    pub fn numbers<T: Number>(&mut self) -> Result<Values<T>, ReadError> {
        self.0.numbers()
    }

    /// Goes behind the next item, whatever it is. Its rights or memory stay in the message.
    ///
    /// # Errors
    /// A malformed item, or [`ReadError::End`].
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.0.skip()
    }

    /// Ends reading: the message has nothing that was not read or skipped.
    ///
    /// # Errors
    /// [`ReadError::Leftover`].
    pub fn end(self) -> Result<(), ReadError> {
        self.0.end()
    }
}

/// An array of rights in a message. After an error (there was no place for a right) the right is
/// still there, and comes next.
#[derive(Debug)]
pub struct Rights<'r, 'm, R> {
    rights: typed::Rights<'r, typed::Parts<'m, Frame>>,
    held: PhantomData<R>,
}

impl<R: AnyRight> Iterator for Rights<'_, '_, R> {
    type Item = Result<R, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let right = self.rights.take()?;
        Some(match insert(right) {
            Ok(name) => Ok(taken(name)),
            Err(right) => {
                // It was there a moment ago.
                let _ = self.rights.put_back(right);
                Err(ReadError::NoMemory)
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rights.len(), Some(self.rights.len()))
    }
}

/// Gives a right a name.
fn insert(right: Right) -> Result<Name, Right> {
    let mut engine = node::lock();
    let space = engine.space;
    let inserted = engine.core.ipc().insert(space, right);
    inserted.map_err(|refused| refused.right)
}
