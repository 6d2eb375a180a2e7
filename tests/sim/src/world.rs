//! The world: machines, the network between them, and time.
//!
//! One step takes the earliest thing that is due: a thread that can run, a node's timer, or a
//! frame that arrives. Its consequences are carried out at once, as a kernel does: threads are
//! woken, frames leave.
//!
//! No step looks at all machines: when each is due stands in an ordered set, and a machine that
//! was touched is entered anew before the next step. So a thousand nodes cost as much for each
//! frame as three do.

mod checks;
mod network;

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use norma_faults::{Faults, Mishap, Random, Schedule, Station, mishaps};
use norma_ipc::ThreadId;

use self::network::Flying;
use crate::actor::{Context, Next};
use crate::config::Config;
use crate::heap;
use crate::ledger::Ledger;
use crate::link::Wires;
use crate::machine::Machine;
use crate::report::{Failure, Report};
use crate::topology::{is_search, sent_on};
use crate::trace::Trace;
use crate::wild::{self, Books};

/// Frames that the network holds: a broadcast of each of a thousand nodes to all others at once.
const NETWORK_HOLDS: usize = 2_000_000;

/// Steps of each machine on its own account, at one moment, that only happen when something is
/// wrong.
const MANY_STEPS: u64 = 10_000;

/// Sees each frame that a machine sends to another.
type Watcher = Box<dyn FnMut(usize, usize, &[u8])>;

/// Changes frames as they leave a node.
type Tamper = Box<dyn FnMut(usize, &mut Vec<u8>)>;

/// The whole simulation.
pub struct World {
    pub(crate) config: Config,
    pub(crate) now: Duration,
    machines: Vec<Machine>,
    /// When each machine is due next: no machine is in it twice.
    due: BTreeSet<(Duration, usize)>,
    /// As what it is in there.
    entered: Vec<Option<Duration>>,
    /// Those that were touched since they were entered.
    touched: Vec<usize>,
    faults: Faults,
    network: Schedule<Flying>,
    wires: Wires,
    random: Random,
    /// What is still to come, in the order of time.
    mishaps: VecDeque<(Duration, Station, Mishap)>,
    trace: Trace,
    report: Report,
    steps_at_now: u64,
    watcher: Option<Watcher>,
    tamper: Option<Tamper>,
    /// The books.
    pub ledger: Ledger,
    /// The books of the wild.
    pub books: Books,
}

