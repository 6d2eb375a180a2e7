//! A console's bytes as lines.
//!
//! Owns cutting at line ends and the bound of a line. What a guest prints is data: any byte may
//! come.

use crate::limits::CONSOLE_LINE;
use std::io::Read;

/// Reads to the end and hands over each line, without its end. A line that is too long is cut,
/// and its rest comes as further lines.
pub(super) fn read_lines(mut source: impl Read, mut on_line: impl FnMut(String)) {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in &buffer[..count] {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() >= CONSOLE_LINE {
                on_line(text(&mut line));
            }
        }
    }
    if !line.is_empty() {
        on_line(text(&mut line));
    }
}

fn text(line: &mut Vec<u8>) -> String {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    let text = String::from_utf8_lossy(line).into_owned();
    line.clear();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        read_lines(bytes, |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_are_cut_at_their_ends() {
        assert_eq!(lines(b"one\r\ntwo\n\nlast"), ["one", "two", "", "last"]);
        assert_eq!(lines(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let endless = vec![b'x'; CONSOLE_LINE * 2 + 5];
        let lengths: Vec<_> = lines(&endless).iter().map(String::len).collect();
        assert_eq!(lengths, [CONSOLE_LINE, CONSOLE_LINE, 5]);
    }
}
