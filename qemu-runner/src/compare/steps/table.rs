//! The steps as a table: what Markdown and the page both show.

use super::{STEPS, Step, Steps};
use crate::compare::markdown::{number, optional};

/// Above the table.
pub const TITLE: &str = "Where the time of an empty call goes (us)";

/// What its rows are.
pub const NOTE: &str = "By time stamps in the path, in a pass of its own: means over the middle \
    half of the calls. The calling machine's own time + the serving machine's. Flight is the \
    rest: the link, both cards, and what machines do meanwhile. Timed is the median without \
    stamps, and above what all of it takes more than that.";

/// A column per system; the first row has their names.
pub fn rows(all: &[Steps]) -> Vec<Vec<String>> {
    let row = |name: &str, of: &dyn Fn(&Steps) -> String| {
        let cells = all.iter().map(of);
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = vec![row("", &|steps| steps.system.into())];
    let there = |step: &Step| all.iter().any(|steps| steps.of(*step) != [0.0; 2]);
    for step in STEPS.into_iter().filter(there) {
        rows.push(row(step.words(), &|steps| match steps.of(step) {
            [0.0, 0.0] => "-".into(),
            [calling, serving] => format!("{} + {}", number(calling), number(serving)),
        }));
    }
    rows.push(row("flight", &|steps| number(steps.flight)));
    rows.push(row("all", &|steps| number(steps.total)));
    rows.push(row("timed", &|steps| optional(steps.timed)));
    rows.push(row("above", &|steps| optional(steps.above)));
    rows
}
