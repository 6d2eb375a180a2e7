//! A static program as an ELF file.
//!
//! Owns: the check of the file, all of it before any memory is taken, and the parts that are to
//! be loaded. Pure; no bytes can make it panic or yield a part that is not in the file, not in a
//! program's half of the address space, or both writable and executable.
//! Source: System V ABI, "Object Files"; its supplement for x86-64.

use core::fmt;
use norma_abi::{HIGHEST, LOWEST};

/// Parts of a program that are loaded: a linker makes one for each set of rights.
pub const SEGMENTS: usize = 16;

const PAGE: u64 = 4096;

/// Bytes of an entry in the table of parts.
const ENTRY: usize = 56;

/// What may be done with memory of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// It is read.
    Read,
    /// It is read and written, never executed.
    Write,
    /// It is read and executed, never written.
    Execute,
    /// It is read and written by the program and by the kernel, and never moves. No part of a
    /// file.
    Shared,
}

/// A part of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it begins.
    pub address: u64,
    /// Its bytes in memory; behind those of the file are zeros.
    pub size: u64,
    /// What the file has of it.
    pub bytes: &'a [u8],
    /// What may be done with it.
    pub rights: Rights,
}

impl Segment<'_> {
    /// The first page that it touches.
    pub const fn first_page(&self) -> u64 {
        self.address / PAGE
    }

    /// How many pages it touches.
    pub const fn pages(&self) -> u64 {
        (self.address + self.size).div_ceil(PAGE) - self.first_page()
    }
}

/// A program that was checked.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// Where it begins to run.
    pub entry: u64,
    /// What is to be loaded, in rising order; no two touch one page.
    pub segments: heapless::Vec<Segment<'a>, SEGMENTS>,
}

/// Why a file is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadProgram {
    /// It is not an ELF file for x86-64 with 64 bits.
    NotElf,
    /// It wants to be linked or moved before it runs.
    NotStatic,
    /// It is cut off, or its tables contradict themselves.
    Malformed,
    /// A part lies outside the memory of programs.
    OutOfRange,
    /// Parts overlap, or share a page.
    Overlap,
    /// A part is both writable and executable.
    WritableCode,
    /// It has more parts than there can be.
    TooMany,
    /// It begins where nothing can be executed.
    NoEntry,
}

impl fmt::Display for BadProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadProgram::NotElf => "not an ELF file for x86-64",
            BadProgram::NotStatic => "not a static program for a fixed address",
            BadProgram::Malformed => "cut off or malformed",
            BadProgram::OutOfRange => "linked for an address that programs do not have",
            BadProgram::Overlap => "two parts with different rights share a page",
            BadProgram::WritableCode => "a part is both writable and executable",
            BadProgram::TooMany => "more parts than are allowed",
            BadProgram::NoEntry => "it begins outside its code",
        })
    }
}

impl core::error::Error for BadProgram {}

impl<'a> Program<'a> {
    /// Checks a file.
    ///
    /// # Errors
    /// [`BadProgram`]
    pub fn parse(file: &'a [u8]) -> Result<Self, BadProgram> {
        let head = Bytes(file);
        let is_elf = file.starts_with(b"\x7fELF\x02\x01\x01") && head.half(18) == Some(62);
        if !is_elf {
            return Err(BadProgram::NotElf);
        }
        if head.half(16) != Some(2) {
            return Err(BadProgram::NotStatic);
        }
        let mut program = Program {
            entry: head.long(24).ok_or(BadProgram::Malformed)?,
            segments: heapless::Vec::new(),
        };
        program.read_segments(file)?;
        let holds_entry = |segment: &Segment<'_>| {
            segment.rights == Rights::Execute
                && (segment.address..segment.address + segment.size).contains(&program.entry)
        };
        if !program.segments.iter().any(holds_entry) {
            return Err(BadProgram::NoEntry);
        }
        Ok(program)
    }

    fn read_segments(&mut self, file: &'a [u8]) -> Result<(), BadProgram> {
        let head = Bytes(file);
        let table = head.long(32).and_then(|at| usize::try_from(at).ok());
        let (table, size, count) = (table, head.half(54), head.half(56));
        let (Some(table), Some(ENTRY), Some(count)) = (table, size.map(usize::from), count) else {
            return Err(BadProgram::Malformed);
        };
        let length = usize::from(count) * ENTRY;
        let end = table.checked_add(length).ok_or(BadProgram::Malformed)?;
        let table = file.get(table..end).ok_or(BadProgram::Malformed)?;
        for entry in table.chunks_exact(ENTRY) {
            match Bytes(entry).word(0) {
                Some(1) => self.add(file, Bytes(entry))?,
                // It asks for an interpreter, or to be linked.
                Some(2 | 3) => return Err(BadProgram::NotStatic),
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, file: &'a [u8], entry: Bytes<'_>) -> Result<(), BadProgram> {
        let number = |at| entry.long(at).ok_or(BadProgram::Malformed);
        let (offset, address, in_file, size) = (number(8)?, number(16)?, number(32)?, number(40)?);
        if size == 0 {
            return Ok(());
        }
        let flags = entry.word(4).ok_or(BadProgram::Malformed)?;
        let rights = match flags & 3 {
            3 => return Err(BadProgram::WritableCode),
            2 => Rights::Write,
            1 => Rights::Execute,
            _ => Rights::Read,
        };
        let end = address.checked_add(size).ok_or(BadProgram::OutOfRange)?;
        if address < LOWEST || end > HIGHEST {
            return Err(BadProgram::OutOfRange);
        }
        let bytes = part(file, offset, in_file).filter(|bytes| bytes.len() as u64 <= size);
        let segment = Segment {
            address,
            size,
            bytes: bytes.ok_or(BadProgram::Malformed)?,
            rights,
        };
        if let Some(last) = self.segments.last()
            && last.first_page() + last.pages() > segment.first_page()
        {
            return Err(BadProgram::Overlap);
        }
        self.segments.push(segment).map_err(|_| BadProgram::TooMany)
    }
}

fn part(file: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    file.get(start..end)
}

/// Numbers in a file, of which any may be missing.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn half(self, at: usize) -> Option<u16> {
        self.0
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u16::from_le_bytes)
    }

    fn word(self, at: usize) -> Option<u32> {
        self.0
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u32::from_le_bytes)
    }

    fn long(self, at: usize) -> Option<u64> {
        self.0
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
