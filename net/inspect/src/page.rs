//! Questions and answers, as they travel: typed messages (docs/wire.md, W-143).
//!
//! A question is two items, the table's number and the cursor. An answer is three items for each
//! row, two texts and an array of numbers, and behind the last row one more array: the cursor for
//! the next question, and the time at which this was so.

use crate::limits::{NUMBERS, PAGE};
use crate::rows::{Row, Table};
use norma_ipc::NoMemory;
use norma_ipc::typed::{Kind, ReadError, Reader, Writer};

/// The cursor behind the last row.
pub const END: u64 = u64::MAX;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The table.
    pub table: Table,
    /// From where on: 0, or what the answer before this question says.
    pub cursor: u64,
}

impl Question {
    /// Reads a question; `None` for a table that there is not.
    ///
    /// # Errors
    /// It is no question.
    pub fn read<P>(reader: &mut Reader<'_, P>) -> Result<Option<Self>, ReadError> {
        let (table, cursor) = (reader.u32()?, reader.u64()?);
        let table = Table::from_number(table);
        Ok(table.map(|table| Question { table, cursor }))
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn write<P>(&self, writer: &mut Writer<'_, P>) -> Result<(), NoMemory> {
        writer.u32(self.table as u32)?.u64(self.cursor)?;
        Ok(())
    }
}

/// An answer that is being written.
#[derive(Debug)]
pub struct Page<'w, 'm, P> {
    writer: &'w mut Writer<'m, P>,
    room: usize,
}

/// Bytes of an item with so many of values.
const fn item(bytes: usize) -> usize {
    8 + bytes.next_multiple_of(8)
}

/// The last item.
const TRAILER: usize = item(16);

impl<'w, 'm, P> Page<'w, 'm, P> {
    /// An answer without rows.
    pub fn new(writer: &'w mut Writer<'m, P>) -> Self {
        Page {
            writer,
            room: PAGE - TRAILER,
        }
    }

    /// Appends a row; says `false`, and has done nothing, when there is no room for it.
    ///
    /// # Errors
    /// [`NoMemory`]: what was written is of no use then.
    pub fn put(&mut self, row: &impl Row) -> Result<bool, NoMemory> {
        row.parts(|texts, numbers| {
            let [first, second] = texts;
            let bytes = item(first.len()) + item(second.len()) + item(size_of_val(numbers));
            let Some(room) = self.room.checked_sub(bytes) else {
                return Ok(false);
            };
            self.writer.text(first)?.text(second)?.array(numbers)?;
            self.room = room;
            Ok(true)
        })
    }

    /// Says how to go on, and when this was so.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn end(self, ended: Ended) -> Result<(), NoMemory> {
        self.writer.array(&[ended.cursor, ended.now])?;
        Ok(())
    }
}

/// What stands behind the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// For the next question; [`END`] when there are no more rows.
    pub cursor: u64,
    /// Nanoseconds since the node was started.
    pub now: u64,
}

/// Reads an answer and hands its rows to `take`. They may come from anybody: what is no row is an
/// error, and of a row nothing is believed but its shape.
///
/// # Errors
/// It is no answer; rows before the mistake were taken.
pub fn read_page<T: Row, P>(
    reader: &mut Reader<'_, P>,
    mut take: impl FnMut(T),
) -> Result<Ended, ReadError> {
    loop {
        let next = reader.peek()?.ok_or(ReadError::End)?;
        if next.kind() != Kind::Text {
            break;
        }
        let texts = [reader.text()?, reader.text()?];
        let numbers = reader.array::<u64>()?;
        take(T::from_parts(texts, numbers.take(NUMBERS)));
    }
    let mut numbers = reader.array::<u64>()?;
    let mut next = || numbers.next().ok_or(ReadError::End);
    let ended = Ended {
        cursor: next()?,
        now: next()?,
    };
    match reader.peek()? {
        None => Ok(ended),
        Some(_) => Err(ReadError::Leftover),
    }
}
