//! What people see.
//!
//! Owns progress lines, warnings and the consoles of nodes, all on stderr: stdout is kept for
//! data. Colour only at a terminal, and never with `NO_COLOR` (no-color.org). Everything that a
//! guest printed is made harmless first: a console line must not move the cursor or retitle the
//! window of the person who watches.

use std::io::{IsTerminal, Write};

/// Colours of node names, in the order of the nodes.
const NODE_COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// Where progress goes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    quiet: bool,
    colour: bool,
}

impl Ui {
    /// Progress on stderr; none but errors when `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            quiet,
            colour: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// A line that says what is going on.
    pub fn progress(&self, text: &str) {
        if !self.quiet {
            self.line(32, "norma", text);
        }
    }

    /// A line of advice that is worth reading even when all goes well.
    pub fn warn(&self, text: &str) {
        self.line(33, "norma: warning", text);
    }

    /// A line about what went wrong.
    pub fn error(&self, text: &str) {
        self.line(31, "norma: error", text);
    }

    /// A line from the console of node number `index`.
    pub fn console(&self, index: usize, name: &str, text: &str) {
        if !self.quiet {
            self.line(
                NODE_COLOURS[index % NODE_COLOURS.len()],
                name,
                &harmless(text),
            );
        }
    }

    /// Whether progress is not wanted.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn line(&self, colour: u8, head: &str, text: &str) {
        // One write for the whole line, so that lines of several threads do not mix. A closed
        // stderr is no reason to stop.
        let line = if self.colour {
            format!("\x1b[1;{colour}m{head}:\x1b[0m {text}\n")
        } else {
            format!("{head}: {text}\n")
        };
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// The text with every control character but tab shown as an escape.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_of_a_guest_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\x1b[2Jb\tc\r"), "a\\u{1b}[2Jb\tc\\r");
        assert_eq!(harmless("plain – text"), "plain – text");
    }
}
