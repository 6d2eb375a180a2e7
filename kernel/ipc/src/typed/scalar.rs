//! The types of single values.
//!
//! `usize` and `isize` are not among them: they are not the same everywhere. Nor are numbers
//! of 16 and 128 bits with a point, which Rust has not yet.

use super::item::Kind;

mod sealed {
    pub trait Sealed {}
}

/// A value that an item can hold: whole numbers of 8 to 128 bits, `f32`, `f64`, `bool`.
pub trait Scalar: Copy + sealed::Sealed + 'static {
    /// The kind of its items.
    const KIND: Kind;

    /// Reads a value that was written in the other byte order if `foreign`. What is not as long
    /// as a value reads as zero; nobody asks for that.
    #[doc(hidden)]
    fn read(bytes: &[u8], foreign: bool) -> Self;

    /// Appends the value in this machine's order; there is room.
    #[doc(hidden)]
    fn write(self, to: &mut alloc::vec::Vec<u8>);

    /// Whether all these are values.
    #[doc(hidden)]
    #[inline(always)]
    fn are_valid(_values: &[u8]) -> bool {
        true
    }
}

/// A [`Scalar`] of which every combination of bits is one, so that it can also lie out of line.
pub trait Number: Scalar {}

macro_rules! numbers {
    ($kind:ident: $($type:ty as $bits:ty),*) => {$(
        impl sealed::Sealed for $type {}

        impl Scalar for $type {
            const KIND: Kind = Kind::$kind;

            #[inline(always)]
            fn read(bytes: &[u8], foreign: bool) -> Self {
                let bits = match bytes.first_chunk() {
                    Some(bytes) => <$bits>::from_ne_bytes(*bytes),
                    None => 0,
                };
                Self::from_ne_bytes(if foreign { bits.swap_bytes() } else { bits }.to_ne_bytes())
            }

            #[inline(always)]
            fn write(self, to: &mut alloc::vec::Vec<u8>) {
                to.extend_from_slice(&self.to_ne_bytes());
            }
        }

        impl Number for $type {}
    )*};
}

numbers!(Unsigned: u8 as u8, u16 as u16, u32 as u32, u64 as u64, u128 as u128);
numbers!(Signed: i8 as u8, i16 as u16, i32 as u32, i64 as u64, i128 as u128);
numbers!(Float: f32 as u32, f64 as u64);

impl sealed::Sealed for bool {}

impl Scalar for bool {
    const KIND: Kind = Kind::Boolean;

    #[inline(always)]
    fn read(bytes: &[u8], _foreign: bool) -> Self {
        bytes.first().is_some_and(|byte| *byte != 0)
    }

    #[inline(always)]
    fn write(self, to: &mut alloc::vec::Vec<u8>) {
        to.push(u8::from(self)); // There is room.
    }

    fn are_valid(values: &[u8]) -> bool {
        values.iter().all(|value| *value <= 1)
    }
}

/// One method for each type of [`Scalar`], by the type's name.
#[doc(hidden)]
#[macro_export]
macro_rules! each_scalar {
    ($method:ident) => {
        $method! {
            u8 "an unsigned number of 8 bits", u16 "an unsigned number of 16 bits",
            u32 "an unsigned number of 32 bits", u64 "an unsigned number of 64 bits",
            u128 "an unsigned number of 128 bits", i8 "a signed number of 8 bits",
            i16 "a signed number of 16 bits", i32 "a signed number of 32 bits",
            i64 "a signed number of 64 bits", i128 "a signed number of 128 bits",
            f32 "a floating-point number of 32 bits", f64 "a floating-point number of 64 bits",
            bool "a truth value"
        }
    };
}
