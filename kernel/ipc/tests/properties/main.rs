//! Random sequences of all operations, against a model and the audit after each step.
//!
//! Stale names, dead ports, gone spaces, wrong rights and busy threads are among them. A failure
//! is shrunk to the fewest operations that show it.

use proptest::prelude::*;

mod world;

use world::{Operation, Size, World};

/// An operation that takes one line of a report.
#[derive(Clone, Copy)]
struct Step(Operation);

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn run(size: Size, steps: &[Step]) {
    let mut world = World::new(size);
    for Step(operation) in steps {
        world.step(*operation);
        world.check();
    }
    world.end();
}

/// Operations on the things at hand; with `few`, on the latest of each, so that everything
/// meets everything.
fn steps(few: u8, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), 0..few, 0..few, any::<[u8; 2]>())
        .prop_map(|(what, a, b, [c, d])| Step(Operation::decode([what, a, b, c, d])));
    prop::collection::vec(step, 0..if cfg!(miri) { 30 } else { count })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { cases },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn i_10_no_sequence_of_operations_loses_or_invents_a_right(
        steps in steps(255, 200)
    ) {
        run(Size::LARGE, &steps);
    }

    #[test]
    fn i_10_nor_in_a_small_world(steps in steps(32, 100)) {
        run(Size::SMALL, &steps);
    }
}

proptest! {
    #![proptest_config(config(20))]

    /// Long enough for queues, tables and lists to grow, and for what leaks to show.
    #[test]
    fn i_10_nor_in_a_long_life(steps in steps(255, 5_000)) {
        run(Size::LARGE, &steps);
    }
}
