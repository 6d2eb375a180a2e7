//! Memory that moves in messages without a copy: whole pages of the program's own.

use crate::failure::Failure;
use crate::rights::ReceiveRight;
use crate::system;
use core::mem::ManuallyDrop;
use norma_abi::{Header, call};
use norma_ipc::limits::MAX_MEMORY;
use norma_ipc::{NoMemory, PAGE_SIZE};

/// Whole pages, of which the last may be used in part. Dropping it gives them up.
#[derive(Debug, Default)]
pub struct Memory {
    address: u64,
    length: usize,
}

impl Memory {
    /// No memory.
    pub const fn new() -> Self {
        Self {
            address: 0,
            length: 0,
        }
    }

    /// So many zeros.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn zeroed(length: usize) -> Result<Self, Failure> {
        if length == 0 {
            return Ok(Self::new());
        }
        let whole = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Failure::NoMemory)?;
        let address = system::plain(call::MAP, [whole as u64, 0, 0, 0])?;
        Ok(Self { address, length })
    }

    /// A copy of these bytes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn copy_from(bytes: &[u8]) -> Result<Self, Failure> {
        let mut memory = Self::zeroed(bytes.len())?;
        memory.bytes_mut().copy_from_slice(bytes);
        Ok(memory)
    }

    /// A copy, of which no page is made before one of the two is written to, and then that page
    /// alone.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn share(&self) -> Result<Self, Failure> {
        if self.length == 0 {
            return Ok(Self::new());
        }
        // A message to oneself: there the kernel shares pages.
        let port = ReceiveRight::new()?;
        let right = port.make_send()?;
        let header = Header {
            memory: self.address,
            memory_length: self.length as u64,
            memory_kept: 1,
            ..Header::default()
        };
        let at = core::ptr::from_ref(&header) as u64;
        // SAFETY: the memory is this value's, and stays so.
        unsafe { system::call(call::SEND, [right.name().raw().into(), at, 0, 0]) }?;
        Ok(port.receive()?.take_memory())
    }

    /// Memory that the kernel put there for this program.
    pub(crate) const fn received(address: u64, length: usize) -> Self {
        Self { address, length }
    }

    /// Gives the value up and keeps the memory: its address and its length.
    pub(crate) fn into_parts(self) -> (u64, usize) {
        let this = ManuallyDrop::new(self);
        (this.address, this.length)
    }

    /// Bytes in use.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where it is, for who tests the kernel.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the kernel gave this memory to this value alone.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.length) }
    }

    /// A whole page, with what lies behind the end of the last.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn page(&self, page: usize) -> &[u8; PAGE_SIZE] {
        assert!(page < self.length.div_ceil(PAGE_SIZE));
        let address = self.address as usize + page * PAGE_SIZE;
        // SAFETY: as above, of whole pages.
        unsafe { &*(address as *const [u8; PAGE_SIZE]) }
    }

    /// Takes `bytes` out, from the page with this number on; they are there. What is left lies
    /// together: if something is left on both sides, it is copied.
    pub(crate) fn take_part(&mut self, page: usize, bytes: usize) -> Result<Self, NoMemory> {
        let (first, behind) = (page * PAGE_SIZE, (page * PAGE_SIZE) + whole(bytes));
        let part = Self::received(self.address + first as u64, bytes);
        if behind >= self.length {
            self.length = first;
            return Ok(part);
        }
        if first == 0 {
            self.address += behind as u64;
            self.length -= behind;
            return Ok(part);
        }
        let part = ManuallyDrop::new(part);
        let mut rest = Self::zeroed(self.length - (behind - first)).map_err(|_| NoMemory)?;
        let (before, after) = rest.bytes_mut().split_at_mut(first);
        before.copy_from_slice(&self.bytes()[..first]);
        after.copy_from_slice(&self.bytes()[behind..]);
        let (address, length) = core::mem::replace(self, rest).into_parts();
        drop(Self::received(address, first));
        drop(Self::received(address + behind as u64, length - behind));
        Ok(ManuallyDrop::into_inner(part))
    }

    /// Puts `region` behind what there is, at the beginning of a page, and zeros behind its end.
    /// If there is something already, both are copied.
    pub(crate) fn append(&mut self, mut region: Self) -> Result<(), Self> {
        let at = whole(self.length);
        if region.is_empty() {
            return Ok(());
        }
        if at + region.length > MAX_MEMORY {
            return Err(region);
        }
        if at == 0 {
            region.clear_padding();
            *self = region;
            return Ok(());
        }
        let Ok(mut joined) = Self::zeroed(at + region.length) else {
            return Err(region);
        };
        let (before, after) = joined.bytes_mut().split_at_mut(at);
        before[..self.length].copy_from_slice(self.bytes());
        after.copy_from_slice(region.bytes());
        *self = joined;
        Ok(())
    }

    fn clear_padding(&mut self) {
        let (address, length) = (self.address as usize + self.length, whole(self.length));
        // SAFETY: the last page is this value's to its end.
        let padding =
            unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length - self.length) };
        // Not written to without need: somebody else may hold the page too.
        if padding.iter().any(|byte| *byte != 0) {
            padding.fill(0);
        }
    }

    /// The bytes, for writing; a page that somebody else holds too is copied by the kernel.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: as above, and the value is borrowed alone.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.length) }
    }
}

/// Bytes of whole pages.
const fn whole(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_SIZE)
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.length > 0 {
            let length = self.length.next_multiple_of(PAGE_SIZE) as u64;
            // SAFETY: the value owned it, and nobody borrows it any more.
            let _ = unsafe { system::call(call::UNMAP, [self.address, length, 0, 0]) };
        }
    }
}
