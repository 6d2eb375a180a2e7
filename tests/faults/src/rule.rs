//! One fault rule, as it is written in a cluster file.
//!
//! Owns the form of `[[fault]]` and the check that a rule makes sense by itself. Leaves to
//! `engine.rs` what a rule does to a frame.

use crate::limits::{MAX_DELAY, REORDER_WINDOW};
use core::time::Duration;
use serde::Deserialize;

/// What a rule does to a frame that it picks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The frame is lost.
    Drop,
    /// The frame arrives `delay_ms` later, plus up to `jitter_ms`.
    Delay,
    /// The frame arrives twice, the second up to `jitter_ms` later.
    Duplicate,
    /// The frame falls behind by up to `jitter_ms`, so that later ones overtake it.
    Reorder,
    /// One byte of the frame arrives changed.
    Corrupt,
    /// The link is down: every frame is lost while the rule's window is open. (The same as
    /// `drop` without a probability, named for what it means.)
    Cut,
    /// The node stops without a word, for ever.
    Crash,
    /// The node stops without a word, if it has not stopped, and is started anew.
    Reboot,
    /// The node stands still while the rule's window is open; frames to it wait.
    Freeze,
    /// The node runs for a `share` of the time while the rule's window is open, a little at a
    /// time: a receiver that does not keep up.
    Slow,
}

/// A fault and when it strikes. Everything but `action` may be left out.
///
/// ```
/// let rule: norma_faults::Rule = toml::from_str(
///     "do = 'drop'\nprobability = 0.2\nfrom = 'a'\nafter_ms = 100",
/// ).unwrap();
/// assert_eq!(rule.probability, 0.2);
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is done.
    #[serde(rename = "do")]
    pub action: Action,
    /// How likely it strikes a frame that it could strike; 1 unless given.
    #[serde(default = "always")]
    pub probability: f64,
    /// Only frames sent by this node.
    #[serde(default)]
    pub from: Option<String>,
    /// Only frames on their way to this node.
    #[serde(default)]
    pub to: Option<String>,
    /// Also the opposite direction of `from` and `to`.
    #[serde(default)]
    pub both_ways: bool,
    /// Only from this time of the run on, in milliseconds.
    #[serde(default)]
    pub after_ms: Option<u64>,
    /// Only before this time of the run, in milliseconds.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Only from the frame of this number on; each direction of each link counts from 0.
    #[serde(default)]
    pub after_frames: Option<u64>,
    /// Only frames of a lower number than this.
    #[serde(default)]
    pub until_frames: Option<u64>,
    /// Only frames of at least so many bytes.
    #[serde(default)]
    pub min_bytes: Option<usize>,
    /// The delay that is certain, in milliseconds (`delay`).
    #[serde(default)]
    pub delay_ms: Option<f64>,
    /// The random part of the delay, in milliseconds (`delay`, `duplicate`, `reorder`).
    #[serde(default)]
    pub jitter_ms: Option<f64>,
    /// Which byte is changed (`corrupt`); a random one unless given.
    #[serde(default)]
    pub byte: Option<usize>,
    /// Which bits of it are turned over (`corrupt`); one random bit unless given.
    #[serde(default)]
    pub mask: Option<u8>,
    /// The node that it befalls (`crash`, `reboot`, `freeze`, `slow`).
    #[serde(default)]
    pub node: Option<String>,
    /// The part of the time in which the node runs (`slow`), more than 0 and less than 1.
    #[serde(default)]
    pub share: Option<f64>,
}

fn always() -> f64 {
    1.0
}

/// What is wrong with a rule. Each text says what was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// Not a probability.
    #[error("`probability` is {0}; expected a number from 0 to 1")]
    Probability(f64),
    /// A name that no node has.
    #[error("`{key}` names the node `{name}`, which is not in the file; expected one of: {known}")]
    UnknownNode {
        /// The key that holds the name.
        key: &'static str,
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A window that never opens.
    #[error(
        "the window from `{after}` to `{until}` is empty; expected the first to be less than the second"
    )]
    EmptyWindow {
        /// The key of the lower end.
        after: &'static str,
        /// The key of the upper end.
        until: &'static str,
    },
    /// A delay that is not a sensible time.
    #[error("`{key}` is {value}; expected milliseconds from 0 to {}", MAX_DELAY.as_millis())]
    Delay {
        /// The key that holds the time.
        key: &'static str,
        /// The value that was given.
        value: f64,
    },
    /// A delay rule without a delay.
    #[error("`do = \"delay\"` needs `delay_ms` or `jitter_ms`")]
    NoDelay,
    /// A key that says nothing with this action.
    #[error("`{key}` has no meaning with `do = \"{action}\"`")]
    Meaningless {
        /// The key.
        key: &'static str,
        /// The action, as written in the file.
        action: &'static str,
    },
    /// Corruption that changes nothing.
    #[error("`mask` is 0, which changes nothing; expected 1 to 255")]
    EmptyMask,
    /// `both_ways` without an end.
    #[error("`both_ways` needs `from` or `to`")]
    BothWays,
    /// A key that this action cannot do without.
    #[error("`do = \"{action}\"` needs `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
        /// The action, as written in the file.
        action: &'static str,
    },
    /// Not a part of the time.
    #[error("`share` is {0}; expected a number between 0 and 1")]
    Share(f64),
}

