//! Addresses of a panic as names and lines.
//!
//! Owns the reading of `norma: frame 0x…` lines, which an image prints in a panic, and their
//! translation with the image's own symbols and debug lines.

use addr2line::Loader;
use std::path::Path;

/// What a line of a backtrace begins with.
const FRAME: &str = "norma: frame 0x";

/// The symbols of one image.
pub struct Symbols(Box<Loader>);

impl Symbols {
    /// Reads an image's symbols; `None` if it has none that can be read. A backtrace without
    /// names is better than none, so that is no error.
    #[must_use]
    pub fn load(image: &Path) -> Option<Self> {
        Loader::new(image).ok().map(Box::new).map(Self)
    }

    /// Names and lines for an address: the innermost inlined function first.
    #[must_use]
    pub fn describe(&self, address: u64) -> Vec<String> {
        let mut out = Vec::new();
        if let Ok(mut frames) = self.0.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let name = frame
                    .function
                    .as_ref()
                    .and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
                let place = frame
                    .location
                    .and_then(|at| Some(format!("{}:{}", at.file?, at.line?)));
                match (name, place) {
                    (Some(name), Some(place)) => out.push(format!("{name} ({place})")),
                    (Some(one), None) | (None, Some(one)) => out.push(one),
                    (None, None) => {}
                }
            }
        }
        if out.is_empty() {
            out.extend(self.0.find_symbol(address).map(demangled));
        }
        out
    }
}

fn demangled(name: &str) -> String {
    addr2line::demangle_auto(name.into(), None).into_owned()
}

/// The address in a line of a backtrace.
#[must_use]
pub fn frame_address(line: &str) -> Option<u64> {
    let digits = line.strip_prefix(FRAME)?;
    let end = digits
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_frame_lines_only() {
        assert_eq!(
            frame_address("norma: frame 0xffffffff80201234"),
            Some(0xffff_ffff_8020_1234)
        );
        assert_eq!(frame_address("norma: frame 0x10 more"), Some(0x10));
        assert_eq!(frame_address("norma: frame 0x"), None);
        assert_eq!(frame_address("norma: frame 0xfffffffffffffffff"), None);
        assert_eq!(frame_address("norma: ready node=a"), None);
    }

    #[test]
    fn names_come_from_symbols() {
        // This very program is an ELF with symbols.
        let image = std::env::current_exe().unwrap();
        assert!(Symbols::load(&image).is_some());
        assert!(Symbols::load(Path::new("/dev/null")).is_none());
    }
}
