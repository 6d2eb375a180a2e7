//! The report as `--json` writes it, and as the other forms are made from it.
//!
//! Owns: the shape of the file.
//! Leaves to others: the numbers in it, and what people read.
//! Why this way: all that a reader needs to judge a number stands beside it: what was run, on
//! what, by which commands.

use super::figures::{Figure, Measured, Spread, median};
use super::history::{PUBLISHED, Published};
use super::operations::OPERATIONS;
use super::steps::Steps;
use super::systems::{System, Waits};
use super::targets::{Target, judge};
use crate::bench::merge::nearest;
use crate::bench::report::{distinct, host};
use crate::context::Context;
use crate::linux::Kit;
use anyhow::Result;
use norma_peer::plan::SHARES;
use serde::Serialize;

/// Everything that one comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// On what it was measured.
    pub host: Host,
    /// What was compared.
    pub systems: Vec<Listed>,
    /// What each did.
    pub operations: Vec<Described>,
    /// The shares, in thousandths, that `dist` of a figure belongs to.
    pub shares: [usize; SHARES.len()],
    /// One per system and operation.
    pub figures: Vec<Figure>,
    /// Where the time of an empty call goes, of systems that wait asleep.
    pub steps: Vec<Steps>,
    /// How long each kind of machine takes to its first call.
    pub starts: Vec<Start>,
    /// The figures to reach, judged.
    pub targets: Vec<Target>,
    /// What was published when the question was first asked.
    pub published: &'static [Published],
    /// Every QEMU command line, once each.
    pub qemu: Vec<String>,
}

/// The machine and the programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Version of norma.
    pub version: String,
    /// Processor, how many, kernel, QEMU.
    pub machine: String,
    /// The accelerator of the timing pass; the counting pass always takes the emulator.
    pub accelerator: String,
    /// The package of the guests' Linux, if there was one.
    pub linux: Option<String>,
    /// Whether all frames were captured on the way, which costs time.
    pub captured: bool,
}

/// A system, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// How its ends wait.
    pub waits: Waits,
}

/// An operation, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The unit of its figures.
    pub unit: &'static str,
}

/// From the start of QEMU to the first call that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// Which machines.
    pub machines: String,
    /// Median of milliseconds.
    pub first_call_ms: f64,
    /// Least and greatest.
    pub spread: Spread,
    /// Boots.
    pub n: usize,
}

impl Start {
    /// Of all boots of a bed.
    pub fn of(measured: &Measured<'_>) -> Self {
        let times = measured.boots.iter().filter_map(|boot| boot.first_call_ms);
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        Self {
            machines: measured.bed.name(),
            first_call_ms: median(&times),
            spread: [nearest(&times, 0.0), nearest(&times, 1.0)],
            n: times.len(),
        }
    }
}

impl Host {
    /// This one.
    pub fn of(context: &Context, kit: Option<&Kit>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            machine: host(),
            accelerator: context.accelerator.word().into(),
            linux: kit.and_then(|kit| kit.kernel().package().ok()),
            captured: context.capture.is_some(),
        }
    }
}

impl Report {
    /// Puts the parts together.
    pub fn new(
        host: Host,
        systems: &[&'static System],
        figures: Vec<Figure>,
        steps: Vec<Steps>,
        starts: Vec<Start>,
        qemu: Vec<String>,
    ) -> Self {
        let listed = systems.iter().map(|system| Listed {
            name: system.name,
            title: system.title,
            waits: system.waits,
        });
        let described = OPERATIONS.iter().map(|operation| Described {
            name: operation.name,
            title: operation.title,
            unit: operation.unit.word(),
        });
        Self {
            host,
            systems: listed.collect(),
            operations: described.collect(),
            shares: SHARES,
            targets: judge(&figures),
            steps: steps
                .into_iter()
                .map(|steps| steps.beside(&figures))
                .collect(),
            figures,
            starts,
            published: &PUBLISHED,
            qemu: distinct(qemu),
        }
    }

    /// As a file's text.
    ///
    /// # Errors
    /// None that a report can cause.
    pub fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// Whether somebody polls in it.
    pub fn polls(&self) -> bool {
        let mut systems = self.systems.iter();
        systems.any(|system| system.waits == Waits::Polling)
    }

    /// The figures of an operation, in the order of the systems.
    pub fn of_operation(&self, name: &str) -> impl Iterator<Item = &Figure> {
        self.figures
            .iter()
            .filter(move |figure| figure.operation == name)
    }
}
