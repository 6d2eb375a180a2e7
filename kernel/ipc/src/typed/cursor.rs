//! Where a reader stands: at an item, and at the rights and pages that are next.

use super::beside::Described;
use super::error::ReadError;
use super::item::Item;
use crate::format::Format;
use crate::message::Message;
use crate::page::PAGE_SIZE;

/// A place among items. Moving on means to pass what belongs to an item too.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'m> {
    data: &'m [u8],
    foreign: bool,
    opened: bool,
    /// Index of the next item's first right among those in the message.
    pub(super) right: usize,
    /// Index of the next item's first page.
    pub(super) page: usize,
}

impl<'m> Cursor<'m> {
    /// At the beginning.
    pub(super) fn new(data: &'m [u8], foreign: bool, opened: bool) -> Self {
        Cursor {
            data,
            foreign,
            opened,
            right: 0,
            page: 0,
        }
    }

    pub(super) fn is_opened(&self) -> bool {
        self.opened
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.data.is_empty()
    }

    /// The next item and what is behind it, if there is one.
    #[inline]
    pub(super) fn look(&self) -> Result<Option<(Item<'m>, &'m [u8])>, ReadError> {
        Item::parse(self.data, self.foreign)
    }

    /// Goes behind an item of which nothing is left in the message but its data.
    #[inline]
    pub(super) fn leave(&mut self, behind: &'m [u8]) {
        self.data = behind;
    }

    /// Goes behind an item whose rights and pages stay in the message.
    pub(super) fn pass(&mut self, item: &Item<'_>, behind: &'m [u8]) {
        if item.kind().right().is_some() {
            self.right += item.count() as usize;
        }
        self.page += item.memory().div_ceil(PAGE_SIZE);
        self.data = behind;
    }

    /// Whether the rights and the memory that the item at the cursor speaks of are there.
    pub(super) fn check(&self, item: &Item<'_>, beside: &impl Described) -> Result<(), ReadError> {
        if let Some(kind) = item.kind().right() {
            if self.opened {
                return Err(ReadError::Opened);
            }
            let end = self.right + item.count() as usize;
            if end > beside.rights() {
                return Err(ReadError::MissingRights);
            }
            if (self.right..end).any(|place| beside.kind(place) != Some(kind)) {
                return Err(ReadError::WrongRight);
            }
        }
        if item.is_out_of_line() {
            if self.opened {
                return Err(ReadError::Opened);
            }
            let left = beside.bytes().checked_sub(self.page * PAGE_SIZE);
            if left.is_none_or(|left| left < item.memory()) && item.memory() > 0 {
                return Err(ReadError::MissingMemory);
            }
        }
        Ok(())
    }
}

/// The items of a message, which stays as it is: to look at them in general, where a
/// [`Reader`](super::Reader) reads what a protocol expects. Ends after the first error.
pub type Items<'m, P> = ItemsOf<'m, &'m Message<P>>;

/// The same of any kind of message.
#[derive(Debug)]
pub struct ItemsOf<'m, B> {
    beside: B,
    cursor: Option<Cursor<'m>>,
}

impl<'m, P> Items<'m, P> {
    pub(crate) fn of(message: &'m Message<P>) -> Result<Self, ReadError> {
        Self::new(message.data(), message.format(), message)
    }
}

impl<'m, B: Described> ItemsOf<'m, B> {
    /// Begins with the first item in a message's inline data.
    ///
    /// # Errors
    /// [`ReadError::NotTyped`].
    pub fn new(data: &'m [u8], format: Format, beside: B) -> Result<Self, ReadError> {
        if !format.is_typed() {
            return Err(ReadError::NotTyped);
        }
        Ok(ItemsOf {
            beside,
            cursor: Some(Cursor::new(data, format.is_foreign(), format.is_opened())),
        })
    }
}

impl<'m, B: Described> Iterator for ItemsOf<'m, B> {
    type Item = Result<Item<'m>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let cursor = self.cursor.as_mut()?;
        let looked = cursor.look().and_then(|next| match next {
            Some((item, behind)) => {
                if !cursor.is_opened() {
                    cursor.check(&item, &self.beside)?;
                }
                cursor.pass(&item, behind);
                Ok(Some(item))
            }
            None => Ok(None),
        });
        if !matches!(looked, Ok(Some(_))) {
            self.cursor = None;
        }
        looked.transpose()
    }
}
