//! From QEMU's start to a ready node; image sizes; the least memory.
//!
//! Owns: these three measurements.
//! Leaves to others: building images and starting machines.
//! Why this way: start-up is compared with a kernel that only prints and exits, under the same
//! QEMU options and in turns with it, because most of the time is QEMU's own and drifts with
//! the host.

use super::campaign::{self, Campaign, ended};
use super::items::{Suite, select};
use super::least;
use super::merge::nearest;
use crate::images::{Images, stripped};
use crate::run::{Event, NodePlan, Outcome, Plan, Run};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one start may take before it counts as failed.
const START: Duration = Duration::from_secs(30);
/// The memory with which a pair must boot and serve, in MiB.
const LEAST_MEMORY: u32 = 16;

/// How a node comes up, and what it takes.
#[derive(Clone, Debug, Serialize)]
pub struct Startup {
    /// Times of start.
    pub boot: Boot,
    /// Sizes.
    pub size: Size,
}

/// Medians over repeated starts, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boot {
    /// QEMU's start to the line `norma: ready`.
    pub ready_ms: f64,
    /// QEMU's start to the line of a kernel that only prints and exits.
    pub least_ms: f64,
    /// The first divided by the second.
    pub ratio: f64,
    /// How often each was started.
    pub n: usize,
}

/// What a node takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Bytes of each image without symbols.
    pub images: BTreeMap<String, u64>,
    /// Whether a pair with 16 MiB each booted and answered calls.
    pub serves_with_16_mib: bool,
}

impl Boot {
    /// The medians of two series of milliseconds. Neither may be empty.
    pub fn of(mut ready: Vec<f64>, mut least: Vec<f64>) -> Self {
        let n = ready.len().min(least.len());
        let middle = |series: &mut Vec<f64>| {
            series.sort_by(f64::total_cmp);
            nearest(series, 0.5)
        };
        let (ready_ms, least_ms) = (middle(&mut ready), middle(&mut least));
        Self {
            ready_ms,
            least_ms,
            ratio: ready_ms / least_ms,
            n,
        }
    }
}

/// The plan of one start: a node with one network device, and nobody else.
pub fn start_plan(campaign: &Campaign<'_>, image: &Path) -> Plan {
    let node = NodePlan::new("a", image)
        .machine(campaign.context.machine)
        .argument("bench=");
    let node = match campaign::processors() {
        1 => node,
        // As in the timing pass; the runner is left the other.
        _ => node.pin(1),
    };
    Plan::together(vec![node])
        .accelerator(campaign.context.accelerator)
        .quiet(true)
}

/// Measures all of it; `starts` is how often each image is started.
///
/// # Errors
/// An image that does not start, or none of that name.
pub fn measure(campaign: &Campaign<'_>, images: &Images, starts: usize) -> Result<Startup> {
    campaign
        .context
        .ui
        .progress(&format!("start-up: {starts} starts each, in turns"));
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let write = |name: &str, elf: &[u8]| -> Result<PathBuf> {
        let path = folder.path().join(name);
        std::fs::write(&path, elf).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let elf = std::fs::read(&images.get("bench")?.elf).context("cannot read the image")?;
    let least = start_plan(campaign, &write("least", &least::elf())?);
    let node = start_plan(campaign, &write("bench", &stripped(&elf))?);
    let (mut least_ms, mut ready_ms) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        least_ms.push(start(campaign, &least, least::LINE)?);
        ready_ms.push(start(campaign, &node, "norma: ready")?);
    }
    let sizes = images
        .iter()
        .map(|image| (image.name.clone(), image.stripped_bytes));
    let size = Size {
        images: sizes.collect(),
        serves_with_16_mib: serves(campaign)?,
    };
    Ok(Startup {
        boot: Boot::of(ready_ms, least_ms),
        size,
    })
}

/// Milliseconds from QEMU's start to the first line that begins with `line`.
fn start(campaign: &Campaign<'_>, plan: &Plan, line: &str) -> Result<f64> {
    let mut run = plan.start(&campaign.context.ui).map_err(ended)?;
    let found = first_line(&mut run, line);
    found.map_err(|error| error.context(run.failure_reports()))
}

/// When the line came; the node must also end well.
fn first_line(run: &mut Run, line: &str) -> Result<f64> {
    let deadline = Instant::now() + START;
    let mut found = None;
    loop {
        match run.next(deadline).map_err(ended)? {
            Event::Line { text, at, .. } => {
                if found.is_none() && text.starts_with(line) {
                    found = Some(at.as_secs_f64() * 1000.0);
                }
            }
            Event::Exit { outcome, .. } => {
                ensure!(
                    outcome == Outcome::Pass,
                    "the node {outcome} after its start"
                );
                return found.with_context(|| format!("the node printed no line `{line}`"));
            }
        }
    }
}

/// Does a pair with the least memory answer small and large calls?
fn serves(campaign: &Campaign<'_>) -> Result<bool> {
    campaign.context.ui.progress(&format!(
        "least memory: a pair with {LEAST_MEMORY} MiB each"
    ));
    let names = ["remote-null", "remote-64k"].map(str::to_owned);
    let items = select(Suite::Net, &names, true).map_err(|text| anyhow!(text))?;
    let small = Campaign {
        items,
        memory: LEAST_MEMORY,
        rounds: 1,
        boots: 1,
        ..campaign.clone()
    };
    match small.time() {
        Ok(_) => Ok(true),
        Err(error) if crate::signals::interrupted() => Err(error),
        Err(error) => {
            campaign
                .context
                .ui
                .warn(&format!("with {LEAST_MEMORY} MiB: {error:#}"));
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared() {
        let boot = Boot::of(vec![50.0, 36.0, 39.0], vec![30.0, 31.0, 90.0]);
        assert_eq!((boot.ready_ms, boot.least_ms, boot.n), (39.0, 31.0, 3));
        assert!((boot.ratio - 39.0 / 31.0).abs() < 1e-9);
    }
}
