//! What the demo's answers must be, computed by the host.

use sha2::{Digest, Sha256};

/// The right answers for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// What `sha256sum` prints.
    pub sha256: String,
    /// What `wc -l` prints: line ends.
    pub lines: u64,
    /// What `wc -w` prints: runs of anything but white space.
    pub words: u64,
    /// What `wc -c` prints.
    pub bytes: u64,
    /// How often the pattern occurs, not counting overlaps.
    pub matches: u64,
}

impl Expected {
    pub(super) fn of(bytes: &[u8], pattern: &str) -> Self {
        let digest = Sha256::digest(bytes);
        Self {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            lines: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
            words: bytes
                .split(|byte| is_space(*byte))
                .filter(|word| !word.is_empty())
                .count() as u64,
            bytes: bytes.len() as u64,
            matches: matches(bytes, pattern.as_bytes()),
        }
    }
}

/// White space of the C locale, as `wc` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn matches(mut bytes: &[u8], pattern: &[u8]) -> u64 {
    let mut count = 0;
    while !pattern.is_empty() && bytes.len() >= pattern.len() {
        if bytes.starts_with(pattern) {
            count += 1;
            bytes = &bytes[pattern.len()..];
        } else {
            bytes = &bytes[1..];
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_wc_and_sha256sum() {
        let expected = Expected::of(b"to be\tor not\n\x0b to be \n", "to be");
        // printf 'to be\tor not\n\v to be \n' | wc; … | sha256sum
        assert_eq!(
            (
                expected.lines,
                expected.words,
                expected.bytes,
                expected.matches
            ),
            (2, 6, 22, 2)
        );
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Expected::of(b"abc", "").sha256, abc);
    }

    #[test]
    fn overlaps_and_empty_patterns_are_not_counted() {
        assert_eq!(matches(b"aaaa", b"aa"), 2);
        assert_eq!(matches(b"aaaa", b""), 0);
        assert_eq!(matches(b"a", b"aa"), 0);
    }
}
