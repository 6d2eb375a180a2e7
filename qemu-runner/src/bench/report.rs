//! The report as `--json` writes it.
//!
//! Owns: the shape of the file, facts about the host.
//! Leaves to others: the numbers in it, and what people read (`table`).
//! Why this way: `version`, `host`, `accelerator`, `qemu` and `results` are an interface that
//! other programs and later benchmarks rely on; what else is known stands beside them and may
//! change.

use super::items::Suite;
use super::merge::{Detail, Measured, Row};
use super::startup::Startup;
use super::targets::Target;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that one run of the benchmarks found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of norma.
    pub version: String,
    /// The machine that it was measured on.
    pub host: String,
    /// The accelerator of the timing pass; the counting pass always takes the emulator.
    pub accelerator: String,
    /// Every QEMU command line used, once each.
    pub qemu: Vec<String>,
    /// Frames were led through the runner's switch and written to a file: times are not those of
    /// a direct link.
    pub captured: bool,
    /// Images were built to note their events: calls cost that much more.
    pub traced: bool,
    /// One entry per benchmark.
    pub results: Vec<Row>,
    /// More per benchmark, by name.
    pub details: BTreeMap<String, Detail>,
    /// Start, image sizes and least memory.
    pub startup: Option<Startup>,
    /// The figures to reach, judged.
    pub targets: Vec<Target>,
}

impl Report {
    /// Puts the parts together.
    pub fn new(
        suite: Suite,
        accelerator: &str,
        qemu: Vec<String>,
        measured: Vec<Measured>,
        startup: Option<Startup>,
        captured: bool,
    ) -> Self {
        let targets = super::targets::judge(suite, &measured, startup.as_ref());
        let details = measured
            .iter()
            .map(|m| (m.row.name.clone(), m.detail.clone()));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host(),
            accelerator: accelerator.to_owned(),
            qemu: distinct(qemu),
            captured,
            traced: false,
            details: details.collect(),
            results: measured.into_iter().map(|m| m.row).collect(),
            startup,
            targets,
        }
    }

    /// Whether images noted their events.
    #[must_use]
    pub fn traced(self, traced: bool) -> Self {
        Self { traced, ..self }
    }

    /// Writes the report to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Keeps the first of equal lines: a campaign starts the same machines many times.
pub(crate) fn distinct(lines: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if !kept.contains(&line) {
            kept.push(line);
        }
    }
    kept
}

/// The host in one line: processor, how many, kernel, QEMU.
pub(crate) fn host() -> String {
    let processors = super::campaign::processors();
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let qemu = std::process::Command::new(crate::qemu::PROGRAM)
        .arg("--version")
        .output();
    let qemu = qemu
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    let qemu = qemu.lines().next().unwrap_or("unknown QEMU");
    format!(
        "{model}, {processors} processors, Linux {}, {qemu}",
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_command_lines_are_kept_once() {
        let lines = ["a", "b", "a"].map(str::to_owned).to_vec();
        assert_eq!(distinct(lines), ["a", "b"]);
    }
}
