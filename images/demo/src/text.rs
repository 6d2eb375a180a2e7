//! What the text service computes. Text comes in pieces, so that each computation carries on
//! from one to the next.

/// What a message to the text service asks for, in its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Lines, words and bytes of the memory: three 64-bit numbers, little-endian.
    Count = 1,
    /// How often the inline data occur in the memory, without overlaps: one 64-bit number.
    Search = 2,
    /// Nothing: take the memory and answer.
    Discard = 3,
    /// Send the inline data to the send right in the message, then answer.
    CallBack = 4,
}

impl Request {
    /// The request with this identifier.
    pub fn from_id(id: u32) -> Option<Self> {
        [
            Request::Count,
            Request::Search,
            Request::Discard,
            Request::CallBack,
        ]
        .into_iter()
        .find(|request| *request as u32 == id)
    }
}

/// Counts as `wc` does in the C locale.
#[derive(Debug, Default)]
pub struct Counter {
    lines: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
}

impl Counter {
    /// One more piece of text.
    pub fn add(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        for &byte in text {
            self.lines += u64::from(byte == b'\n');
            let space = byte == b' ' || (b'\t'..=b'\r').contains(&byte);
            self.words += u64::from(!space && !self.in_word);
            self.in_word = !space;
        }
    }

    /// Lines, words and bytes.
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, number) in bytes
            .chunks_mut(8)
            .zip([self.lines, self.words, self.bytes])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// Longest pattern that is searched for.
pub const MAX_PATTERN: usize = 64;

/// Counts the occurrences of a pattern, without overlaps, from left to right.
///
/// Knuth, Morris and Pratt (1977): a text in pieces is read once.
#[derive(Debug)]
pub struct Searcher {
    pattern: [u8; MAX_PATTERN],
    length: usize,
    /// How long the longest proper prefix of the pattern is that ends at each of its bytes.
    border: [u8; MAX_PATTERN],
    matched: usize,
    matches: u64,
}

impl Searcher {
    /// Searches for `pattern`, of 1 to [`MAX_PATTERN`] bytes.
    pub fn new(pattern: &[u8]) -> Option<Self> {
        let mut own = [0; MAX_PATTERN];
        own.get_mut(..pattern.len())?.copy_from_slice(pattern);
        let mut border = [0; MAX_PATTERN];
        let mut matched = 0usize;
        for at in 1..pattern.len() {
            while matched > 0 && pattern[at] != pattern[matched] {
                matched = usize::from(border[matched - 1]);
            }
            matched += usize::from(pattern[at] == pattern[matched]);
            border[at] = matched as u8;
        }
        (!pattern.is_empty()).then_some(Searcher {
            pattern: own,
            length: pattern.len(),
            border,
            matched: 0,
            matches: 0,
        })
    }

    /// One more piece of text.
    pub fn add(&mut self, text: &[u8]) {
        for &byte in text {
            while self.matched > 0 && byte != self.pattern[self.matched] {
                self.matched = usize::from(self.border[self.matched - 1]);
            }
            self.matched += usize::from(byte == self.pattern[self.matched]);
            if self.matched == self.length {
                self.matches += 1;
                self.matched = 0;
            }
        }
    }

    /// How often the pattern occurred.
    pub fn matches(&self) -> u64 {
        self.matches
    }
}
