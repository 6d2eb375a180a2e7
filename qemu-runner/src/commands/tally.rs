//! Counting what test programs report.
//!
//! Owns the reading of libtest's closing lines (`test result: ok. 3 passed; 0 failed; …`), of
//! which a run of `cargo test` prints one for each test program.

/// Passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Tally {
    /// Adds what a line says, if it is a closing line.
    pub(super) fn note(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = rest.split_once(". ") else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    /// Takes over what another counted, whose program ended well or not. A program that fails
    /// without a failed test (it did not compile, say) counts as one.
    pub(super) fn add(&mut self, other: Self, ended_well: bool) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        if !ended_well && other.failed == 0 {
            self.failed += 1;
        }
    }

    /// The line that ends a test run.
    pub(super) fn closing_line(&self) -> String {
        match self.ignored {
            0 => format!("{} passed, {} failed", self.passed, self.failed),
            ignored => format!(
                "{} passed, {} failed, {ignored} skipped",
                self.passed, self.failed
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut tally = Tally::default();
        tally.note("running 3 tests");
        tally.note("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        tally.note("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s");
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failed: 1,
                ignored: 1
            }
        );
        assert_eq!(tally.closing_line(), "5 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_program_that_does_not_compile_is_a_failure() {
        let mut tally = Tally::default();
        tally.add(
            Tally {
                passed: 1,
                ..Tally::default()
            },
            true,
        );
        tally.add(Tally::default(), false);
        assert_eq!(tally.closing_line(), "1 passed, 1 failed");
    }
}
