//! Reading items: what a protocol expects, one after the other.
//!
//! A message may come from anybody, so each item is checked when it is read, and what it says of
//! rights and memory against those that are there. A read that fails takes nothing and does not
//! move on; what nobody takes stays in the message, and goes with it.

use super::array::{Array, Values};
use super::beside::{Beside, Parts, Regions};
use super::cursor::Cursor;
use super::error::ReadError;
use super::item::{Item, Kind};
use super::scalar::{Number, Scalar};
use crate::format::Format;
use crate::message::Body;
use crate::page::Page;
use crate::right::RightKind;

/// Reads a message's items in order, and takes out the rights and the memory among them.
pub type Reader<'m, P> = ItemReader<'m, Parts<'m, P>>;

/// The same of any kind of message: what lies beside its items is `beside`.
#[derive(Debug)]
pub struct ItemReader<'m, B> {
    cursor: Cursor<'m>,
    beside: B,
}

macro_rules! reading {
    ($($type:ident $what:literal),*) => {$(
        #[doc = concat!("Reads ", $what, ".")]
        ///
        /// # Errors
        /// [`ReadError`].
        #[inline]
        pub fn $type(&mut self) -> Result<$type, ReadError> {
            self.value()
        }
    )*};
}

impl<'m, P> Reader<'m, P> {
    pub(crate) fn of(body: &'m mut Body<P>) -> Result<Self, ReadError> {
        let Body {
            data,
            format,
            rights,
            memory,
            ..
        } = body;
        let (items, beside) = (*format, Parts::new(format, rights, memory));
        Self::new(data, items, beside)
    }
}

impl<'m, B: Beside> ItemReader<'m, B> {
    /// Begins with the first item in a message's inline data.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    #[inline]
    pub fn new(data: &'m [u8], format: Format, beside: B) -> Result<Self, ReadError> {
        if !format.is_typed() {
            return Err(ReadError::NotTyped);
        }
        Ok(ItemReader {
            cursor: Cursor::new(data, format.is_foreign(), format.is_opened()),
            beside,
        })
    }

    /// The next item, without reading it; `None` at the end.
    ///
    /// # Errors
    /// A malformed item; see [`ReadError`].
    pub fn peek(&self) -> Result<Option<Item<'m>>, ReadError> {
        Ok(self.cursor.look()?.map(|(item, _)| item))
    }

    #[inline]
    fn look(&self) -> Result<(Item<'m>, &'m [u8]), ReadError> {
        self.cursor.look()?.ok_or(ReadError::End)
    }

    /// Reads an item of data; one that makes no sense stays where it is (W-66).
    #[inline]
    fn read<T>(
        &mut self,
        read: impl FnOnce(&Item<'m>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (item, behind) = self.look()?;
        let value = read(&item)?;
        self.cursor.leave(behind);
        Ok(value)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`ReadError`].
    #[inline]
    pub fn value<T: Scalar>(&mut self) -> Result<T, ReadError> {
        self.read(Item::value)
    }

    crate::each_scalar!(reading);

    /// Reads any number of values of one type.
    ///
    /// # Errors
    /// [`ReadError`].
    #[inline]
    pub fn array<T: Scalar>(&mut self) -> Result<Array<'m, T>, ReadError> {
        self.read(Item::array)
    }

    /// Reads a string of bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn bytes(&mut self) -> Result<&'m [u8], ReadError> {
        self.read(Item::bytes)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn text(&mut self) -> Result<&'m str, ReadError> {
        self.read(Item::text)
    }

    /// Reads how many of the following items belong together. It is not more than there can be.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn list(&mut self) -> Result<u32, ReadError> {
        self.read(Item::list)
    }

    /// Takes a right of this kind out.
    ///
    /// # Errors
    /// [`ReadError`]; the right stays in the message then.
    pub fn right(&mut self, kind: RightKind) -> Result<B::Right, ReadError> {
        self.right_into(kind, Ok)
    }

    /// Hands a right of this kind to `take`, which may give it back: then it is where it was.
    ///
    /// # Errors
    /// [`ReadError`], [`ReadError::NoMemory`] when it was given back; the right stays in the
    /// message then.
    pub fn right_into<T>(
        &mut self,
        kind: RightKind,
        take: impl FnOnce(B::Right) -> Result<T, B::Right>,
    ) -> Result<T, ReadError> {
        let (item, behind) = self.look()?;
        if item.kind() != Kind::of_rights(kind) {
            return Err(ReadError::Unexpected(item.kind()));
        }
        if item.count() != 1 {
            return Err(ReadError::UnexpectedCount(item.count()));
        }
        self.cursor.check(&item, &self.beside)?;
        let place = self.cursor.right;
        match take(self.beside.take_right(place)) {
            Ok(taken) => {
                self.beside.open();
                self.cursor.leave(behind);
                Ok(taken)
            }
            Err(right) => {
                // Where it was, so that there is room.
                let _ = self.beside.put_right(place, right);
                Err(ReadError::NoMemory)
            }
        }
    }

    /// Reads an array of rights of this kind, which can then be taken out. Those that are not
    /// stay in the message.
    ///
    /// # Errors
    /// [`ReadError`]; nothing has happened then.
    pub fn rights(&mut self, kind: RightKind) -> Result<Rights<'_, B>, ReadError> {
        let (item, behind) = self.look()?;
        if item.kind() != Kind::of_rights(kind) {
            return Err(ReadError::Unexpected(item.kind()));
        }
        self.cursor.check(&item, &self.beside)?;
        self.cursor.leave(behind);
        Ok(Rights {
            beside: &mut self.beside,
            next: &mut self.cursor.right,
            left: item.count() as usize,
        })
    }

    /// Goes behind the next item, whatever it is. Its rights or memory stay in the message.
    ///
    /// # Errors
    /// A malformed item, or [`ReadError::End`].
    pub fn skip(&mut self) -> Result<(), ReadError> {
        let (item, behind) = self.look()?;
        self.cursor.pass(&item, behind);
        Ok(())
    }

    /// Ends reading: the message has nothing that was not read or skipped.
    ///
    /// # Errors
    /// [`ReadError::Leftover`].
    pub fn end(self) -> Result<(), ReadError> {
        let Cursor { right, page, .. } = self.cursor;
        let described = self.cursor.is_opened()
            || (right == self.beside.rights() && page == self.beside.pages());
        if self.cursor.is_at_end() && described {
            Ok(())
        } else {
            Err(ReadError::Leftover)
        }
    }
}

