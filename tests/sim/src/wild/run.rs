//! A run of the wild from beginning to end: play, then rest, in which everything that is due must
//! come, then an end after which nothing may be left.

use core::time::Duration;

use norma_ipc::{Name, RightTypes};

use super::entries::Phase;
use super::foresight::foresee;
use super::{Abilities, Rover, Wild};
use crate::report::{Failure, Report};
use crate::world::World;

/// How long what is under way may take to arrive, and what is dead to be noticed: more than the
/// patience of whoever waits for an answer, and than the time to notice a death many times over,
/// for on a network that loses a quarter of its frames a chain of messages of three frames each
/// gets on by two of them a second.
const SETTLE: Duration = Duration::from_secs(20);

/// How long each later phase lasts.
const EACH: Duration = Duration::from_secs(3);

/// Puts rovers on a machine, at its start and after each boot.
pub(crate) fn populate(world: &mut World, index: usize) {
    let Some(wild) = world.config.wild.clone() else {
        return;
    };
    for number in 0..wild.rovers {
        let rover = Rover::new(&wild, number == 0);
        world.machine(index).spawn(Some(Box::new(rover)));
    }
}

/// Runs the wild.
///
/// # Errors
/// The first promise that did not hold.
pub(crate) fn run(mut world: World, wild: &Wild) -> Result<Report, Failure> {
    let nodes = world.machines();
    world.books.open(nodes);
    world.books.merge = wild.abilities.contains(Abilities::DIRECT);
    world.books.calm.relayed = !wild.abilities.contains(Abilities::DIRECT);
    foresee(&mut world.books.calm, &world.config);
    for index in 0..nodes {
        populate(&mut world, index);
    }
    world.run_for(wild.play)?;
    for (phase, time) in [
        (Phase::Settle, SETTLE),
        (Phase::RollCall, EACH),
        (Phase::GiveUpSends, EACH),
        (Phase::GiveUpReceives, EACH),
    ] {
        world.books.phase = phase;
        world.run_for(time)?;
        judge(&mut world, phase)?;
    }
    if !world.is_drained() {
        let held = world.holdings();
        return Err(world.failure(format!("something is still shared: {held}")));
    }
    for index in 0..nodes {
        world.audit(index)?;
    }
    Ok(world.report())
}

fn judge(world: &mut World, phase: Phase) -> Result<(), Failure> {
    world.books.now = world.now();
    match phase {
        Phase::Play => {}
        Phase::Settle => world.books.check_settled(),
        Phase::RollCall => {
            check_names(world);
            world.books.check_settled();
            world.books.check_senders();
            world.books.check_room();
        }
        Phase::GiveUpSends => {
            world.books.check_senders();
            world.books.check_spent();
        }
        Phase::GiveUpReceives => world.books.check_bells(),
    }
    world.accused()
}

/// Every name is dead if its port is gone, and else alive (or rightly dead).
fn check_names(world: &mut World) {
    for node in 0..world.machines() {
        if world.is_dead(node) {
            continue;
        }
        let names: Vec<u32> = world.books.names[node].keys().copied().collect();
        for name in names {
            let machine = world.machine(node);
            let space = machine.space();
            let types = machine
                .node()
                .ipc()
                .right_types(space, Name::from_raw(name));
            let dead = types.is_ok_and(|types| types.contains(RightTypes::DEAD_NAME));
            let held = &world.books.names[node][&name];
            if held.sends > 0 && !dead && !held.dead {
                world.books.check_alive(node, name);
            }
        }
    }
}
