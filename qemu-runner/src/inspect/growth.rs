//! What became more or less between two looks at a node: what a leak is found by.
//!
//! Owns: rights put together by who holds them and for whose ports they are, what each thread
//! took and kept, how fast either grows, and how much of the processor each had. Leaves to others: showing it.

use super::Model;
use super::model::{holder, kind};
use std::collections::{BTreeMap, HashMap};

/// What belongs together: who holds rights, of which kind, to ports of whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// A task, the image, or another node.
    pub holder: String,
    /// Which right.
    pub kind: &'static str,
    /// Whose ports they lead to; empty for sets.
    pub of: String,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Under so many names, or export numbers.
    pub names: u64,
    /// References, with several under one name.
    pub references: u64,
    /// By how many references a second these grow, if that was looked at.
    pub per_second: Option<f64>,
}

/// The rights of a thread of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The thread's number,
    pub thread: u64,
    /// and its name.
    pub name: String,
    /// Rights that it received, made, copied or found,
    pub taken: u64,
    /// and those that it released, sent on or used up.
    pub given_up: u64,
    /// The difference: below 0 for one that gives up what others took.
    pub kept: i64,
    /// By how many a second that grows, if that was looked at.
    pub per_second: Option<f64>,
}

/// Two looks at a node, or one.
#[derive(Clone, Copy)]
pub struct Growth<'a> {
    /// The earlier look.
    pub before: Option<&'a Model>,
    /// The later one.
    pub now: &'a Model,
}

impl Growth<'_> {
    /// The time between the looks, in seconds.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        let passed = self.now.at.saturating_sub(self.before?.at);
        Some(passed.as_secs_f64().max(1e-3))
    }

    /// What is held, put together: what grows fastest first, then what is most.
    #[must_use]
    pub fn groups(&self) -> Vec<(Group, Held)> {
        let mut groups = groups(self.now);
        if let (Some(before), Some(seconds)) = (self.before, self.seconds()) {
            let before = self::groups(before);
            for (group, held) in &mut groups {
                let earlier = before.get(group).map_or(0, |held| held.references);
                let grown = held.references as f64 - earlier as f64;
                held.per_second = Some(grown / seconds);
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(_, one), (_, other)| {
            let rate = |held: &Held| held.per_second.unwrap_or_default();
            let by_number = (other.names, other.references).cmp(&(one.names, one.references));
            rate(other).total_cmp(&rate(one)).then(by_number)
        });
        groups
    }

    /// What each thread took and kept, in the same order; those that never took a right are
    /// left out.
    #[must_use]
    pub fn threads(&self) -> Vec<Kept> {
        let mut threads: Vec<Kept> = (self.now.threads.iter())
            .filter(|thread| thread.rights_taken > 0 || thread.rights_given_up > 0)
            .map(|thread| {
                let mut earlier = self.before.iter().flat_map(|before| &before.threads);
                // One that had the number before, and has ended, took other rights.
                let earlier =
                    earlier.find(|row| (row.number, &row.name) == (thread.number, &thread.name));
                let kept =
                    |taken: u64, given: u64| (taken as u32).wrapping_sub(given as u32) as i32;
                let now = kept(thread.rights_taken, thread.rights_given_up);
                let was = earlier.map_or(0, |row| kept(row.rights_taken, row.rights_given_up));
                let grown = f64::from(now.wrapping_sub(was));
                Kept {
                    thread: thread.number,
                    name: thread.name.to_string(),
                    taken: thread.rights_taken,
                    given_up: thread.rights_given_up,
                    kept: now.into(),
                    per_second: self.seconds().map(|seconds| grown / seconds),
                }
            })
            .collect();
        threads.sort_by(|one, other| {
            let rate = |kept: &Kept| kept.per_second.unwrap_or_default();
            rate(other)
                .total_cmp(&rate(one))
                .then(other.kept.cmp(&one.kept))
        });
        threads
    }
}

impl Growth<'_> {
    /// What part of the processor each thread had between the looks, 0 to 1; nothing where the
    /// node does not count that.
    #[must_use]
    pub fn shares(&self) -> Option<HashMap<u64, f64>> {
        let (before, seconds) = (self.before?, self.seconds()?);
        if self.now.threads.iter().all(|thread| thread.ran == 0) {
            return None;
        }
        let shares = self.now.threads.iter().map(|thread| {
            let mut earlier = before.threads.iter();
            let earlier = earlier.find(|row| row.number == thread.number);
            // A thread that has the number of one that has ended began with nothing.
            let was = earlier.map_or(0, |row| row.ran);
            let ran = thread.ran.checked_sub(was).unwrap_or(thread.ran);
            (thread.number, ran as f64 / 1e9 / seconds)
        });
        Some(shares.collect())
    }
}

