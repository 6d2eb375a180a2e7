//! A whole run: nodes that call each other, until all is done and all is given back.

use core::time::Duration;

use crate::actor::{Calls, Client, Receiver, Sender, Server};
use crate::config::Config;
use crate::report::{Failure, Report};
use crate::wild;
use crate::world::World;

/// How long clients wait for an answer on a network that changes frames.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long nodes may take to give back what they share, once nobody wants it any more.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs `config` from beginning to end.
///
/// # Errors
/// The first promise that did not hold, with the seed that repeats it.
pub fn run(config: &Config) -> Result<Report, Failure> {
    run_prepared(config, |_| {})
}

/// As [`run`], after `prepare` was given the world in which nothing has happened yet.
///
/// # Errors
/// As [`run`].
pub fn run_prepared(config: &Config, prepare: impl FnOnce(&mut World)) -> Result<Report, Failure> {
    let mut world = World::new(config);
    prepare(&mut world);
    if let Some(wild) = &config.wild {
        return wild::run(world, wild);
    }
    for index in 0..config.nodes {
        populate(&mut world, config, index);
    }
    if config.corruption {
        // A changed header that slips through can stall a session for good, until frames are
        // sealed: what must hold is that no node breaks, and that all rights are accounted for.
        world.run_for_while(config.limit, |world| !world.is_done())?;
        return Ok(world.report());
    }
    world.run_until_all(config.limit, |world| world.is_done())?;
    if !config.deaths {
        let waited = world.run_until_all(DRAIN, |world| {
            world.is_drained() && world.ledger.missing().is_none()
        });
        if let Err(failure) = waited {
            let (held, missing) = (world.holdings(), world.ledger.missing());
            return Err(Failure {
                what: format!("{}: shared: {held}, missing: {missing:?}", failure.what),
                ..failure
            });
        }

        let unaccounted = world.unaccounted();
        if unaccounted != 0 {
            return Err(world.failure(format!("{unaccounted} messages are unaccounted for")));
        }
    }
    Ok(world.report())
}

fn populate(world: &mut World, config: &Config, index: usize) {
    let machine = world.machine(index);
    machine.spawn(Some(Box::new(Server::new(&format!("server{index}")))));
    if config.senders > 0 {
        let receiver = Receiver::new(&format!("notes{index}"), config.receiver_pause);
        machine.spawn(Some(Box::new(receiver)));
    }
    for number in 0..config.clients {
        // Every client calls another node's server; with one node, its own.
        let target = (index + 1 + number) % config.nodes;
        let calls = Calls {
            count: config.calls,
            rights: config.rights,
            max_memory: config.max_memory,
            max_inline: config.max_inline,
            patience: config.corruption.then_some(PATIENCE),
            may_fail: config.deaths || config.corruption,
        };
        machine.spawn(Some(Box::new(Client::new(
            &format!("server{target}"),
            calls,
        ))));
    }
    for number in 0..config.senders {
        let target = (index + 1 + number) % config.nodes;
        let sender = Sender::new(
            &format!("notes{target}"),
            config.messages,
            config.max_memory,
        );
        machine.spawn(Some(Box::new(sender)));
    }
}
