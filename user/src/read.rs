//! Reading typed messages: values as they lie, and rights and memory, which are moved out.
//!
//! Leaves to others: the format of items, and every check of it (`norma_ipc::typed`).

use crate::carry::kind_of;
use crate::memory::Memory;
use crate::rights::{AnyRight, ReceiveRight, SendOnceRight, SendRight};
use alloc::vec::Vec;
use core::marker::PhantomData;
use norma_abi::Entry;
use norma_ipc::typed::{
    self, Array, Beside, Described, Item, ItemReader, ItemsOf, Number, ReadError, Regions, Scalar,
};
use norma_ipc::{Format, Name, NoMemory, PAGE_SIZE, RightKind};

/// Reads a message's items in order: [`Message::read`](crate::Message::read).
///
/// A read that fails takes nothing and does not move on, so that another can be tried. Rights
/// and memory that nobody takes stay in the message, and are released with it.
#[derive(Debug)]
pub struct Reader<'m>(ItemReader<'m, Contents<'m>>);

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
            Ok(named(self.0.right($type::KIND)?))
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
    pub(crate) fn new(data: &'m [u8], beside: Contents<'m>) -> Result<Self, ReadError> {
        let format = format(*beside.format);
        ItemReader::new(data, format, beside).map(Reader)
    }

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
        let (memory, foreign) = self.0.number_region::<T>()?;
        Ok(Values {
            memory,
            foreign,
            values: PhantomData,
        })
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

/// An array of rights in a message.
#[derive(Debug)]
pub struct Rights<'r, 'm, R> {
    rights: typed::Rights<'r, Contents<'m>>,
    held: PhantomData<R>,
}

impl<R: AnyRight> Iterator for Rights<'_, '_, R> {
    type Item = Result<R, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // It has its name already: nothing is in the way.
        Some(Ok(named(self.rights.take()?)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rights.len(), Some(self.rights.len()))
    }
}

fn named<R: AnyRight>(entry: Entry) -> R {
    R::from_name(Name::from_raw(entry.name))
}

/// An array of numbers that came out of line, with the memory that it lies in.
#[derive(Debug)]
pub struct Values<T> {
    memory: Memory,
    foreign: bool,
    values: PhantomData<T>,
}

impl<T: Number> Values<T> {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.memory.len() / size_of::<T>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        Array::new(self.memory.bytes(), self.foreign)
    }

    /// The number with this place.
    pub fn get(&self, index: usize) -> Option<T> {
        Array::new(self.memory.bytes(), self.foreign).get(index)
    }

    /// The memory, and whether its numbers are in the other byte order than this machine's.
    pub fn into_memory(self) -> (Memory, bool) {
        (self.memory, self.foreign)
    }
}

/// The items of a message, which stays as it is. Ends after the first error.
#[derive(Debug)]
pub struct Items<'m>(ItemsOf<'m, Looked<'m>>);

impl<'m> Items<'m> {
    pub(crate) fn of(
        data: &'m [u8],
        bits: u32,
        rights: &'m [Entry],
        memory: &'m Memory,
    ) -> Result<Self, ReadError> {
        ItemsOf::new(data, format(bits), Looked { rights, memory }).map(Items)
    }
}

impl<'m> Iterator for Items<'m> {
    type Item = Result<Item<'m>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// In a header's format, beside what the kernel reads of it: something was taken out.
const OPENED: u32 = 1 << 31;

fn format(bits: u32) -> Format {
    let mut format = Format::from_bits(bits as u8);
    if bits & OPENED != 0 {
        format.open();
    }
    format
}

/// What lies in a message beside its inline data, to look at.
#[derive(Debug)]
struct Looked<'m> {
    rights: &'m [Entry],
    memory: &'m Memory,
}

/// The same, to be taken out.
#[derive(Debug)]
pub(crate) struct Contents<'m> {
    pub(crate) format: &'m mut u32,
    pub(crate) rights: &'m mut Vec<Entry>,
    pub(crate) memory: &'m mut Memory,
}

macro_rules! described {
    ($type:ident) => {
        impl Described for $type<'_> {
            fn rights(&self) -> usize {
                self.rights.len()
            }

            fn kind(&self, place: usize) -> Option<RightKind> {
                self.rights.get(place).map(kind_of)
            }

            fn bytes(&self) -> usize {
                self.memory.len()
            }
        }
    };
}

described!(Looked);
described!(Contents);

impl Beside for Contents<'_> {
    type Right = Entry;

    fn open(&mut self) {
        *self.format |= OPENED;
    }

    fn take_right(&mut self, place: usize) -> Entry {
        self.rights.remove(place)
    }

    fn put_right(&mut self, place: usize, right: Entry) -> Result<(), Entry> {
        if self.rights.len() == self.rights.capacity() {
            return Err(right);
        }
        self.rights.insert(place, right);
        Ok(())
    }

    fn pages(&self) -> usize {
        self.memory.len().div_ceil(PAGE_SIZE)
    }
}

impl Regions for Contents<'_> {
    type Region = Memory;

    fn take_part(&mut self, page: usize, bytes: usize) -> Result<Memory, NoMemory> {
        self.memory.take_part(page, bytes)
    }
}
