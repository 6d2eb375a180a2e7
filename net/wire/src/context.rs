//! The call context (32 bytes): what a call carries on behalf of its caller.
//!
//! Owns its fields. It ends the stream of a message whose CONTEXT flag is set. Leaves to
//! the layers above what is done about a deadline or a priority.

use crate::Error;
use crate::bytes::{get, get_u8, get_u64, put, put_u8, put_u64};

/// Bytes of a context.
pub const LENGTH: usize = 32;

/// A view of a context; every value of every field is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a>(&'a [u8; LENGTH]);

impl<'a> Context<'a> {
    /// A view of the context that `bytes` starts with.
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Result<Context<'a>, Error> {
        Ok(Context(bytes.first_chunk().ok_or(Error::TooShort)?))
    }

    /// The same for bytes that are known to be enough.
    #[inline]
    pub fn from_array(bytes: &'a [u8; LENGTH]) -> Context<'a> {
        Context(bytes)
    }

    /// Nanoseconds left for the call when the frame was sent, 0 for no limit.
    #[inline]
    pub fn deadline(&self) -> u64 {
        get_u64::<0, _>(self.0)
    }

    /// Identity of the trace that the call belongs to, zeros for none.
    #[inline]
    pub fn trace(&self) -> [u8; 16] {
        get::<8, 16, _>(self.0)
    }

    /// Priority of the call.
    #[inline]
    pub fn priority(&self) -> u8 {
        get_u8::<24, _>(self.0)
    }
}

/// A call context, typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repr {
    /// Nanoseconds left for the call when the frame was sent, 0 for no limit.
    pub deadline: u64,
    /// Identity of the trace that the call belongs to, zeros for none.
    pub trace: [u8; 16],
    /// Priority of the call.
    pub priority: u8,
}

impl Repr {
    /// Reads a context.
    #[inline]
    pub fn parse(context: &Context<'_>) -> Repr {
        Repr {
            deadline: context.deadline(),
            trace: context.trace(),
            priority: context.priority(),
        }
    }

    /// Bytes that `emit` writes.
    pub const fn buffer_len(&self) -> usize {
        LENGTH
    }

    /// Writes the context.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; LENGTH]) {
        put_u64::<0, _>(bytes, self.deadline);
        put::<8, 16, _>(bytes, self.trace);
        put_u8::<24, _>(bytes, self.priority);
        put::<25, 7, _>(bytes, [0; 7]);
    }
}
