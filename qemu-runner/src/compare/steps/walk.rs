//! From the marks of one machine to where its time goes in a call.
//!
//! Owns: telling calls apart, and to whom each interval between two marks belongs.
//! Leaves to others: where marks come from, putting two machines together (`mod`).
//! Why this way: both machines do the same thing again and again: a frame comes, a frame goes. From
//! the interrupt of the one to the other is the machine's own part of a call; what it does behind
//! its frame, as going to sleep, it does while that frame is under way. So the clock of one
//! machine is never compared with that of the other.

use norma_peer::marks::{Mark, What, Who};
use serde::Serialize;

/// What a machine's own time goes into, in the order of a call that begins with its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The program that calls or serves, in its own mode; of a kernel's thread all that it does.
    Program,
    /// The kernel for that program: its system calls, until it runs again.
    Calls,
    /// The kernel for the program that carries messages.
    RelayCalls,
    /// The program that carries messages, in its own mode.
    Relay,
    /// From the last call or send before the frame until the frame goes to the card.
    Outward,
    /// From the interrupt until the frame is there.
    Interrupt,
    /// From there until the kernel goes to a program.
    Inward,
    /// Whatever else runs between.
    Other,
}

/// All steps, in their order.
pub const STEPS: [Step; 8] = [
    Step::Program,
    Step::Calls,
    Step::RelayCalls,
    Step::Relay,
    Step::Outward,
    Step::Interrupt,
    Step::Inward,
    Step::Other,
];

impl Step {
    /// As it is printed.
    pub fn words(self) -> &'static str {
        match self {
            Self::Program => "the program",
            Self::Calls => "its system calls",
            Self::RelayCalls => "system calls of the server or daemon",
            Self::Relay => "the server or daemon",
            Self::Outward => "from the last call to the frame",
            Self::Interrupt => "interrupt and driver",
            Self::Inward => "from the frame to who runs then",
            Self::Other => "others",
        }
    }

    fn place(self) -> usize {
        STEPS.iter().position(|step| *step == self).unwrap_or(0)
    }
}

/// One call, on one machine; in ticks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// From its frame to its next one, without what marks cost in its own part.
    pub total: u64,
    /// What is the machine's own of that, by step.
    pub parts: [u64; STEPS.len()],
}

/// The calls of a machine: from each frame that it sends to the next one, where between the two
/// exactly one has come. Frames of another kind (acknowledgements, words between stretches)
/// take the call that they fall into out. From each interval of a machine's own part goes what a
/// mark costs: the end of the one and the beginning of the next.
pub fn calls(marks: &[Mark], cost: u64) -> Vec<Call> {
    // A kernel's threads make no system calls.
    let modes = marks.iter().any(|mark| mark.what == What::Enter);
    let sent = |mark: &&(usize, &Mark)| mark.1.what == What::FrameOut;
    let sent: Vec<_> = marks
        .iter()
        .enumerate()
        .filter(|pair| sent(&pair))
        .map(|(place, _)| place)
        .collect();
    let pairs = sent.windows(2).map(|pair| &marks[pair[0]..=pair[1]]);
    pairs.filter_map(|marks| call(marks, modes, cost)).collect()
}

/// The call between two frames that were sent, with these.
fn call(marks: &[Mark], modes: bool, cost: u64) -> Option<Call> {
    let mut came = (0..marks.len()).filter(|place| marks[*place].what == What::FrameIn);
    let (Some(came), None) = (came.next(), came.next()) else {
        return None;
    };
    // The interrupt that brought it: unless somebody went to sleep or ran since, it was another.
    let begin = (0..came)
        .rev()
        .take_while(|place| !matches!(marks[*place].what, What::Run(_)))
        .find(|place| marks[*place].what == What::Interrupt)
        .unwrap_or(came);
    let own = &marks[begin..];
    // Nobody waits for anything on the way, or it was no call like the others.
    if own.iter().any(|mark| mark.what == What::Run(Who::Nobody)) {
        return None;
    }
    let hands_over = |mark: &Mark| matches!(mark.what, What::Enter | What::Send);
    let outward = own.iter().rposition(hands_over).unwrap_or(own.len());
    let mut call = Call {
        total: marks.last()?.ticks - marks.first()?.ticks,
        ..Call::default()
    };
    let mut who = Who::Nobody;
    let mut step = Step::Interrupt;
    for (place, pair) in own.windows(2).enumerate() {
        step = match pair[0].what {
            _ if place == outward => Step::Outward,
            What::Interrupt => Step::Interrupt,
            What::FrameIn => Step::Inward,
            What::Run(next) => {
                who = next;
                step_of(who, modes)
            }
            What::Enter => step_of(who, true),
            What::Leave => step_of(who, false),
            What::Send | What::FrameOut => step,
        };
        let whole = pair[1].ticks - pair[0].ticks;
        call.parts[step.place()] += whole.saturating_sub(cost);
        call.total -= whole.min(cost);
    }
    Some(call)
}

/// What it is when somebody runs, in the kernel or not.
fn step_of(who: Who, kernel: bool) -> Step {
    match (who, kernel) {
        (Who::Program, false) => Step::Program,
        (Who::Program, true) => Step::Calls,
        (Who::Relay, false) => Step::Relay,
        (Who::Relay, true) => Step::RelayCalls,
        (Who::Other | Who::Nobody, _) => Step::Other,
    }
}

/// The means of the calls that took neither long nor short: the middle half of them. Of means,
/// unlike of medians, the sum of parts is the whole.
pub fn usual(mut calls: Vec<Call>) -> (f64, [f64; STEPS.len()]) {
    calls.sort_by_key(|call| call.total);
    let half = &calls[calls.len() / 4..calls.len() - calls.len() / 4];
    let mean = |of: &dyn Fn(&Call) -> u64| {
        half.iter().map(|call| of(call) as f64).sum::<f64>() / half.len() as f64
    };
    let parts = std::array::from_fn(|place| mean(&|call| call.parts[place]));
    (mean(&|call| call.total), parts)
}
