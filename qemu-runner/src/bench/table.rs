//! What people read: the table of results, what lies behind the null call, the verdicts.
//!
//! Owns: layout and rounding for the eye.
//! Leaves to others: every number.
//! Why this way: plain aligned text on stdout goes into a README or a mail as it is.

use super::merge::{Detail, Row};
use super::report::Report;
use super::startup::Startup;
use super::targets::Target;
use std::fmt::Write;

/// The whole report as text.
pub fn text(report: &Report) -> String {
    let mut out = format!("norma {} on {}\n\n", report.version, report.host);
    if report.captured {
        out += "All frames were captured on the way, which costs time: ";
        out += "these are not the times of a direct link.\n\n";
    }
    if report.traced {
        out += "Every node noted its events, and noting them is in these numbers.\n\n";
    }
    results(&mut out, &report.results);
    if let Some(detail) = report.details.get("remote-null") {
        behind(&mut out, detail);
    }
    if let Some(startup) = &report.startup {
        start(&mut out, startup);
    }
    verdicts(&mut out, &report.targets);
    out
}

// Writing to a String cannot fail, so the results of `write!` are dropped throughout.

fn results(out: &mut String, rows: &[Row]) {
    let _ = writeln!(
        out,
        "{:<18}{:>8}{:>10}{:>10}{:>10}{:>7}  {:>8}{:>7}{:>6}{:>7}{:>7}{:>7}{:>10}",
        "name",
        "unit",
        "p50",
        "p99",
        "min",
        "ratio",
        "frames",
        "notif",
        "intr",
        "exits",
        "copies",
        "alloc",
        "instr"
    );
    for row in rows {
        let c = &row.counts;
        let _ = writeln!(
            out,
            "{:<18}{:>8}{:>10.2}{:>10.2}{:>10.2}{:>7.2}  {:>8.2}{:>7.2}{:>6.2}{:>7.2}{:>7.2}{:>7.2}{:>10.0}",
            row.name,
            row.unit,
            row.p50,
            row.p99,
            row.min,
            row.ratio_to_floor,
            c.frames,
            c.notifications,
            c.interrupts,
            c.exits,
            c.copies,
            c.allocations,
            c.instructions
        );
    }
    out.push_str(
        "\nratio: p50 to that of `floor`, for streams to that of `raw-stream`, for many ports to \
         that\nof `ports-1`, for calls on one node to that of `ipc-null`. Counts are per \
         operation,\nboth nodes together. For MB/s and calls/s p99 is what 99 % of the rounds \
         exceed.\n",
    );
}

fn behind(out: &mut String, detail: &Detail) {
    let _ = writeln!(
        out,
        "\nremote-null, per call: {:.0} instructions calling, {:.0} serving, {:.2} halts, {:.3} \
         timer programmings",
        detail.instructions_calling, detail.instructions_serving, detail.halts, detail.timer
    );
    let registers = detail
        .registers
        .iter()
        .filter(|(_, count)| **count >= 0.005);
    let registers: Vec<_> = registers
        .map(|(name, count)| format!("{name} {count:.2}"))
        .collect();
    let _ = writeln!(out, "device registers accessed: {}", registers.join(", "));
}

fn start(out: &mut String, startup: &Startup) {
    let boot = &startup.boot;
    let _ = writeln!(
        out,
        "\nQEMU's start to `norma: ready`: {:.1} ms; to the line of a kernel that only prints: \
         {:.1} ms ({} starts each)",
        boot.ready_ms, boot.least_ms, boot.n
    );
    for (name, bytes) in &startup.size.images {
        let _ = writeln!(
            out,
            "image {name}: {:.0} KiB stripped",
            *bytes as f64 / 1024.0
        );
    }
}

fn verdicts(out: &mut String, targets: &[Target]) {
    let _ = writeln!(
        out,
        "\n{:<52}{:>10}{:>12}  verdict",
        "to reach", "bar", "measured"
    );
    for target in targets {
        let value = target.value.map_or("-".to_owned(), number);
        let verdict = match target.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        let _ = writeln!(
            out,
            "{:<52}{:>10}{value:>12}  {verdict}",
            target.what, target.bar
        );
    }
}

/// Large numbers whole, small ones with three decimals.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
