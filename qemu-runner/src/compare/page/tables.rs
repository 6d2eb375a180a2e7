//! The page's tables and lists.
//!
//! Owns: which columns stand in them.
//! Leaves to others: every number (`report`), plots (`plot`).

use super::escape;
use crate::compare::figures::Ratio;
use crate::compare::markdown::{number, optional};
use crate::compare::operations::{Unit, operation};
use crate::compare::report::Report;
use crate::compare::steps::table as steps;
use std::fmt::Write;

// Writing to a String cannot fail, so the results of `write!` are dropped throughout.

/// The figures to reach.
pub fn targets(out: &mut String, report: &Report) {
    out.push_str("<h2>To reach</h2>\n");
    let rows = report.targets.iter().map(|target| {
        [
            target.what.clone(),
            target.bar.words(),
            optional(target.value),
            target.verdict().into(),
            target.published.unwrap_or_default().into(),
        ]
    });
    rows_of(out, ["what", "bar", "measured", "", "published"], rows);
}

/// The figures of an operation.
pub fn table(out: &mut String, report: &Report, name: &str) {
    let Some(operation) = operation(name) else {
        return;
    };
    if report.of_operation(name).next().is_none() {
        return;
    }
    let _ = writeln!(
        out,
        "<h2>{}: {} ({})</h2>",
        escape(name),
        escape(operation.title),
        operation.unit.word()
    );
    let spread = |[least, most]: [f64; 2]| format!("{} to {}", number(least), number(most));
    let ratio = |ratio: Option<Ratio>| {
        ratio.map_or("-".into(), |r| {
            format!("{} ({})", number(r.value), spread(r.spread))
        })
    };
    if operation.unit == Unit::Microseconds {
        let rows = report.of_operation(name).map(|f| {
            [
                f.system.into(),
                number(f.value),
                spread(f.spread),
                optional(f.p99),
                optional(f.p999),
                optional(f.mb_per_s),
                ratio(f.ratio_to_floor),
                ratio(f.ratio_to_norma),
                ratio(f.software_ratio),
            ]
        });
        let heads = [
            "system", "p50", "spread", "p99", "p99.9", "MB/s", "to floor", "to norma", "software",
        ];
        rows_of(out, heads, rows);
    } else {
        let rows = report.of_operation(name).map(|f| {
            [
                f.system.into(),
                number(f.value),
                spread(f.spread),
                ratio(f.ratio_to_floor),
                ratio(f.ratio_to_norma),
            ]
        });
        rows_of(
            out,
            ["system", "figure", "spread", "to floor", "to norma"],
            rows,
        );
    }
}

/// Where the time of an empty call goes.
pub fn steps(out: &mut String, report: &Report) {
    if report.steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>{}</h2>\n<p>{}</p>", steps::TITLE, steps::NOTE);
    let rows = steps::rows(&report.steps);
    if let [heads, rows @ ..] = &rows[..] {
        table_of(out, heads, rows.iter().map(Vec::as_slice));
    }
}

/// What is counted, and how long machines take to their first call.
pub fn counts(out: &mut String, report: &Report) {
    let counted = report
        .figures
        .iter()
        .filter_map(|f| Some((f, f.counts.as_ref()?)));
    let rows: Vec<_> = counted
        .map(|(f, c)| {
            let two = |value: f64| format!("{value:.2}");
            [
                f.system.into(),
                f.operation.into(),
                format!("{:.0}", c.instructions),
                two(c.exits),
                two(c.system_calls),
                two(c.address_spaces),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str("<h2>Guest instructions per operation, both nodes</h2>\n");
        let heads = [
            "system",
            "operation",
            "instructions",
            "exits",
            "system calls",
            "CR3",
        ];
        rows_of(out, heads, rows.into_iter());
    }
    out.push_str("<h2>From QEMU's start to the first call that was answered</h2>\n");
    let rows = report.starts.iter().map(|start| {
        let [least, most] = start.spread.map(number);
        [
            start.machines.clone(),
            number(start.first_call_ms),
            format!("{least} to {most}"),
            start.n.to_string(),
        ]
    });
    rows_of(out, ["machines", "ms", "spread", "boots"], rows);
}

/// What others have published.
pub fn published(out: &mut String, report: &Report) {
    out.push_str("<h2>What was published</h2>\n<p>Other machines, other times: only ratios compare.</p>\n<ul class=published>\n");
    for p in report.published {
        let _ = writeln!(
            out,
            "<li><strong>{}</strong>: {} <small>({}; {})</small></li>",
            escape(p.figure),
            escape(p.what),
            escape(p.conditions),
            escape(p.source)
        );
    }
    out.push_str("</ul>\n");
}

/// How to start the same machines.
pub fn commands(out: &mut String, report: &Report) {
    out.push_str("<details>\n<summary>QEMU's command lines</summary>\n");
    for line in &report.qemu {
        let _ = writeln!(out, "<pre>{}</pre>", escape(line));
    }
    out.push_str("</details>\n");
}

/// A table. The first column names, the others are numbers. A wide one is moved sideways by
/// itself, and not the page.
fn rows_of<const N: usize>(
    out: &mut String,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let rows: Vec<_> = rows.collect();
    table_of(out, &heads, rows.iter().map(<[String; N]>::as_slice));
}

/// The same, of any width.
fn table_of<'a>(
    out: &mut String,
    heads: &[impl AsRef<str>],
    rows: impl Iterator<Item = &'a [String]>,
) {
    out.push_str("<div class=wide tabindex=0><table>\n<thead><tr>");
    for head in heads {
        let _ = write!(out, "<th scope=col>{}</th>", escape(head.as_ref()));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = match place {
                0 => write!(out, "<th scope=row>{cell}</th>"),
                _ => write!(out, "<td>{cell}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}
