//! What the demo's client says: the object behind `@demo`.

use super::expected::Expected;
use serde::Deserialize;

/// The client's report.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct DemoReport {
    pub file_bytes: u64,
    pub sha256: String,
    pub lines: u64,
    pub words: u64,
    pub bytes: u64,
    pub matches: u64,
    pub pattern: String,
    pub boot_us: u64,
    pub locate_us: u64,
    pub rpc_n: u64,
    pub rpc_p50_ns: u64,
    pub rpc_p99_ns: u64,
    pub file_mb_per_s: f64,
    pub callback_ok: bool,
}

/// Calls that the demo makes.
const CALLS: u64 = 10_000;

impl DemoReport {
    /// What differs from the right answers, a line each.
    pub(super) fn mistakes(&self, expected: &Expected) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut compare = |what: &str, theirs: String, ours: String| {
            if theirs != ours {
                mistakes.push(format!(
                    "{what}: the nodes say {theirs}, the host says {ours}"
                ));
            }
        };
        compare("SHA-256", self.sha256.clone(), expected.sha256.clone());
        let counts = |lines, words, bytes| format!("{lines}, {words}, {bytes}");
        compare(
            "lines, words, bytes",
            counts(self.lines, self.words, self.bytes),
            counts(expected.lines, expected.words, expected.bytes),
        );
        compare(
            "bytes of the file",
            self.file_bytes.to_string(),
            expected.bytes.to_string(),
        );
        compare(
            "matches of the pattern",
            self.matches.to_string(),
            expected.matches.to_string(),
        );
        compare("null RPCs", self.rpc_n.to_string(), CALLS.to_string());
        compare(
            "call back by a port in a message",
            self.callback_ok.to_string(),
            true.to_string(),
        );
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (DemoReport, Expected) {
        let expected = Expected::of(b"one two\n", "two");
        let report = DemoReport {
            file_bytes: 8,
            sha256: expected.sha256.clone(),
            lines: 1,
            words: 2,
            bytes: 8,
            matches: 1,
            pattern: "two".into(),
            rpc_n: CALLS,
            callback_ok: true,
            ..DemoReport::default()
        };
        (report, expected)
    }

    #[test]
    fn right_answers_are_accepted() {
        let (report, expected) = good();
        assert_eq!(report.mistakes(&expected), Vec::<String>::new());
    }

    #[test]
    fn each_wrong_answer_is_found() {
        let (good, expected) = good();
        let wrong = [
            DemoReport {
                sha256: "00".into(),
                ..good.clone()
            },
            DemoReport {
                lines: 2,
                ..good.clone()
            },
            DemoReport {
                words: 3,
                ..good.clone()
            },
            DemoReport {
                bytes: 9,
                ..good.clone()
            },
            DemoReport {
                file_bytes: 9,
                ..good.clone()
            },
            DemoReport {
                matches: 0,
                ..good.clone()
            },
            DemoReport {
                rpc_n: 9_999,
                ..good.clone()
            },
            DemoReport {
                callback_ok: false,
                ..good
            },
        ];
        for report in wrong {
            assert_eq!(report.mistakes(&expected).len(), 1, "{report:?}");
        }
    }
}