impl Action {
    /// The word of the cluster file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Corrupt => "corrupt",
            Self::Cut => "cut",
            Self::Crash => "crash",
            Self::Reboot => "reboot",
            Self::Freeze => "freeze",
            Self::Slow => "slow",
        }
    }

    /// Whether it befalls a node, and not frames.
    #[must_use]
    pub fn is_mishap(self) -> bool {
        matches!(self, Self::Crash | Self::Reboot | Self::Freeze | Self::Slow)
    }

    /// Whether it lasts from one time to another.
    fn lasts(self) -> bool {
        !matches!(self, Self::Crash | Self::Reboot)
    }
}

impl Rule {
    /// A rule that strikes every frame.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            probability: 1.0,
            from: None,
            to: None,
            both_ways: false,
            after_ms: None,
            until_ms: None,
            after_frames: None,
            until_frames: None,
            min_bytes: None,
            delay_ms: None,
            jitter_ms: None,
            byte: None,
            mask: None,
            node: None,
            share: None,
        }
    }

    /// What befalls a node at a time of the run, in milliseconds.
    #[must_use]
    pub fn mishap(action: Action, node: &str, after_ms: u64) -> Self {
        Self {
            node: Some(node.to_owned()),
            after_ms: Some(after_ms),
            ..Self::new(action)
        }
    }

    /// The same rule with another probability.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Checks all that can be checked without knowing the nodes.
    ///
    /// # Errors
    /// What is wrong, in words for the author of the file.
    pub fn check(&self) -> Result<(), RuleError> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(RuleError::Probability(self.probability));
        }
        if self.both_ways && self.from.is_none() && self.to.is_none() {
            return Err(RuleError::BothWays);
        }
        self.check_windows()?;
        self.check_delays()?;
        self.check_meaning()
    }

    fn check_windows(&self) -> Result<(), RuleError> {
        let windows = [
            (self.after_ms, self.until_ms, "after_ms", "until_ms"),
            (
                self.after_frames,
                self.until_frames,
                "after_frames",
                "until_frames",
            ),
        ];
        for (low, high, after, until) in windows {
            if high.is_some_and(|high| low.unwrap_or(0) >= high) {
                return Err(RuleError::EmptyWindow { after, until });
            }
        }
        Ok(())
    }

    fn check_delays(&self) -> Result<(), RuleError> {
        let most = MAX_DELAY.as_secs_f64() * 1e3;
        for (key, value) in [("delay_ms", self.delay_ms), ("jitter_ms", self.jitter_ms)] {
            if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
                return Err(RuleError::Delay { key, value });
            }
        }
        if self.action == Action::Delay && self.delay_ms.is_none() && self.jitter_ms.is_none() {
            return Err(RuleError::NoDelay);
        }
        Ok(())
    }

    fn check_meaning(&self) -> Result<(), RuleError> {
        use Action::{Corrupt, Delay, Duplicate, Reorder, Slow};
        let jitters = matches!(self.action, Delay | Duplicate | Reorder);
        let frames = !self.action.is_mishap();
        let frame_count = self.after_frames.is_some() || self.until_frames.is_some();
        let keys = [
            ("probability", self.probability < 1.0, frames),
            ("from", self.from.is_some(), frames),
            ("to", self.to.is_some(), frames),
            ("after_frames` or `until_frames", frame_count, frames),
            ("min_bytes", self.min_bytes.is_some(), frames),
            ("until_ms", self.until_ms.is_some(), self.action.lasts()),
            ("node", self.node.is_some(), !frames),
            ("share", self.share.is_some(), self.action == Slow),
            ("delay_ms", self.delay_ms.is_some(), self.action == Delay),
            ("jitter_ms", self.jitter_ms.is_some(), jitters),
            ("byte", self.byte.is_some(), self.action == Corrupt),
            ("mask", self.mask.is_some(), self.action == Corrupt),
        ];
        for (key, given, means) in keys {
            if given && !means {
                return Err(RuleError::Meaningless {
                    key,
                    action: self.action.word(),
                });
            }
        }
        if self.mask == Some(0) {
            return Err(RuleError::EmptyMask);
        }
        self.check_needs()
    }

    fn check_needs(&self) -> Result<(), RuleError> {
        let mishap = self.action.is_mishap();
        let needs = [
            ("node", self.node.is_some(), mishap),
            ("after_ms", self.after_ms.is_some(), mishap),
            (
                "until_ms",
                self.until_ms.is_some(),
                mishap && self.action.lasts(),
            ),
            ("share", self.share.is_some(), self.action == Action::Slow),
        ];
        for (key, given, needed) in needs {
            if needed && !given {
                return Err(RuleError::Missing {
                    key,
                    action: self.action.word(),
                });
            }
        }
        match self.share {
            Some(share) if share <= 0.0 || share >= 1.0 || share.is_nan() => {
                Err(RuleError::Share(share))
            }
            _ => Ok(()),
        }
    }

    /// Whether the rule can strike at this time, for this frame of the link.
    pub(crate) fn is_open(&self, now: Duration, number: u64, length: usize) -> bool {
        let now = now.as_millis();
        self.after_ms.is_none_or(|after| now >= u128::from(after))
            && self.until_ms.is_none_or(|until| now < u128::from(until))
            && self.after_frames.is_none_or(|after| number >= after)
            && self.until_frames.is_none_or(|until| number < until)
            && self.min_bytes.is_none_or(|least| length >= least)
    }

    pub(crate) fn delay(&self) -> Duration {
        milliseconds(self.delay_ms.unwrap_or(0.0))
    }

    pub(crate) fn jitter(&self) -> Duration {
        match (self.jitter_ms, self.action) {
            (Some(jitter), _) => milliseconds(jitter),
            (None, Action::Reorder) => REORDER_WINDOW,
            (None, _) => Duration::ZERO,
        }
    }
}

