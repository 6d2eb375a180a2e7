//! Asks every rule about every frame.
//!
//! Owns the state of the rules: frame numbers per link, links cut by command, counts of what was
//! done. Leaves the carrying out of a verdict to the caller.

use crate::limits::MAX_COPIES;
use crate::random::Random;
use crate::rule::{Action, Rule, RuleError};
use crate::verdict::{Corruption, Verdict};
use core::time::Duration;
use std::collections::{HashMap, HashSet};

/// A node as the rules know it: its place in the list of names given to [`Faults::new`].
pub type Station = u16;

type Link = (Station, Station);

/// What was done to frames so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames asked about.
    pub frames: u64,
    /// Frames lost to a rule or to a cut link.
    pub dropped: u64,
    /// Frames that were held back.
    pub delayed: u64,
    /// Copies added.
    pub duplicated: u64,
    /// Frames that were changed.
    pub corrupted: u64,
}

/// The rules of one run.
#[derive(Clone, Debug)]
pub struct Faults {
    seed: u64,
    rules: Vec<Bound>,
    numbers: HashMap<Link, u64>,
    cut: HashSet<Link>,
    counts: Counts,
}

/// A rule with its names turned into stations.
#[derive(Clone, Debug)]
struct Bound {
    rule: Rule,
    from: Option<Station>,
    to: Option<Station>,
}

impl Faults {
    /// No faults at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            seed: 0,
            rules: Vec::new(),
            numbers: HashMap::new(),
            cut: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// The rules of a run. Station `i` is the node called `names[i]`.
    ///
    /// # Errors
    /// The first rule (by its place in the list) that makes no sense or names an unknown node.
    pub fn new<S: AsRef<str>>(
        seed: u64,
        rules: &[Rule],
        names: &[S],
    ) -> Result<Self, (usize, RuleError)> {
        let bind = |(i, rule): (usize, &Rule)| Bound::new(rule, names).map_err(|error| (i, error));
        let rules = rules
            .iter()
            .enumerate()
            .map(bind)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            seed,
            rules,
            ..Self::none()
        })
    }

    /// What becomes of a frame of `length` bytes that is on its way from one station to another.
    /// A broadcast is asked about once for each receiver.
    pub fn on_frame(
        &mut self,
        now: Duration,
        from: Station,
        to: Station,
        length: usize,
    ) -> Verdict {
        let number = self.numbers.entry((from, to)).or_default();
        let this = *number;
        *number += 1;
        let verdict = self.judge(now, (from, to), this, length);
        self.count(&verdict);
        verdict
    }

    fn judge(&self, now: Duration, link: Link, number: u64, length: usize) -> Verdict {
        let mut verdict = Verdict::PASS;
        if self.cut.contains(&link) {
            return Verdict::DROP;
        }
        for (i, bound) in self.rules.iter().enumerate() {
            if bound.concerns(link) && bound.rule.is_open(now, number, length) {
                let link = u64::from(link.0) << 16 | u64::from(link.1);
                let mut random = Random::for_decision(self.seed, [i as u64, link, number, 0]);
                if random.chance(bound.rule.probability) {
                    apply(&bound.rule, &mut random, length, &mut verdict);
                }
            }
        }
        verdict
    }

    fn count(&mut self, verdict: &Verdict) {
        let passages = verdict.passages();
        self.counts.frames += 1;
        self.counts.dropped += u64::from(verdict.is_drop());
        self.counts.duplicated += passages.len().saturating_sub(1) as u64;
        self.counts.delayed += u64::from(passages.iter().any(|passage| !passage.delay.is_zero()));
        self.counts.corrupted +=
            u64::from(passages.iter().any(|passage| passage.corruption.is_some()));
    }

    /// Cuts the link between two stations, both ways, until [`Faults::heal`].
    pub fn cut(&mut self, one: Station, other: Station) {
        self.cut.extend([(one, other), (other, one)]);
    }

    /// Cuts one direction of a link.
    pub fn cut_one_way(&mut self, from: Station, to: Station) {
        self.cut.insert((from, to));
    }

    /// Heals the link between two stations, both ways.
    pub fn heal(&mut self, one: Station, other: Station) {
        self.cut.remove(&(one, other));
        self.cut.remove(&(other, one));
    }

    /// Heals every link that was cut by command.
    pub fn heal_all(&mut self) {
        self.cut.clear();
    }

    /// The seed, for printing.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether there is nothing that could ever strike (links may still be cut by command).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl Bound {
    fn new<S: AsRef<str>>(rule: &Rule, names: &[S]) -> Result<Self, RuleError> {
        rule.check()?;
        let from = station("from", rule.from.as_deref(), names)?;
        let to = station("to", rule.to.as_deref(), names)?;
        station("node", rule.node.as_deref(), names)?;
        Ok(Self {
            rule: rule.clone(),
            from,
            to,
        })
    }

    fn concerns(&self, (from, to): Link) -> bool {
        let matches = |a: Station, b: Station| {
            self.from.is_none_or(|f| f == a) && self.to.is_none_or(|t| t == b)
        };
        matches(from, to) || self.rule.both_ways && matches(to, from)
    }
}

fn station<S: AsRef<str>>(
    key: &'static str,
    name: Option<&str>,
    names: &[S],
) -> Result<Option<Station>, RuleError> {
    let Some(name) = name else { return Ok(None) };
    let place = names.iter().position(|known| known.as_ref() == name);
    match place.and_then(|place| Station::try_from(place).ok()) {
        Some(place) => Ok(Some(place)),
        None => {
            let known: Vec<_> = names.iter().map(AsRef::as_ref).collect();
            Err(RuleError::UnknownNode {
                key,
                name: name.to_owned(),
                known: known.join(", "),
            })
        }
    }
}

/// Applies a rule that strikes.
fn apply(rule: &Rule, random: &mut Random, length: usize, verdict: &mut Verdict) {
    match rule.action {
        Action::Drop | Action::Cut => verdict.drop_all(),
        Action::Duplicate => verdict.duplicate(up_to(rule.jitter(), random)),
        Action::Delay | Action::Reorder => {
            let delay = rule.delay() + up_to(rule.jitter(), random);
            for passage in verdict.passages_mut() {
                passage.delay += delay;
            }
        }
        Action::Corrupt => {
            let corruption = Corruption {
                byte: rule
                    .byte
                    .unwrap_or_else(|| random.below(length as u64) as usize),
                mask: rule.mask.unwrap_or_else(|| 1 << random.below(8)),
            };
            // Only the first copy: a receiver then meets a bad and a good one of the same frame.
            if let Some(passage) = verdict.passages_mut().first_mut() {
                passage.corruption = Some(corruption);
            }
        }
        // These befall nodes (`mishap.rs`).
        Action::Crash | Action::Reboot | Action::Freeze | Action::Slow => {}
    }
    debug_assert!(verdict.passages().len() <= MAX_COPIES);
}

fn up_to(most: Duration, random: &mut Random) -> Duration {
    Duration::from_nanos(random.below(most.as_nanos() as u64 + 1))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
