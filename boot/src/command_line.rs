//! The command line: words of the form `key=value`, separated by spaces.
//!
//! Owns: finding a value. Leaves to others: what it means. QEMU puts its own words (devices on
//! microvm) on the same line, so a word that nobody asks for is not an error.

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
    pub fn words(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.text
            .split_ascii_whitespace()
            .map(|word| word.split_once('=').unwrap_or((word, "")))
    }

    /// The value of `key`; if it is given twice, the later one.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.words()
            .filter(|(k, _)| *k == key)
            .last()
            .map(|(_, value)| value)
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
