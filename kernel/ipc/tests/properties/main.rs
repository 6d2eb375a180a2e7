//! Random sequences of all operations, against a model and the audit after each step.
//!
//! A step is four bytes: what to do, and with which of the spaces, names, rights, messages and
//! threads at hand. Stale names, dead ports and busy threads are among them.

use proptest::prelude::*;

mod messages;
mod model;
mod rights;
mod world;

use world::World;

fn run(steps: &[[u8; 4]]) {
    let mut world = World::new();
    for step in steps {
        world.step(*step);
        world.check();
    }
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn i_10_no_sequence_of_operations_loses_or_invents_a_right(
        steps in prop::collection::vec(any::<[u8; 4]>(), 0..if cfg!(miri) { 30 } else { 150 })
    ) {
        run(&steps);
    }

    /// One space and one thread of each: everything meets everything.
    #[test]
    fn i_10_nor_in_a_small_world(
        steps in prop::collection::vec(
            (any::<u8>(), 0..2_u8, 0..2_u8, any::<u8>()).prop_map(|(a, b, c, d)| [a, b, c, d]),
            0..if cfg!(miri) { 30 } else { 150 },
        )
    ) {
        run(&steps);
    }
}
