//! What a node printed, bounded.

use crate::limits::CONSOLE_LINES;
use std::collections::VecDeque;
use std::time::Duration;

/// The last lines of a console, and how far somebody has waited in them.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<String>,
    /// Lines that were forgotten.
    forgotten: usize,
    /// Number of the first line that no wait has passed yet.
    cursor: usize,
    first_at: Option<Duration>,
}

impl Log {
    pub(super) fn push(&mut self, line: String, at: Duration) {
        self.first_at.get_or_insert(at);
        if self.lines.len() >= CONSOLE_LINES {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back(line);
    }

    /// The first line behind the cursor that is wanted; the cursor moves behind it, or to the
    /// end where there is none.
    pub(super) fn find(&mut self, wanted: &mut impl FnMut(&str) -> bool) -> Option<String> {
        let start = self.cursor.saturating_sub(self.forgotten);
        let found = (start..self.lines.len()).find(|i| wanted(&self.lines[*i]));
        self.cursor = self.forgotten + found.map_or(self.lines.len(), |i| i + 1);
        found.map(|i| self.lines[i].clone())
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &str> {
        self.lines().skip(self.lines.len().saturating_sub(count))
    }

    pub(super) fn total(&self) -> usize {
        self.forgotten + self.lines.len()
    }

    pub(super) fn first_at(&self) -> Option<Duration> {
        self.first_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(log: &mut Log, line: impl Into<String>) {
        log.push(line.into(), Duration::ZERO);
    }

    #[test]
    fn a_wait_goes_on_behind_the_last_one() {
        let mut log = Log::default();
        push(&mut log, "one");
        push(&mut log, "two");
        push(&mut log, "one");
        let mut one = |line: &str| line == "one";
        assert!(log.find(&mut one).is_some());
        assert!(log.find(&mut one).is_some());
        assert!(log.find(&mut one).is_none());
        push(&mut log, "one");
        assert!(log.find(&mut one).is_some());
    }

    #[test]
    fn old_lines_are_forgotten_and_the_cursor_stays_right() {
        let mut log = Log::default();
        for i in 0..CONSOLE_LINES + 10 {
            push(&mut log, format!("{i}"));
        }
        assert_eq!(log.lines().count(), CONSOLE_LINES);
        assert_eq!(log.total(), CONSOLE_LINES + 10);
        assert_eq!(log.find(&mut |_| true).as_deref(), Some("10"));
        assert_eq!(log.find(&mut |_| true).as_deref(), Some("11"));
        assert_eq!(
            log.last(1).next(),
            Some(format!("{}", CONSOLE_LINES + 9).as_str())
        );
    }
}
