//! What befalls a node as a whole, and when.
//!
//! Owns the list of it that rules make. Leaves to others to carry it out: the runner kills and
//! stops processes, the simulator its machines.

use crate::engine::Station;
use crate::limits::SLOW_PERIOD;
use crate::rule::{Action, Rule};
use core::time::Duration;

/// Something that befalls a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It stops for ever, without a word.
    Crash,
    /// It stops without a word, if it has not stopped, and is started anew.
    Reboot,
    /// It does not run for that long; frames for it wait.
    Freeze(Duration),
}

/// What rules have in store for nodes, in the order of time. Station `i` is the node called
/// `names[i]`; rules that [`crate::Faults::new`] would refuse are left out.
#[must_use]
pub fn mishaps<S: AsRef<str>>(rules: &[Rule], names: &[S]) -> Vec<(Duration, Station, Mishap)> {
    let mut list = Vec::new();
    for rule in rules.iter().filter(|rule| rule.check().is_ok()) {
        let named = |name: &S| Some(name.as_ref()) == rule.node.as_deref();
        let Some(node) = names.iter().position(named) else {
            continue;
        };
        let at = Duration::from_millis(rule.after_ms.unwrap_or_default());
        let until = Duration::from_millis(rule.until_ms.unwrap_or_default());
        let mut befalls = |at, what| list.push((at, node as Station, what));
        match rule.action {
            Action::Crash => befalls(at, Mishap::Crash),
            Action::Reboot => befalls(at, Mishap::Reboot),
            Action::Freeze => befalls(at, Mishap::Freeze(until - at)),
            Action::Slow => {
                let still = SLOW_PERIOD.mul_f64(1.0 - rule.share.unwrap_or_default());
                let mut next = at;
                while next < until {
                    befalls(next, Mishap::Freeze(still.min(until - next)));
                    next += SLOW_PERIOD;
                }
            }
            _ => {}
        }
    }
    list.sort_by_key(|(at, ..)| *at);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn they_come_in_order_and_only_to_the_node_that_is_named() {
        let rules = [
            Rule::mishap(Action::Crash, "b", 90),
            Rule::new(Action::Drop),
            Rule::mishap(Action::Reboot, "a", 20),
            Rule {
                until_ms: Some(70),
                ..Rule::mishap(Action::Freeze, "b", 40)
            },
        ];
        assert_eq!(
            mishaps(&rules, &["a", "b"]),
            [
                (ms(20), 0, Mishap::Reboot),
                (ms(40), 1, Mishap::Freeze(ms(30))),
                (ms(90), 1, Mishap::Crash),
            ]
        );
    }

    #[test]
    fn a_slow_node_runs_for_its_share_until_the_window_closes() {
        let rule = Rule {
            until_ms: Some(1030),
            share: Some(0.2),
            ..Rule::mishap(Action::Slow, "a", 10)
        };
        let list = mishaps(&[rule], &["a"]);
        let still: Duration = list
            .iter()
            .map(|(_, _, what)| match what {
                Mishap::Freeze(time) => *time,
                other => panic!("{other:?} befalls a slow node"),
            })
            .sum();
        // Twenty periods, and the beginning of another.
        assert_eq!(list.len(), 21);
        assert_eq!(still, ms(20 * 40 + 20));
        let last = list.last().unwrap();
        assert_eq!(*last, (ms(1010), 0, Mishap::Freeze(ms(20))));
    }
}
