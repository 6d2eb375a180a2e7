//! Nodes that die, that stand still, and that are cut off.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use crate::network::{SEED, client, passes, server};
use anyhow::{Context as _, Result, ensure};
use norma_faults::Random;
use qemu_runner::qemu::Outcome;
use qemu_runner::run::{NodePlan, Plan, Run};
use std::time::{Duration, Instant};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("network::cut_and_healed", cut_and_healed),
        Test::new("network::death_in_the_middle", death),
        Test::new("network::born_again", born_again),
        Test::new("network::killed_in_the_middle_of_64_mib", killed),
        Test::new("network::cut_for_good_and_healed", cut_for_good),
        Test::new("network::frozen_is_not_dead", frozen),
    ]
}

/// A link that is down for less than the time after which a node counts as dead.
fn cut_and_healed(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &["n=5000"])?).switched();
    lab.run(plan, |run| {
        run.expect("a", "a tenth is done", deadline())?;
        run.switch(0).context("no switch")?.faults().cut(0, 1);
        // Long enough for retransmissions to be lost too. This is the fault, not a wait for
        // something to have happened.
        let healed = Instant::now() + Duration::from_millis(300);
        while run.next(healed).is_ok() {}
        ensure!(
            run.outcome("a").is_none(),
            "the calls went on without a network"
        );
        run.switch(0).context("no switch")?.faults().heal(0, 1);
        passes(run, "a", "calls")
    })
}

/// A node is killed while it has a call: its caller is told who died, after about a second.
fn death(lab: &Lab) -> Result<()> {
    lab.run(
        Plan::pair(server(lab)?, client(lab, "death", &[])?),
        |run| {
            run.expect("b", "kept a call", deadline())?;
            let killed = Instant::now();
            run.kill("b");
            run.expect("a", "@death ", deadline())?;
            let took = killed.elapsed();
            ensure!(
                took < Duration::from_secs(4),
                "the death was noticed only after {took:?}"
            );
            ends(run, "b", Outcome::Signal(9))?;
            passes(run, "a", "death")
        },
    )
}

/// A node dies and is started again on its port: nobody takes it for the old one.
fn born_again(lab: &Lab) -> Result<()> {
    let plan = Plan::pair(server(lab)?, client(lab, "reborn", &[])?).switched();
    lab.run(plan, |run| {
        run.expect("a", "ready for its death", deadline())?;
        run.kill("b");
        ends(run, "b", Outcome::Signal(9))?;
        run.restart("b")?;
        passes(run, "a", "reborn")
    })
}

/// Nodes are killed in the middle of a transfer of 64 MiB to or from them, a hundred times in a
/// row. The node at the other end has memory for the transfers that there are at one time.
fn killed(lab: &Lab) -> Result<()> {
    const VICTIMS: usize = 4;
    const ROUNDS: usize = 25;
    let victim = |number: usize| -> Result<NodePlan> {
        let node = lab.node(&format!("v{number}"), "nettest")?;
        Ok(node.argument("test=victim").memory(192))
    };
    let mut nodes = (1..=VICTIMS).map(victim).collect::<Result<Vec<_>>>()?;
    let (victims, rounds) = (format!("victims={VICTIMS}"), format!("rounds={ROUNDS}"));
    nodes.push(client(lab, "killed", &[&victims, &rounds])?.memory(320));
    lab.run(Plan::together(nodes).switched(), |run| {
        let mut random = Random::new(SEED);
        for _ in 0..VICTIMS * ROUNDS {
            let line = run.wait_line("a", |line| line.contains(" round "), deadline())?;
            let victim = line.split(' ').next().unwrap_or_default().to_owned();
            // The large message alone takes a thousand frames.
            pass_frames(run, random.below(1000))?;
            run.kill(&victim);
            ends(run, &victim, Outcome::Signal(9))?;
            run.restart(&victim)?;
        }
        passes(run, "a", "killed")
    })
}

/// Waits until the switch has passed so many frames on.
pub fn pass_frames(run: &mut Run, count: u64) -> Result<()> {
    let frames = |run: &Run| run.switch(0).map_or(0, |switch| switch.stats().forwarded);
    let until = frames(run) + count;
    let patience = deadline();
    while frames(run) < until {
        ensure!(Instant::now() < patience, "nothing is sent");
        let _ = run.next(Instant::now() + Duration::from_millis(1));
    }
    Ok(())
}

/// A link that is down for longer than the time after which a node counts as dead: the two ends
/// give each other up, a third node keeps both, and when it is healed all is to be had again.
fn cut_for_good(lab: &Lab) -> Result<()> {
    let c = lab.node("c", "nettest")?.argument("test=steady");
    let nodes = vec![server(lab)?, client(lab, "cut-off", &[])?, c];
    lab.run(Plan::together(nodes).switched(), |run| {
        run.expect("c", "@steady", deadline())?;
        run.expect("a", "ready to be cut off", deadline())?;
        run.switch(0).context("no switch")?.faults().cut(0, 1);
        run.expect("a", "cut off", deadline())?;
        run.switch(0).context("no switch")?.faults().heal(0, 1);
        passes(run, "a", "cut-off")?;
        // One of these was waited for above: so one more comes than there are.
        for _ in run.log("c").iter().filter(|line| *line == "@steady") {
            run.expect("c", "@steady", deadline())?;
        }
        Ok(())
    })
}

/// A node that does not run for a moment, on a busy host say, is not taken for dead.
fn frozen(lab: &Lab) -> Result<()> {
    lab.run(
        Plan::pair(server(lab)?, client(lab, "calls", &["n=5000"])?),
        |run| {
            run.expect("a", "a tenth is done", deadline())?;
            run.pause("b");
            rest(run, Duration::from_millis(300));
            run.resume("b");
            run.expect("a", "half is done", deadline())?;
            // As long as death takes, and longer: but who is to notice it stands still too.
            run.pause("a");
            run.pause("b");
            rest(run, Duration::from_secs(3));
            run.resume("a");
            run.resume("b");
            passes(run, "a", "calls")
        },
    )
}

/// Lets time go by: nothing is expected, and it is what is tested.
fn rest(run: &mut Run, time: Duration) {
    let end = Instant::now() + time;
    while run.next(end).is_ok() {}
}
