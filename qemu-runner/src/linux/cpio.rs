//! An archive that Linux unpacks into its first file system.
//!
//! Owns: the format "newc" of cpio, as far as a few files need it.
//! Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.

/// Kinds of entry, in the mode's upper bits.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// The kernel's own console: device 5, 1.
const CONSOLE: (u32, u32) = (5, 1);

/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive that is being made.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A folder; to be made before what is in it.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, FOLDER | 0o755, (0, 0), &[]);
    }

    /// The device from which the first program has its standard input and output.
    pub fn console(&mut self, name: &str) {
        self.entry(name, CHARACTER_DEVICE | 0o600, CONSOLE, &[]);
    }

    /// A file.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, FILE | mode, (0, 0), content);
    }

    /// The whole archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    /// Thirteen numbers of eight hexadecimal digits, the name, the content; name and content are
    /// filled up to a multiple of four.
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let (links, owner, group, time, checksum) = (1, 0, 0, 0, 0);
        let numbers = [
            self.entries,
            mode,
            owner,
            group,
            links,
            time,
            content.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            checksum,
        ];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.fill_up();
        self.bytes.extend(content);
        self.fill_up();
    }

    fn fill_up(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents, read back by the format's description.
    fn read(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let number = |i: usize| {
                let text = &bytes[at + 6 + 8 * i..at + 14 + 8 * i];
                u32::from_str_radix(std::str::from_utf8(text).unwrap(), 16).unwrap()
            };
            let (mode, size, name) = (number(1), number(6) as usize, number(11) as usize);
            let begin = at + 110;
            let content = (begin + name).next_multiple_of(4);
            let text = String::from_utf8(bytes[begin..begin + name - 1].to_vec()).unwrap();
            if text == TRAILER {
                return entries;
            }
            entries.push((text, mode, bytes[content..content + size].to_vec()));
            at = (content + size).next_multiple_of(4);
        }
    }

    #[test]
    fn an_archive_holds_what_was_put_into_it() {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.console("dev/console");
        archive.file("init", 0o755, b"\x7fELF of odd length");
        archive.file("empty", 0o644, b"");
        let entries = read(&archive.finish());
        let expected = [
            ("dev", 0o040_755, &b""[..]),
            ("dev/console", 0o020_600, b""),
            ("init", 0o100_755, b"\x7fELF of odd length"),
            ("empty", 0o100_644, b""),
        ];
        let expected = expected.map(|(name, mode, content)| (name.into(), mode, content.to_vec()));
        assert_eq!(entries, expected);
    }
}
