//! The report as Markdown: tables that go into a README, a mail or a terminal as they are.
//!
//! Owns: layout and rounding for the eye.
//! Leaves to others: every number.

use super::figures::{Ratio, Spread};
use super::report::{Described, Report};
use super::steps::table;
use super::systems::Waits;
use std::fmt::Write;

// Writing to a String cannot fail, so the results of `write!` are dropped throughout.

/// Why who polls has no ratios.
pub const POLLING: &str = "norma and the floor wait asleep: norma has no way to poll in this \
    comparison. So systems that poll have no ratios; their times stand for orientation only.";

/// The whole report.
pub fn text(report: &Report) -> String {
    let mut out = String::from("# norma and its rivals\n\n");
    let host = &report.host;
    let _ = writeln!(
        out,
        "norma {} on {}; accelerator {}.",
        host.version, host.machine, host.accelerator
    );
    if let Some(linux) = &host.linux {
        let _ = writeln!(out, "Linux guests: {linux}.");
    }
    if host.captured {
        out.push_str("All frames were captured on the way: the times are not for publication.\n");
    }
    out.push_str(
        "\nEach figure is a median, with the least and the greatest of its stretches in brackets. \
         *To floor* and *to norma* are ratios of times (for rates the other way round): above 1, \
         the floor or norma is better. *Software* is (this - floor) / (norma - floor). A ratio is \
         the median of those within single repetitions; their least and greatest stand in brackets.\n",
    );
    if report.polls() {
        let _ = writeln!(out, "\n{POLLING}");
    }
    systems(&mut out, report);
    for operation in &report.operations {
        table(&mut out, report, operation);
    }
    steps(&mut out, report);
    counts(&mut out, report);
    starts(&mut out, report);
    targets(&mut out, report);
    published(&mut out, report);
    out
}

fn systems(out: &mut String, report: &Report) {
    out.push_str("\n| system | what it is | waits |\n| --- | --- | --- |\n");
    for system in &report.systems {
        let waits = match system.waits {
            Waits::Blocking => "blocking",
            Waits::Polling => "polling",
        };
        let _ = writeln!(out, "| {} | {} | {waits} |", system.name, system.title);
    }
}

fn table(out: &mut String, report: &Report, operation: &Described) {
    if report.of_operation(operation.name).next().is_none() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## {}: {} ({})\n",
        operation.name, operation.title, operation.unit
    );
    let calls = operation.unit == "us";
    out.push_str(if calls {
        "| system | p50 | p99 | p99.9 | MB/s | to floor | to norma | software |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    } else {
        "| system | figure | to floor | to norma |\n| --- | ---: | ---: | ---: |\n"
    });
    for figure in report.of_operation(operation.name) {
        let name = figure.system;
        let value = format!("{} {}", number(figure.value), spread(figure.spread));
        let (floor, norma) = (ratio(figure.ratio_to_floor), ratio(figure.ratio_to_norma));
        let _ = if calls {
            writeln!(
                out,
                "| {name} | {value} | {} | {} | {} | {floor} | {norma} | {} |",
                optional(figure.p99),
                optional(figure.p999),
                optional(figure.mb_per_s),
                ratio(figure.software_ratio)
            )
        } else {
            writeln!(out, "| {name} | {value} | {floor} | {norma} |")
        };
    }
}

fn steps(out: &mut String, report: &Report) {
    if report.steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {}\n\n{}\n", table::TITLE, table::NOTE);
    for (place, row) in table::rows(&report.steps).iter().enumerate() {
        let _ = writeln!(out, "| {} |", row.join(" | "));
        if place == 0 {
            let _ = writeln!(out, "| --- |{}", " ---: |".repeat(row.len() - 1));
        }
    }
}

fn counts(out: &mut String, report: &Report) {
    let counted = report
        .figures
        .iter()
        .filter_map(|f| Some((f, f.counts.as_ref()?)));
    let mut counted = counted.peekable();
    if counted.peek().is_none() {
        return;
    }
    out.push_str(
        "\n## Guest instructions per operation, both nodes\n\n\
         | system | operation | instructions | calling | serving | exits | system calls | CR3 |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (figure, c) in counted {
        let _ = writeln!(
            out,
            "| {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} |",
            figure.system,
            figure.operation,
            c.instructions,
            c.instructions_calling,
            c.instructions_serving,
            c.exits,
            c.system_calls,
            c.address_spaces
        );
    }
}

fn starts(out: &mut String, report: &Report) {
    out.push_str(
        "\n## From QEMU's start to the first call that was answered\n\n\
         | machines | ms | boots |\n| --- | ---: | ---: |\n",
    );
    for start in &report.starts {
        let time = format!("{} {}", number(start.first_call_ms), spread(start.spread));
        let _ = writeln!(out, "| {} | {time} | {} |", start.machines, start.n);
    }
}

fn targets(out: &mut String, report: &Report) {
    out.push_str(
        "\n## To reach\n\n| what | bar | measured | | published |\n\
         | --- | ---: | ---: | --- | --- |\n",
    );
    for target in &report.targets {
        let verdict = match (target.met, target.verdict()) {
            (Some(false), word) => format!("**{word}**"),
            (_, word) => word.into(),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {verdict} | {} |",
            target.what,
            target.bar.words(),
            optional(target.value),
            target.published.unwrap_or_default()
        );
    }
}

fn published(out: &mut String, report: &Report) {
    out.push_str(
        "\n## What was published\n\nOther machines, other times: only ratios compare.\n\n\
         | what | figure | on what | source |\n| --- | --- | --- | --- |\n",
    );
    for p in report.published {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            p.what, p.figure, p.conditions, p.source
        );
    }
}

/// Three digits that say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The same, where there is one.
pub fn optional(value: Option<f64>) -> String {
    value.map_or("-".into(), number)
}

fn spread([least, greatest]: Spread) -> String {
    format!("({} to {})", number(least), number(greatest))
}

fn ratio(ratio: Option<Ratio>) -> String {
    ratio.map_or("-".into(), |r| {
        format!("{} {}", number(r.value), spread(r.spread))
    })
}