impl<B: Regions> ItemReader<'_, B> {
    /// Takes a region of bytes out.
    ///
    /// # Errors
    /// [`ReadError`]; the memory stays in the message then.
    pub fn memory(&mut self) -> Result<B::Region, ReadError> {
        Ok(self.region(Kind::Bytes, 1)?.0)
    }

    /// Takes a region that holds an array of numbers out, and whether they are in the other byte
    /// order than this machine's.
    ///
    /// # Errors
    /// [`ReadError`]; the memory stays in the message then.
    pub fn number_region<T: Number>(&mut self) -> Result<(B::Region, bool), ReadError> {
        self.region(T::KIND, size_of::<T>())
    }

    fn region(&mut self, kind: Kind, width: usize) -> Result<(B::Region, bool), ReadError> {
        let (item, behind) = self.look()?;
        if item.kind() != kind || !item.is_out_of_line() {
            return Err(ReadError::Unexpected(item.kind()));
        }
        if usize::from(item.width()) != width {
            return Err(ReadError::UnexpectedWidth(item.width()));
        }
        self.cursor.check(&item, &self.beside)?;
        let region = if item.memory() == 0 {
            B::Region::default()
        } else {
            let region = self.beside.take_part(self.cursor.page, item.memory());
            let region = region.map_err(|_| ReadError::NoMemory)?;
            self.beside.open();
            region
        };
        self.cursor.leave(behind);
        Ok((region, item.is_foreign()))
    }
}

impl<P: Page> Reader<'_, P> {
    /// Takes a region that holds an array of numbers out.
    ///
    /// # Errors
    /// [`ReadError`]; the memory stays in the message then.
    pub fn numbers<T: Number>(&mut self) -> Result<Values<P, T>, ReadError> {
        let (memory, foreign) = self.number_region::<T>()?;
        Ok(Values::new(memory, foreign))
    }
}

/// An array of rights in a message, to be taken out one after the other. Those that are not
/// taken stay in the message.
#[derive(Debug)]
pub struct Rights<'r, B> {
    beside: &'r mut B,
    next: &'r mut usize,
    left: usize,
}

impl<B: Beside> Rights<'_, B> {
    /// How many have not been taken.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether all have been taken.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Takes the next one out.
    pub fn take(&mut self) -> Option<B::Right> {
        if self.left == 0 || *self.next >= self.beside.rights() {
            return None;
        }
        self.left -= 1;
        self.beside.open();
        Some(self.beside.take_right(*self.next))
    }

    /// Puts the one that was taken last back in its place: it was not wanted, or there was no
    /// place for it.
    ///
    /// # Errors
    /// Gives it back when none was taken.
    pub fn put_back(&mut self, right: B::Right) -> Result<(), B::Right> {
        self.beside.put_right(*self.next, right)?;
        self.left += 1;
        Ok(())
    }
}

impl<B> Drop for Rights<'_, B> {
    fn drop(&mut self) {
        *self.next += self.left;
    }
}
