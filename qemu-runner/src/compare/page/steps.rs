//! Where the time of an empty call goes: a bar per system, of steps.
//!
//! Owns: what the bars look like and what their colours mean.
//! Leaves to others: every number (`compare::steps`), drawing (`plot`).

use super::plot::{self, Bar};
use super::{Plot, escape};
use crate::compare::markdown::number;
use crate::compare::report::Report;
use crate::compare::steps::{STEPS, Step, Steps};

/// The style class of a step.
fn class(step: Step) -> String {
    let place = STEPS.iter().position(|known| *known == step);
    format!("s{}", place.unwrap_or(0))
}

/// The bars: the flight of both frames, the calling machine's steps, the serving one's, paler.
pub fn plot(report: &Report) -> Plot {
    let title = (
        "Where the time of an empty call goes",
        "grey is the flight of both frames, then the calling machine's steps, then, paler, the \
         serving one's; us; by time stamps, in a pass of its own",
    );
    let bars: Vec<_> = report.steps.iter().map(bar).collect();
    let there = |step: &&Step| {
        let has = |steps: &Steps| {
            let all = steps.calling.iter().chain(&steps.serving);
            all.clone().any(|(known, _)| known == *step)
        };
        report.steps.iter().any(has)
    };
    let keys = STEPS.iter().filter(there).map(|step| {
        format!(
            "<svg class=swatch viewBox=\"0 0 24 12\" aria-hidden=true><rect class=\"bar {}\" \
             width=24 height=12 /></svg>{}",
            class(*step),
            escape(step.words())
        )
    });
    (title, plot::bars(title.0, &bars), keys.collect())
}

fn bar(steps: &Steps) -> Bar {
    let mut parts = vec![(steps.flight, "link".to_owned())];
    let own = |(step, time): &(Step, f64)| (*time, class(*step));
    parts.extend(steps.calling.iter().map(own));
    let paler = |(time, class)| (time, format!("{class} second"));
    parts.extend(steps.serving.iter().map(own).map(paler));
    Bar {
        name: steps.system.into(),
        label: number(steps.total),
        parts,
    }
}