impl World {
    /// Machines that run nothing yet.
    ///
    /// # Panics
    /// When the fault rules make no sense.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let names = config.names();
        let faults = Faults::new(config.seed, &config.rules, &names);
        World {
            now: Duration::ZERO,
            machines: (0..config.nodes)
                .map(|index| Machine::new(index, config, 0))
                .collect(),
            due: BTreeSet::new(),
            entered: vec![None; config.nodes],
            touched: Vec::new(),
            faults: faults.expect("the fault rules make sense"),
            network: Schedule::new(NETWORK_HOLDS),
            wires: Wires::default(),
            random: Random::new(config.seed),
            mishaps: mishaps(&config.rules, &names).into(),
            trace: Trace::default(),
            steps_at_now: 0,
            watcher: None,
            tamper: None,
            report: Report {
                seed: config.seed,
                nodes: config.nodes,
                ..Report::default()
            },
            books: Books::default(),
            ledger: Ledger::new(config.deaths, config.corruption),
            config: config.clone(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// A machine.
    pub fn machine(&mut self, index: usize) -> &mut Machine {
        self.touched.push(index);
        &mut self.machines[index]
    }

    /// Enters the machines that were touched anew.
    fn enter(&mut self) {
        while let Some(index) = self.touched.pop() {
            let due = self.machines[index].next_due(self.now);
            if due != self.entered[index] {
                if let Some(old) = self.entered[index] {
                    self.due.remove(&(old, index));
                }
                self.entered[index] = due;
                self.due.extend(due.map(|due| (due, index)));
            }
        }
    }

    /// When the next machine is due, and which.
    fn next_machine(&mut self) -> Option<(Duration, usize)> {
        self.enter();
        let (due, index) = *self.due.first()?;
        Some((due.max(self.now), index))
    }

    /// The faults of the network, to cut and heal links.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Shows each frame from now on to `watcher`: who sends it, to whom, and all of it.
    pub fn watch(&mut self, watcher: impl FnMut(usize, usize, &[u8]) + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Puts a frame on the network that nobody sends now: one that was recorded.
    pub fn replay(&mut self, from: usize, to: usize, bytes: &[u8]) {
        self.send_to(sent_on(bytes), from, to, &bytes.into());
    }

    /// Frames put on the network so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.report.frames
    }

    fn befall(&mut self, index: usize, mishap: Mishap) {
        match mishap {
            Mishap::Crash => self.kill(index),
            Mishap::Reboot => {
                self.reboot(index);
                wild::populate(self, index);
            }
            Mishap::Freeze(time) => self.freeze(index, time),
        }
    }

    /// Stops a machine for ever.
    pub fn kill(&mut self, index: usize) {
        self.trace.text(self.now, format!("node {index} is killed"));
        self.machine(index).dead = true;
        self.books.now = self.now;
        self.books.forget_machine(index, false);
    }

    /// Has every frame changed as it leaves its node, from now on: a bug planted in all nodes,
    /// to see that it is found.
    pub fn tamper(&mut self, tamper: impl FnMut(usize, &mut Vec<u8>) + 'static) {
        self.tamper = Some(Box::new(tamper));
    }

    /// Whether a machine was stopped for ever.
    #[must_use]
    pub fn is_dead(&self, index: usize) -> bool {
        self.machines[index].dead
    }

    /// Stops a machine and starts it anew, with nothing running on it.
    pub fn reboot(&mut self, index: usize) {
        self.trace
            .text(self.now, format!("node {index} is started anew"));
        let boots = self.machines[index].boots + 1;
        *self.machine(index) = Machine::new(index, &self.config, boots);
        self.books.now = self.now;
        self.books.forget_machine(index, true);
    }

    /// Stops a machine for a while.
    pub fn freeze(&mut self, index: usize, time: Duration) {
        self.trace
            .text(self.now, format!("node {index} is frozen for {time:?}"));
        let until = self.now + time;
        let machine = self.machine(index);
        // It may be slow besides.
        machine.frozen_until = machine.frozen_until.max(until);
    }

    /// Whether every actor has done its part, on machines that live.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let alive = self.machines.iter().filter(|machine| !machine.dead);
        alive
            .flat_map(|machine| &machine.threads)
            .all(|t| t.done || t.actor.as_ref().is_none_or(|actor| actor.is_service()))
    }

    /// Takes one step; `false` if nothing will ever happen any more.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn step(&mut self) -> Result<bool, Failure> {
        let machine = self.next_machine();
        let arrival = self.network.next_due();
        let mishap = self.mishaps.front().map(|(at, ..)| *at);
        let own = machine.map(|(due, _)| due);
        let Some(next) = [own, arrival, mishap].into_iter().flatten().min() else {
            return Ok(false);
        };
        if next > self.now {
            self.now = next;
            self.steps_at_now = 0;
        }
        self.steps_at_now += u64::from(own == Some(next));
        if self.steps_at_now > MANY_STEPS * self.machines.len() as u64 {
            return Err(self.failure("time stands still: a timer is always due"));
        }
        self.report.steps += 1;
        if mishap == Some(next)
            && let Some((_, node, mishap)) = self.mishaps.pop_front()
        {
            self.befall(usize::from(node), mishap);
            return Ok(true);
        }
        let index = match machine {
            Some((due, index)) if due <= next => {
                self.run_machine(index);
                index
            }
            _ => match self.network.pop_due(self.now) {
                Some(flying) if is_search(&flying.bytes) => {
                    let index = self.arrive(flying);
                    self.carry_out(index)?;
                    return Ok(true);
                }
                Some(flying) => self.arrive(flying),
                None => return Ok(true),
            },
        };
        self.after(index)?;
        Ok(true)
    }

