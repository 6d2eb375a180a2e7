//! The command line: words of the form `key=value`, separated by spaces.
//!
//! Owns: finding a value. Leaves to others: what it means. QEMU puts its own words (devices on
//! microvm) on the same line, so a word that nobody asks for is not an error. The parsing is
//! plain and not inlined, because each instruction of it counts at boot: it runs once, and an
//! emulator takes far longer to translate it than to run it.

use core::fmt;
use core::str::FromStr;

/// A command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandLine<'a> {
    text: &'a str,
}

/// A value that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue<'a> {
    /// The key.
    pub key: &'a str,
    /// The value as given.
    pub value: &'a str,
}

impl fmt::Display for BadValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "command line: `{}={}` cannot be understood",
            self.key, self.value
        )
    }
}

impl<'a> CommandLine<'a> {
    /// A command line as the machine gives it. What is not UTF-8 ends it.
    pub fn new(bytes: &'a [u8]) -> Self {
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        };
        Self { text }
    }

    /// The whole line.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// All words with a value, in order. A word without `=` has an empty value.
    pub fn words(&self) -> Words<'a> {
        Words { rest: self.text }
    }

    /// The value of `key`; if it is given twice, the later one.
    #[inline(never)]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let mut found = None;
        for (word, value) in self.words() {
            if word == key {
                found = Some(value);
            }
        }
        found
    }

    /// The value of `key` as a number or whatever else can be parsed; `None` if it is not given.
    ///
    /// # Errors
    /// [`BadValue`] if it is given and cannot be parsed.
    pub fn parse<T: FromStr>(&self, key: &'a str) -> Result<Option<T>, BadValue<'a>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(BadValue { key, value }),
            },
        }
    }
}

/// The words of a command line.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (word, rest) = cut(self.rest, b' ').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !word.is_empty() {
                return Some(cut(word, b'=').unwrap_or((word, "")));
            }
        }
    }
}

/// What stands before and behind the first `at`, an ASCII letter.
#[inline(never)]
pub(crate) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let index = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..index)?, text.get(index + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_values() {
        let line =
            CommandLine::new(b"virtio_mmio.device=512@0xfeb00e00:12 node=a  quiet n=7 node=b");
        assert_eq!(line.get("node"), Some("b"));
        assert_eq!(line.get("quiet"), Some(""));
        assert_eq!(line.get("cluster"), None);
        assert_eq!(line.parse::<u32>("n"), Ok(Some(7)));
        assert_eq!(line.parse::<u32>("m"), Ok(None));
        assert_eq!(
            line.parse::<u32>("node"),
            Err(BadValue {
                key: "node",
                value: "b"
            })
        );
    }

    #[test]
    fn stops_at_what_is_not_text() {
        assert_eq!(CommandLine::new(b"a=1 b=\xff c=3").get("a"), Some("1"));
        assert_eq!(CommandLine::new(b"a=1 b=\xff c=3").get("c"), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let line = CommandLine::new(&bytes);
            for (key, _) in line.words() {
                prop_assert!(line.get(key).is_some());
            }
        }
    }
}
