//! Out-of-line memory: what a message has beside its inline data.
//!
//! It goes to the daemon and comes from it as a memory file, whose bytes the daemon copies once:
//! what a program does to its file afterwards, or meanwhile, is its own affair.

use crate::connection::memory_file;
use crate::error::Failure;
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;

/// A region of bytes, of at most [`norma_ipc::limits::MAX_MEMORY`] when it is sent.
#[derive(Debug, Default)]
pub struct Memory(pub(crate) Region);

#[derive(Debug, Default)]
pub(crate) enum Region {
    #[default]
    None,
    /// In this program's own memory.
    Bytes(Vec<u8>),
    /// The first bytes of a memory file.
    File(OwnedFd, usize),
}

impl Memory {
    /// The bytes of a vector, without a copy.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(if bytes.is_empty() {
            Region::None
        } else {
            Region::Bytes(bytes)
        })
    }

    /// The bytes of a file from where it stands, copied by the kernel.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn from_file(file: &mut File) -> std::io::Result<Self> {
        let mut copy = File::from(memory_file()?);
        let length = std::io::copy(file, &mut copy)?;
        let length = usize::try_from(length).map_err(|_| Errno::FBIG)?;
        Ok(Self(if length == 0 {
            Region::None
        } else {
            Region::File(copy.into(), length)
        }))
    }

    pub(crate) fn received(file: Option<OwnedFd>, length: u64) -> Option<Self> {
        match (file, usize::try_from(length).ok()?) {
            (_, 0) => Some(Self(Region::None)),
            (Some(file), length) => Some(Self(Region::File(file, length))),
            (None, _) => None,
        }
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Region::None => 0,
            Region::Bytes(bytes) => bytes.len(),
            Region::File(_, length) => *length,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as a vector; of what was received, a copy.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn into_vec(self) -> Result<Vec<u8>, Failure> {
        match self.0 {
            Region::None => Ok(Vec::new()),
            Region::Bytes(bytes) => Ok(bytes),
            Region::File(file, length) => {
                let mut bytes = Vec::new();
                bytes
                    .try_reserve_exact(length)
                    .map_err(|_| Failure::NoMemory)?;
                let mut file = File::from(file);
                file.rewind()
                    .and_then(|()| file.take(length as u64).read_to_end(&mut bytes))
                    .map_err(|_| Failure::NoMemory)?;
                Ok(bytes)
            }
        }
    }

    /// A copy of the bytes.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn to_vec(&self) -> Result<Vec<u8>, Failure> {
        match &self.0 {
            Region::None => Ok(Vec::new()),
            Region::Bytes(bytes) => Ok(bytes.clone()),
            Region::File(file, length) => {
                let copy = file.try_clone().map_err(|_| Failure::NoMemory)?;
                Self(Region::File(copy, *length)).into_vec()
            }
        }
    }

    /// The same as a file that stands at its beginning, to copy from or to map.
    ///
    /// # Errors
    /// This host has no memory or descriptors left.
    pub fn into_file(self) -> std::io::Result<File> {
        match self.0 {
            Region::File(file, length) => {
                let mut file = File::from(file);
                file.set_len(length as u64)?;
                file.rewind()?;
                Ok(file)
            }
            other => {
                use std::io::Write;
                let mut file = File::from(memory_file()?);
                if let Region::Bytes(bytes) = other {
                    file.write_all(&bytes)?;
                }
                file.rewind()?;
                Ok(file)
            }
        }
    }
}
