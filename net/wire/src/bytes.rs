//! Little-endian fields at fixed places of fixed arrays.
//!
//! Owns the only byte arithmetic of this crate. Offset and length are constants and are
//! proved to lie inside the array when the program is compiled, so that nothing remains to
//! be checked when it runs. Leaves the meaning of fields to the formats.

/// The `LEN` bytes at `AT`.
#[inline(always)]
pub(crate) fn get<const AT: usize, const LEN: usize, const N: usize>(bytes: &[u8; N]) -> [u8; LEN] {
    const { assert!(AT + LEN <= N) };
    let mut out = [0; LEN];
    out.copy_from_slice(&bytes[AT..AT + LEN]);
    out
}

/// Writes `value` at `AT`.
#[inline(always)]
pub(crate) fn put<const AT: usize, const LEN: usize, const N: usize>(
    bytes: &mut [u8; N],
    value: [u8; LEN],
) {
    const { assert!(AT + LEN <= N) };
    bytes[AT..AT + LEN].copy_from_slice(&value);
}

macro_rules! integer {
    ($get:ident, $put:ident, $type:ty) => {
        /// The integer at `AT`.
        #[inline(always)]
        pub(crate) fn $get<const AT: usize, const N: usize>(bytes: &[u8; N]) -> $type {
            <$type>::from_le_bytes(get::<AT, { size_of::<$type>() }, N>(bytes))
        }

        /// Writes an integer at `AT`.
        #[inline(always)]
        pub(crate) fn $put<const AT: usize, const N: usize>(bytes: &mut [u8; N], value: $type) {
            put::<AT, { size_of::<$type>() }, N>(bytes, value.to_le_bytes());
        }
    };
}

integer!(get_u8, put_u8, u8);
integer!(get_u16, put_u16, u16);
integer!(get_u32, put_u32, u32);
integer!(get_u64, put_u64, u64);

/// The array of `LEN` bytes at `AT`, in place.
#[inline(always)]
pub(crate) fn sub<const AT: usize, const LEN: usize, const N: usize>(
    bytes: &[u8; N],
) -> &[u8; LEN] {
    const { assert!(AT + LEN <= N) };
    match bytes[AT..].first_chunk() {
        Some(part) => part,
        None => unreachable!(), // the assertion above has proved it
    }
}

/// The array of `LEN` bytes at `AT`, in place and writable.
#[inline(always)]
pub(crate) fn sub_mut<const AT: usize, const LEN: usize, const N: usize>(
    bytes: &mut [u8; N],
) -> &mut [u8; LEN] {
    const { assert!(AT + LEN <= N) };
    match bytes[AT..].first_chunk_mut() {
        Some(part) => part,
        None => unreachable!(), // the assertion above has proved it
    }
}