    /// Takes steps until `done` says so.
    ///
    /// # Errors
    /// When a promise does not hold, nothing happens any more, or the time is over.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut World) -> bool,
    ) -> Result<(), Failure> {
        self.run_until_seldom(limit, 1, &mut done)
    }

    /// As [`World::run_until`], for a question about all machines: it is asked once in as many
    /// steps as there are machines, and so costs the same for each step however many they are.
    ///
    /// # Errors
    /// As [`World::run_until`].
    pub fn run_until_all(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut World) -> bool,
    ) -> Result<(), Failure> {
        self.run_until_seldom(limit, self.machines.len().max(1), &mut done)
    }

    fn run_until_seldom(
        &mut self,
        limit: Duration,
        steps: usize,
        done: &mut dyn FnMut(&mut World) -> bool,
    ) -> Result<(), Failure> {
        let end = self.now + limit;
        while !done(self) {
            for _ in 0..steps {
                let why = match self.now > end {
                    true => format!("not done after {limit:?}"),
                    false if self.step()? => continue,
                    false => "nothing happens any more".into(),
                };
                // It may have come to be done since it was asked last.
                return if done(self) {
                    Ok(())
                } else {
                    Err(self.failure(why))
                };
            }
        }
        Ok(())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Failure> {
        self.run_for_while(time, |_| true)
    }

    /// Lets time pass as long as `goes_on` says so, which is asked once in as many steps as
    /// there are machines.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn run_for_while(
        &mut self,
        time: Duration,
        goes_on: impl Fn(&World) -> bool,
    ) -> Result<(), Failure> {
        let end = self.now + time;
        for steps in 0.. {
            if steps % self.machines.len().max(1) == 0 && !goes_on(self) {
                return Ok(());
            }
            let machine = self.next_machine().map(|(due, _)| due);
            let mishap = self.mishaps.front().map(|(at, ..)| *at);
            let next = [machine, self.network.next_due(), mishap];
            let next = next.into_iter().flatten().min();
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return Ok(());
            }
            self.step()?;
        }
        Ok(())
    }

    fn run_machine(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let now = self.now;
        let ready = machine.threads.iter().position(|thread| {
            !thread.done && (thread.runnable || thread.wake_at.is_some_and(|at| at <= now))
        });
        match ready {
            Some(thread) => self.run_thread(index, thread),
            None => machine.handle_timeout(now),
        }
    }

    fn run_thread(&mut self, index: usize, thread: usize) {
        let machine = &mut self.machines[index];
        let slot = &mut machine.threads[thread];
        slot.runnable = false;
        slot.wake_at = None;
        let Some(mut actor) = slot.actor.take() else {
            return;
        };
        let mut handed = Vec::new();
        let next = actor.run(&mut Context {
            node: &mut machine.node,
            space: machine.space,
            machine: index,
            boots: machine.boots,
            books: &mut self.books,
            thread: ThreadId(thread as u32),
            now: self.now,
            random: &mut self.random,
            ledger: &mut self.ledger,
            handed: &mut handed,
        });
        let slot = &mut machine.threads[thread];
        slot.actor = Some(actor);
        match next {
            Next::Wait => {}
            Next::Until(at) => slot.wake_at = Some(at),
            Next::Done => slot.done = true,
        }
        for thread in handed {
            machine.wake(thread);
        }
    }

    /// Carries out what follows for a machine: wakes its threads, sends its frames, checks it.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn after(&mut self, index: usize) -> Result<(), Failure> {
        self.carry_out(index)?;
        self.check(index)
    }

    /// Wakes a machine's threads and sends its frames.
    fn carry_out(&mut self, index: usize) -> Result<(), Failure> {
        self.touched.push(index);
        if !self.machines[index].dead {
            // Now and then the threads go first, as in the kernel; later the node catches up.
            let hurried = self.random.below(2) == 0;
            let node = |machine: &mut Machine| {
                heap::of(index, || match hurried {
                    true => machine.node.poll_urgent_wake(),
                    false => machine.node.poll_wake(),
                })
            };
            while let Some(thread) = node(&mut self.machines[index]) {
                self.machines[index].wake(thread);
            }
            while let Some((network, mut bytes)) = self.machines[index].transmit(self.now) {
                if let Some(tamper) = &mut self.tamper {
                    tamper(index, &mut bytes);
                }
                self.put_on_network(network, index, bytes.into());
            }
            self.machines[index].set_timer();
            if let Some(left) = self.machines[index].node.poll_urgent_wake() {
                return Err(self.failure(format!("{left:?} was woken by sending a frame")));
            }
        }
        Ok(())
    }

    /// How many machines there are.
    #[must_use]
    pub fn machines(&self) -> usize {
        self.machines.len()
    }
}
