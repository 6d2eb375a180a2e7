//! Typed messages: inline data that say what they are.
//!
//! A typed message's inline data are a row of *items*. An item is a descriptor of eight bytes
//! ([`Kind`], width of an element, how many) and its values, padded to eight bytes. Rights and
//! out-of-line memory are not in the inline data but in the message beside them; an item says
//! which of them it means by its place in the row: each takes the next ones (W-65).
//!
//! Owns: the format of items (`docs/wire.md` chapter 13), writing and reading
//! them. Leaves to others: which items a service expects, and in which order: that is the
//! service's protocol, and reading it is asking for one item after the other.
//! Why the types travel: so that a machine of the other byte order can convert without knowing
//! the protocol, a receiver finds out where a sender has another idea of it, and a tool can show
//! what is said. Mach 3 messages did the same; this differs from them in that a descriptor is the
//! same on 32 and 64 bits, and that the reader checks everything.
//!
//! ```
//! # use norma_ipc::{HeapPage, Ipc};
//! # let mut ipc: Ipc<HeapPage> = Ipc::new();
//! let mut message = ipc.new_message()?;
//! message.write()?.u32(7)?.text("seven")?.array(&[1.5, 2.5])?;
//!
//! let mut reader = message.read()?;
//! assert_eq!(reader.u32()?, 7);
//! assert_eq!(reader.text()?, "seven");
//! assert!(reader.array::<f64>()?.eq([1.5, 2.5]));
//! reader.end()?;
//! # ipc.discard(message);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod beside;
mod cursor;
mod error;
mod item;
mod reader;
mod row;
mod scalar;
mod writer;

pub use array::{Array, Values};
pub use beside::{Beside, Described, Parts, Regions};
pub use cursor::{Items, ItemsOf};
pub use error::{Occupied, ReadError};
pub use item::{Item, Kind};
pub use reader::{ItemReader, Reader, Rights};
pub use row::Row;
pub use scalar::{Number, Scalar};
pub use writer::Writer;
