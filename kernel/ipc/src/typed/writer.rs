//! Writing items: each wholly, or not at all.

use super::error::Occupied;
use super::item::Kind;
use super::row::Row;
use super::scalar::{Number, Scalar};
use crate::error::{NoMemory, RightError};
use crate::format::Format;
use crate::limits::MAX_RIGHTS;
use crate::memory::Memory;
use crate::message::Body;
use crate::page::{Page, PageSource};
use crate::right::{Right, RightKind};

/// Appends items to a message.
///
/// A method that fails has appended nothing and gives back what it was given; what was written
/// before stays. A right that was written is gone:
///
/// ```compile_fail,E0382
/// use norma_ipc::{HeapPage, Message, Right};
///
/// fn twice(message: &mut Message<HeapPage>, right: Right) {
///     let mut writer = message.write().unwrap();
///     let _ = writer.right(right);
///     let _ = writer.right(right);
/// }
/// ```
///
/// And while a message is written, nobody sends it:
///
/// ```compile_fail,E0505
/// use norma_ipc::{HeapPage, Ipc, Message};
///
/// fn half(ipc: &mut Ipc<HeapPage>, mut message: Message<HeapPage>) {
///     let mut writer = message.write().unwrap();
///     ipc.discard(message);
///     let _ = writer.u8(1);
/// }
/// ```
#[derive(Debug)]
pub struct Writer<'m, P> {
    body: &'m mut Body<P>,
}

macro_rules! writing {
    ($($type:ident $what:literal),*) => {$(
        #[doc = concat!("Writes ", $what, ".")]
        ///
        /// # Errors
        /// [`NoMemory`], also when the inline data are full.
        #[inline]
        pub fn $type(&mut self, value: $type) -> Result<&mut Self, NoMemory> {
            self.value(value)
        }
    )*};
}

impl<'m, P> Writer<'m, P> {
    /// Begins anew: the message has no items, whatever data it had.
    pub(crate) fn new(body: &'m mut Body<P>) -> Result<Self, Occupied> {
        if !body.rights.is_empty() || !body.memory.is_empty() {
            return Err(Occupied);
        }
        body.data.clear();
        body.format = Format::TYPED_HERE;
        Ok(Writer { body })
    }

    #[inline]
    fn row(&mut self) -> Row<'_> {
        Row::new(&mut self.body.data)
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`NoMemory`], also when the inline data are full.
    #[inline]
    pub fn value<T: Scalar>(&mut self, value: T) -> Result<&mut Self, NoMemory> {
        self.array(&[value])
    }

    crate::each_scalar!(writing);

    /// Writes any number of values of one type.
    ///
    /// # Errors
    /// As [`Writer::value`].
    #[inline]
    pub fn array<T: Scalar>(&mut self, values: &[T]) -> Result<&mut Self, NoMemory> {
        self.row().array(values)?;
        Ok(self)
    }

    /// Writes a string of bytes, which nobody converts.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<&mut Self, NoMemory> {
        self.row().bytes(bytes)?;
        Ok(self)
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn text(&mut self, text: &str) -> Result<&mut Self, NoMemory> {
        self.row().text(text)?;
        Ok(self)
    }

    /// Says that the next `count` items belong together: an array of texts is a list and so many
    /// texts. They have to follow.
    ///
    /// # Errors
    /// As [`Writer::value`].
    pub fn list(&mut self, count: u32) -> Result<&mut Self, NoMemory> {
        self.row().list(count)?;
        Ok(self)
    }

    /// Moves a right in.
    ///
    /// # Errors
    /// Gives the right back for want of memory, when the inline data are full, or when there
    /// are [`MAX_RIGHTS`] rights already.
    pub fn right(&mut self, right: Right) -> Result<&mut Self, Right> {
        if self.reserve_rights(1).is_err() {
            return Err(right);
        }
        self.row().rights(right.kind(), 1);
        self.body.rights.push(right);
        Ok(self)
    }

    /// Moves an array of rights, all of this kind, in: `rights` is empty then.
    ///
    /// # Errors
    /// As [`Writer::right`], and [`RightError::InvalidRight`] when one is of another kind;
    /// `rights` is as it was.
    pub fn rights(
        &mut self,
        kind: RightKind,
        rights: &mut alloc::vec::Vec<Right>,
    ) -> Result<&mut Self, RightError> {
        if rights.iter().any(|right| right.kind() != kind) {
            return Err(RightError::InvalidRight);
        }
        self.reserve_rights(rights.len())?;
        self.row().rights(kind, rights.len());
        self.body.rights.append(rights);
        Ok(self)
    }

    fn reserve_rights(&mut self, count: usize) -> Result<(), NoMemory> {
        let rights = &mut self.body.rights;
        if count > MAX_RIGHTS.saturating_sub(rights.len()) {
            return Err(NoMemory);
        }
        rights.try_reserve(count).map_err(|_| NoMemory)?;
        self.row().reserve(0)
    }
}

impl<P: Page> Writer<'_, P> {
    /// Moves a region of bytes in, without a copy, but that what is behind its end in the last
    /// page is zeroed.
    ///
    /// # Errors
    /// Gives the region back for want of memory, when the inline data are full, or when there
    /// would be more than [`MAX_MEMORY`](crate::limits::MAX_MEMORY) bytes.
    pub fn memory(
        &mut self,
        region: Memory<P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<&mut Self, Memory<P>> {
        self.region(Kind::Bytes, 1, region, source)
    }

    /// The same of a region that holds an array of numbers in this machine's byte order.
    ///
    /// # Errors
    /// As [`Writer::memory`], also when the region does not end behind a number.
    pub fn numbers<T: Number>(
        &mut self,
        region: Memory<P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<&mut Self, Memory<P>> {
        if !region.len().is_multiple_of(size_of::<T>()) {
            return Err(region);
        }
        self.region(T::KIND, size_of::<T>() as u8, region, source)
    }

    /// Shares a region of bytes with the message: whoever writes to a page of it first makes a
    /// copy of that page. (One is made at once if the last page is used in part, and not zero
    /// behind that.)
    ///
    /// # Errors
    /// As [`Writer::memory`].
    pub fn copied_memory(
        &mut self,
        region: &Memory<P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<&mut Self, NoMemory> {
        self.memory(region.share()?, source).map_err(|_| NoMemory)
    }

    fn region(
        &mut self,
        kind: Kind,
        width: u8,
        region: Memory<P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<&mut Self, Memory<P>> {
        if self.row().reserve(0).is_err() {
            return Err(region);
        }
        let bytes = region.len();
        self.body.memory.append_aligned(region, source)?;
        self.row().region(kind, width, bytes);
        Ok(self)
    }
}
