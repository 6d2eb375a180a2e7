//! Where the tests are made: images that were built, and runs that explain themselves.

use anyhow::{Context as _, Result, anyhow, bail};
use qemu_runner::Context;
use qemu_runner::commands::test::environment;
use qemu_runner::images::{self, Images};
use qemu_runner::link::{Capture, LinkKind};
use qemu_runner::programs;
use qemu_runner::qemu::{Accelerator, Machine, Outcome};
use qemu_runner::run::{NodePlan, Plan, Run, RunError};
use qemu_runner::trace::Trace;
use qemu_runner::ui::Ui;
use qemu_runner::workspace::Workspace;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take: far more than it does, for a host that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The images and the choices that all tests share.
pub struct Lab {
    context: Context,
    /// What was built at first: nothing if the images are to note their events.
    images: Images,
    /// Images that note their events, each built by the first test that wants it.
    noting: Mutex<HashMap<String, PathBuf>>,
    programs: PathBuf,
}

impl Lab {
    /// Builds the images.
    pub fn new() -> Result<Self> {
        // Unless `cargo norma test` says otherwise, the one that every host has.
        let accelerator = match std::env::var(environment::ACCELERATOR).as_deref() {
            Ok("kvm") => Accelerator::Kvm,
            _ => Accelerator::Tcg,
        };
        let context = Context {
            ui: Ui::new(true),
            workspace: Workspace::find()?,
            accelerator,
            accelerator_reason: String::new(),
            machine: Machine::Microvm,
            link: LinkKind::default(),
            capture: capture()?,
            trace: trace()?,
            dry_run: std::env::var_os(environment::DRY_RUN).is_some(),
            yes: false,
        };
        let images = match context.trace {
            Some(_) => Images::default(),
            None => images::build(&context)?,
        };
        let programs = programs::build(&context)?;
        Ok(Self {
            context,
            images,
            noting: Mutex::default(),
            programs,
        })
    }

    /// Whether commands are to be printed and nothing started.
    pub fn is_dry(&self) -> bool {
        self.context.dry_run
    }

    /// What every command of the runner works with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Completes what the tests have written.
    pub fn finish(&self) -> Result<()> {
        if let Some(trace) = &self.context.trace {
            trace.finish(&Ui::new(false))?;
        }
        let capture = self.context.capture.as_ref();
        Ok(capture.map_or(Ok(()), Capture::finish)?)
    }

    /// The workspace's top folder.
    pub fn root(&self) -> &Path {
        &self.context.workspace.root
    }

    /// The ELF of an image.
    pub fn image(&self, name: &str) -> Result<PathBuf> {
        match &self.context.trace {
            Some(trace) => self.noting(name, trace),
            None => Ok(self.images.get(name)?.elf.clone()),
        }
    }

    /// The ELF of an image that notes its events for a trace.
    fn noting(&self, name: &str, trace: &Trace) -> Result<PathBuf> {
        // Held while it is built: two builds would put their images at the same place.
        let mut noting = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(elf) = noting.get(name) {
            return Ok(elf.clone());
        }
        let context = Context {
            trace: Some(trace.clone()),
            ..self.context.clone()
        };
        let elf = images::wanted(&context, &[name])?.get(name)?.elf.clone();
        noting.insert(name.to_owned(), elf.clone());
        Ok(elf)
    }

    /// The archive of programs for tasks.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// A node that runs an image.
    pub fn node(&self, name: &str, image: &str) -> Result<NodePlan> {
        Ok(NodePlan::new(name, &self.image(image)?))
    }

    /// A node without a network card that runs an image, and means it.
    pub fn alone(&self, name: &str, image: &str) -> Result<NodePlan> {
        Ok(self.node(name, image)?.argument("network=off"))
    }

    /// A node that runs an image which notes its events.
    pub fn traced(&self, image: &str, name: &str, trace: &Trace) -> Result<NodePlan> {
        Ok(NodePlan::new(name, &self.noting(image, trace)?))
    }

    /// Runs a plan and, when the body fails, adds what the nodes printed; when it has waited in vain,
    /// also what their threads do.
    pub fn run(&self, plan: Plan, body: impl FnOnce(&mut Run) -> Result<()>) -> Result<()> {
        self.captured(plan, self.context.capture.as_ref(), body)
    }

    /// The same with a capture of its own.
    pub fn captured(
        &self,
        plan: Plan,
        capture: Option<&Capture>,
        body: impl FnOnce(&mut Run) -> Result<()>,
    ) -> Result<()> {
        let mut plan = plan.accelerator(self.context.accelerator).capture(capture);
        // A test of traces has one of its own.
        if !plan.is_traced() {
            plan = plan.trace(self.context.trace.as_ref());
        }
        if self.is_dry() {
            plan.command_lines()
                .iter()
                .for_each(|line| println!("{line}"));
            return Ok(());
        }
        let mut run = plan.quiet(true).monitored().start(&self.context.ui)?;
        body(&mut run).map_err(|error| {
            if let Some(RunError::TimedOut { .. }) = error.downcast_ref() {
                run.ask_what_they_do();
            }
            anyhow!("{error:#}\n{}", run.failure_reports())
        })
    }

    /// Runs a single node until it ends, and expects a line and an end.
    pub fn single(&self, node: NodePlan, line: &str, outcome: Outcome) -> Result<()> {
        self.run(Plan::new(vec![node]), |run| {
            let name = run.names().next().unwrap_or_default().to_owned();
            run.expect(&name, line, deadline())?;
            ends(run, &name, outcome)
        })
    }
}

/// The capture that `cargo norma test --pcap` asks for.
fn capture() -> Result<Option<Capture>> {
    let path = std::env::var_os(environment::PCAP);
    let dry = std::env::var_os(environment::DRY_RUN).is_some();
    let path = path.filter(|_| !dry);
    path.map(|path| Capture::create(Path::new(&path)).with_context(|| path.display().to_string()))
        .transpose()
}

/// The trace that `cargo norma test --trace` asks for.
fn trace() -> Result<Option<Trace>> {
    let path = std::env::var_os(environment::TRACE);
    let dry = std::env::var_os(environment::DRY_RUN).is_some();
    let path = path.filter(|_| !dry);
    path.map(|path| Trace::create(Path::new(&path)).with_context(|| path.display().to_string()))
        .transpose()
}

/// The moment at which a wait that begins now has failed.
pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Expects that a node ends, and how.
pub fn ends(run: &mut Run, name: &str, outcome: Outcome) -> Result<()> {
    let actual = run.wait_exit(name, deadline())?;
    if actual != outcome {
        bail!("node {name} {actual}, but was expected to end as: {outcome}");
    }
    Ok(())
}
