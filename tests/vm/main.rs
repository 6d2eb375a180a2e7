//! Tests of whole virtual machines.
//!
//! Each passes only on its sentinel line *and* its exit code, and each wait has a deadline; there
//! are no sleeps. `cargo norma test` runs them; `cargo norma test --vm FILTER` some of them.
#![forbid(unsafe_code)]

mod boot;
mod captures;
mod daemon;
mod deaths;
mod demo;
mod faults;
mod gdb;
mod hostile;
mod inspect;
mod kernel;
mod lab;
mod linux;
mod machine;
mod messages;
mod migration;
mod network;
mod ran;
mod routers;
mod runner;
mod setup;
mod tasks;
mod trace;
mod tutorial;
mod up;

use lab::Lab;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    qemu_runner::qemu::become_qemu_if_asked();
    qemu_runner::signals::watch();
    let arguments = Arguments::from_args();
    let lab = match Lab::new() {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            eprintln!("the tests cannot start: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let machines = [
        boot::tests(),
        machine::tests(),
        kernel::tests(),
        faults::tests(),
        messages::tests(),
        network::tests(),
        deaths::tests(),
        hostile::tests(),
        routers::tests(),
        migration::tests(),
        linux::tests(),
        daemon::tests(),
        tasks::tests(),
    ];
    let commands = [
        demo::tests(),
        runner::tests(),
        setup::tests(),
        captures::tests(),
        inspect::tests(),
        tutorial::tests(),
        trace::tests(),
        ran::tests(),
        gdb::tests(),
    ];
    // A dry run prints the commands of the machines; the others run the command itself.
    let commands = commands.into_iter().filter(|_| !lab.is_dry());
    let tests = machines.into_iter().chain(commands);
    let trials = tests
        .into_iter()
        .flatten()
        .map(|test| test.into_trial(Arc::clone(&lab)));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Err(error) = lab.finish() {
        eprintln!("the capture or the trace is not complete: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// What a test does.
type Body = Box<dyn FnOnce(&Lab) -> anyhow::Result<()> + Send>;

/// One test.
struct Test {
    name: String,
    body: Body,
}

impl Test {
    fn new(
        name: impl Into<String>,
        body: impl FnOnce(&Lab) -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            body: Box::new(body),
        }
    }

    fn into_trial(self, lab: Arc<Lab>) -> Trial {
        Trial::test(self.name, move || {
            (self.body)(&lab).map_err(|error| format!("{error:#}").into())
        })
    }
}
