//! A whole run: nodes that call each other, until all is done and all is given back.

use core::time::Duration;

use crate::actor::{Calls, Client, Receiver, Sender, Server};
use crate::config::Config;
use crate::report::{Failure, Report};
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
    let mut world = World::new(config);
    for index in 0..config.nodes {
        populate(&mut world, config, index);
    }
    world.run_until(config.limit, |world| world.is_done())?;
    if !config.deaths && !config.corruption {
        let waited = world.run_until(DRAIN, |world| world.is_drained());
        if let Err(failure) = waited {
            let held = world.holdings();
            return Err(Failure {
                what: format!("{}: still shared: {held}", failure.what),
                ..failure
            });
        }
        world.ledger.close();
        if let Some(what) = world.ledger.broken.take() {
            return Err(world.failure(what));
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
        let sender = Sender::new(&format!("notes{target}"), config.messages);
        machine.spawn(Some(Box::new(sender)));
    }
}
