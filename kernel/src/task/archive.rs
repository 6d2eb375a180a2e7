//! A module with programs in it: one ELF file, or an archive of several.
//!
//! Owns: finding a program by its name. Pure. The archive is that of `cpio -H newc`, which every
//! Linux has at hand and whose reader is a page long; QEMU passes it on as it is.
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`.

/// The first bytes of an entry.
const MAGIC: &[u8] = b"070701";

/// Bytes of an entry's head: the magic number and 13 numbers of 8 digits.
const HEAD: usize = 110;

/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// Programs in a module.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    module: &'a [u8],
}

impl<'a> Programs<'a> {
    /// The programs of a module.
    pub const fn of(module: &'a [u8]) -> Self {
        Self { module }
    }

    /// The program of that name; a module that is one ELF file has it under every name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        if self.module.starts_with(b"\x7fELF") {
            return Some(self.module);
        }
        self.iter()
            .find(|(found, _)| *found == name.as_bytes())
            .map(|(_, program)| program)
    }

    /// Every entry of the archive, in order, up to the first that is malformed.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.module;
        core::iter::from_fn(move || {
            let (name, contents, behind) = entry(rest)?;
            rest = behind;
            (name != END).then_some((name, contents))
        })
    }
}

/// The name and the contents of the first entry, and what is behind it.
fn entry(archive: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let head = archive.get(..HEAD)?;
    if !head.starts_with(MAGIC) {
        return None;
    }
    let number = |index: usize| hexadecimal(&head[MAGIC.len() + 8 * index..][..8]);
    let (size, name_size) = (number(6)?, number(11)?);
    let name_end = HEAD.checked_add(name_size)?;
    let name = archive.get(HEAD..name_end)?.strip_suffix(b"\0")?;
    let start = name_end.checked_next_multiple_of(4)?;
    let end = start.checked_add(size)?;
    let contents = archive.get(start..end)?;
    // What fills the last entry up may have been cut off.
    let behind = archive.get(end.checked_next_multiple_of(4)?..);
    Some((name, contents, behind.unwrap_or_default()))
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |number, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(number * 16 + digit as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, contents) in entries.iter().chain(&[("TRAILER!!!", &[][..])]) {
            let mut numbers = [0; 13];
            (numbers[6], numbers[11]) = (contents.len(), name.len() + 1);
            archive.extend_from_slice(MAGIC);
            for number in numbers {
                archive.extend_from_slice(format!("{number:08x}").as_bytes());
            }
            archive.extend_from_slice(name.as_bytes());
            archive.push(0);
            archive.resize(archive.len().next_multiple_of(4), 0);
            archive.extend_from_slice(contents);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
        archive
    }

    #[test]
    fn finds_each_by_its_name() {
        let module = archive(&[("one", b"1"), ("two", b"22222"), ("", b"")]);
        let programs = Programs::of(&module);
        assert_eq!(programs.get("one"), Some(&b"1"[..]));
        assert_eq!(programs.get("two"), Some(&b"22222"[..]));
        assert_eq!(programs.get("three"), None);
        assert_eq!(programs.iter().count(), 3);
    }

    #[test]
    fn one_program_needs_no_archive() {
        assert!(Programs::of(b"\x7fELF...").get("any").is_some());
    }

    #[test]
    fn what_is_cut_off_is_not_found() {
        let module = archive(&[("one", b"1234"), ("two", b"5678")]);
        for length in 0..module.len() {
            let programs = Programs::of(&module[..length]);
            let found = programs.iter().map(|(name, _)| name).collect::<Vec<_>>();
            assert!(
                [&b"one"[..], b"two"].starts_with(&found),
                "{length}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            mut module in prop::collection::vec(any::<u8>(), 0..600),
            magic: bool,
            digits in prop::collection::vec(prop::sample::select(b"0123456789abcdefF".to_vec()), 104),
        ) {
            if magic {
                module.splice(0..0, MAGIC.iter().copied().chain(digits));
            }
            let programs = Programs::of(&module);
            prop_assert!(programs.iter().count() <= module.len());
            let _ = programs.get("x");
        }
    }
}