fn milliseconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1e3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rule, String> {
        let rule: Rule = toml::from_str(text).map_err(|error| error.to_string())?;
        rule.check().map_err(|error| error.to_string())?;
        Ok(rule)
    }

    #[test]
    fn good_rules_are_read() {
        let rule = parse(
            "do = 'delay'\ndelay_ms = 5\njitter_ms = 2.5\nfrom = 'a'\nto = 'b'\nboth_ways = true",
        )
        .unwrap();
        assert_eq!(rule.action, Action::Delay);
        assert_eq!(rule.delay(), Duration::from_millis(5));
        assert_eq!(rule.jitter(), Duration::from_micros(2500));
        assert_eq!(
            parse("do = 'cut'\nafter_ms = 1\nuntil_ms = 2")
                .unwrap()
                .until_ms,
            Some(2)
        );
    }

    #[test]
    fn each_mistake_is_named() {
        let cases = [
            ("probability = 0.5", "missing field `do`"),
            (
                "do = 'explode'",
                "unknown variant `explode`, expected one of `drop`",
            ),
            (
                "do = 'drop'\nprobabilty = 1.0",
                "unknown field `probabilty`",
            ),
            (
                "do = 'drop'\nprobability = 20.0",
                "expected a number from 0 to 1",
            ),
            (
                "do = 'drop'\nafter_ms = 5\nuntil_ms = 5",
                "`after_ms` to `until_ms` is empty",
            ),
            (
                "do = 'drop'\nuntil_frames = 0",
                "`after_frames` to `until_frames` is empty",
            ),
            ("do = 'delay'", "needs `delay_ms` or `jitter_ms`"),
            (
                "do = 'delay'\ndelay_ms = -1",
                "expected milliseconds from 0 to 60000",
            ),
            (
                "do = 'drop'\ndelay_ms = 1",
                "`delay_ms` has no meaning with `do = \"drop\"`",
            ),
            ("do = 'drop'\nmask = 1", "`mask` has no meaning"),
            ("do = 'corrupt'\nmask = 0", "`mask` is 0"),
            ("do = 'drop'\nboth_ways = true", "`both_ways` needs"),
            (
                "do = 'crash'\nafter_ms = 1",
                "`do = \"crash\"` needs `node`",
            ),
            (
                "do = 'crash'\nnode = 'a'",
                "`do = \"crash\"` needs `after_ms`",
            ),
            (
                "do = 'reboot'\nnode = 'a'\nafter_ms = 1\nuntil_ms = 2",
                "`until_ms` has no meaning with `do = \"reboot\"`",
            ),
            (
                "do = 'freeze'\nnode = 'a'\nafter_ms = 1",
                "`do = \"freeze\"` needs `until_ms`",
            ),
            (
                "do = 'freeze'\nnode = 'a'\nafter_ms = 1\nuntil_ms = 2\nfrom = 'b'",
                "`from` has no meaning",
            ),
            (
                "do = 'slow'\nnode = 'a'\nafter_ms = 1\nuntil_ms = 2\nshare = 1.0",
                "expected a number between 0 and 1",
            ),
            (
                "do = 'drop'\nnode = 'a'",
                "`node` has no meaning with `do = \"drop\"`",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