fn groups(model: &Model) -> BTreeMap<Group, Held> {
    let mut groups: BTreeMap<Group, Held> = BTreeMap::new();
    let mut add = |holder: String, kind, of: String, references: u64| {
        let held = groups.entry(Group { holder, kind, of }).or_default();
        held.names += 1;
        held.references += references;
    };
    for row in &model.names {
        let of = match row.set {
            0 => model.whose(row.port, row.session),
            _ => String::new(),
        };
        add(holder(row), kind(row.flags), of, row.sends.max(1));
    }
    for row in &model.exports {
        let holder = format!("node {}", row.peer);
        add(
            holder,
            kind(row.flags),
            model.whose(row.port, 0),
            row.rights,
        );
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_inspect::rows::{Names, Threads, right, text};
    use std::time::Duration;

    fn look(seconds: u64, sends: u64, threads: &[(u64, &str, u64, u64)]) -> Model {
        let threads = threads.iter().map(|&(number, name, taken, given)| Threads {
            number,
            name: text(name),
            rights_taken: taken,
            rights_given_up: given,
            ..Threads::default()
        });
        Model {
            at: Duration::from_secs(seconds),
            names: vec![
                Names {
                    task: text("image"),
                    flags: right::SEND,
                    sends,
                    ..Names::default()
                },
                Names {
                    task: text("image"),
                    flags: right::RECEIVE,
                    ..Names::default()
                },
            ],
            threads: threads.collect(),
            ..Model::default()
        }
    }

    /// A service that keeps one right of each call, all under one name.
    #[test]
    fn what_grows_comes_first_and_the_thread_that_keeps_it_is_named() {
        let before = look(
            10,
            100,
            &[
                (0, "main", 5, 2),
                (1, "tidy", 900, 899),
                (2, "leaky", 100, 0),
            ],
        );
        let now = look(
            12,
            140,
            &[
                (0, "main", 5, 2),
                (1, "tidy", 940, 939),
                (2, "leaky", 140, 0),
            ],
        );
        let growth = Growth {
            before: Some(&before),
            now: &now,
        };
        let groups = growth.groups();
        assert_eq!(groups[0].0.kind, "send");
        assert_eq!((groups[0].1.names, groups[0].1.references), (1, 140));
        assert_eq!(groups[0].1.per_second, Some(20.0));
        assert_eq!(groups[1].1.per_second, Some(0.0));
        let threads = growth.threads();
        let names: Vec<&str> = threads.iter().map(|kept| kept.name.as_str()).collect();
        assert_eq!(names, ["leaky", "main", "tidy"]);
        assert_eq!((threads[0].kept, threads[0].per_second), (140, Some(20.0)));
        assert_eq!((threads[2].kept, threads[2].per_second), (1, Some(0.0)));
    }

    #[test]
    fn the_processors_time_is_shared_where_it_is_counted() {
        let ran = |seconds, ran: [u64; 2]| {
            let mut look = look(seconds, 0, &[(0, "a", 0, 0), (1, "b", 0, 0)]);
            for (thread, ran) in look.threads.iter_mut().zip(ran) {
                thread.ran = ran;
            }
            look
        };
        let shares = |before: &Model, now: &Model| {
            let growth = Growth {
                before: Some(before),
                now,
            };
            growth.shares()
        };
        assert_eq!(shares(&ran(0, [0, 0]), &ran(1, [0, 0])), None);
        // The second thread is another one than before.
        let shares = shares(
            &ran(1, [1, 900_000_000]),
            &ran(3, [500_000_001, 100_000_000]),
        );
        assert_eq!(shares, Some(HashMap::from([(0, 0.25), (1, 0.05)])));
    }

    #[test]
    fn counts_may_wrap_and_a_thread_may_be_another_one_than_before() {
        let most = u64::from(u32::MAX);
        let before = look(0, 1, &[(1, "wraps", most, most - 1), (2, "old", 50, 0)]);
        let now = look(
            1,
            1,
            &[(1, "wraps", 4, 1), (2, "new", 3, 3), (3, "giver", 0, 2)],
        );
        let one = Growth {
            before: None,
            now: &now,
        };
        assert!(one.threads().iter().all(|kept| kept.per_second.is_none()));
        let growth = Growth {
            before: Some(&before),
            now: &now,
        };
        let kept = |name: &str| {
            let mut threads = growth.threads().into_iter();
            let kept = threads.find(|kept| kept.name == name).unwrap();
            (kept.kept, kept.per_second)
        };
        assert_eq!(kept("wraps"), (3, Some(2.0)));
        assert_eq!(kept("new"), (0, Some(0.0)));
        assert_eq!(kept("giver"), (-2, Some(-2.0)));
    }
}
