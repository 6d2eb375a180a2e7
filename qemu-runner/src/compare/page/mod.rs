//! The report as one page that needs nothing but itself.
//!
//! Owns: which plots and tables stand on it, in which order.
//! Leaves to others: drawing (`plot`), tables (`tables`), every number (`report`).
//! Why this way: a page that is sent to somebody has to be whole: no script, nothing from a
//! network (its own policy forbids both), readable on a phone, on a wide screen, in the dark and
//! on paper.

pub mod browser;
mod plot;
mod steps;
mod tables;

use super::figures::Figure;
use super::markdown::{POLLING, number};
use super::operations::{Unit, operation};
use super::report::Report;
use super::systems::{FLOOR, Waits};
use plot::{Bar, Line, Style};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// Operations of growing size, in the order of the axis.
const SIZES: [&str; 6] = ["null", "64", "1k", "4k", "64k", "1m"];
/// Operations of growing numbers of callers.
const CROWDS: [&str; 3] = ["callers-4", "callers-16", "callers-64"];

// Writing to a String cannot fail, so the results of `write!` are dropped throughout.

/// The whole page.
pub fn html(report: &Report) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>norma and its rivals</title>\n",
    );
    let _ = write!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n");
    head(&mut out, report);
    tables::targets(&mut out, report);
    out.push_str("<section class=plots>\n");
    for (title, plot, keys) in plots(report) {
        if !plot.is_empty() {
            figure(&mut out, title, &plot, &keys);
        }
    }
    out.push_str("</section>\n");
    for described in &report.operations {
        tables::table(&mut out, report, described.name);
    }
    tables::steps(&mut out, report);
    tables::counts(&mut out, report);
    tables::published(&mut out, report);
    tables::commands(&mut out, report);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Text that is no markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

fn head(out: &mut String, report: &Report) {
    let host = &report.host;
    let _ = writeln!(
        out,
        "<h1>norma and its rivals</h1>\n<p>The same operations, on the same emulator, link and \
         processors, in one run, in turns. norma {} on {}; accelerator {}{}.</p>",
        escape(&host.version),
        escape(&host.machine),
        escape(&host.accelerator),
        host.linux.as_ref().map_or(String::new(), |linux| format!(
            "; Linux guests: {}",
            escape(linux)
        ))
    );
    if host.captured {
        out.push_str("<p><strong>All frames were captured on the way: the times are not for publication.</strong></p>\n");
    }
    out.push_str("<dl class=systems>\n");
    for system in &report.systems {
        let waits = if system.waits == Waits::Polling {
            ", polling"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<div>{}<dt>{}</dt><dd>{}{waits}</dd></div>",
            swatch(style(report, system.name)),
            escape(system.name),
            escape(system.title)
        );
    }
    out.push_str("</dl>\n");
    if report.polls() {
        let _ = writeln!(out, "<p>{}</p>", escape(POLLING));
    }
}

/// A rival that polls has the colour of the one that blocks, and is drawn in dashes.
fn style(report: &Report, system: &str) -> Style {
    let base = system.trim_end_matches("-polling");
    let bases = report.systems.iter().map(|listed| listed.name);
    let bases = bases.filter(|name| !name.ends_with("-polling"));
    Style {
        colour: bases.take_while(|name| *name != base).count(),
        dashed: base != system,
    }
}

fn swatch(style: Style) -> String {
    let dashed = if style.dashed { " dashed" } else { "" };
    format!(
        "<svg class=swatch viewBox=\"0 0 24 12\" aria-hidden=true><line class=\"line c{}{dashed}\" \
         x1=0 x2=24 y1=6 y2=6 /><g class=\"mark c{}\">{}</g></svg>",
        style.colour,
        style.colour,
        plot::mark(style, 12.0, 6.0)
    )
}

/// Title and note, drawing, and what its colours mean, as markup.
type Plot = ((&'static str, &'static str), String, Vec<String>);

/// All plots, in their order.
fn plots(report: &Report) -> Vec<Plot> {
    vec![
        by_place(
            report,
            (
                "Time of a call by size",
                "median, us; logarithmic; less is better",
            ),
            &SIZES,
        ),
        distribution(report),
        by_place(
            report,
            (
                "Calls of many callers",
                "calls per second; logarithmic; more is better",
            ),
            &CROWDS,
        ),
        rates(
            report,
            "Throughput of a stream of 1 MiB",
            "MB/s; more is better",
            "stream-1m",
        ),
        rates(
            report,
            "Throughput of calls with 1 MiB",
            "MB/s, with an answer each; more is better",
            "1m",
        ),
        parts(report),
        steps::plot(report),
        instructions(report),
    ]
}

fn figure_of<'a>(report: &'a Report, system: &str, operation: &str) -> Option<&'a Figure> {
    report
        .of_operation(operation)
        .find(|figure| figure.system == system)
}

/// Lines over operations.
fn by_place(report: &Report, title: (&'static str, &'static str), places: &[&str]) -> Plot {
    let line = |system: &'static str| {
        let value = |place: &&str| figure_of(report, system, place).map(|figure| figure.value);
        let values: Vec<_> = places.iter().map(value).collect();
        // A single point is no line; the floor's is drawn as a bar below.
        let several = values.iter().flatten().count() > 1;
        several.then_some((system, values))
    };
    let unit = places
        .first()
        .and_then(|name| operation(name))
        .map_or("", |o| o.unit.word());
    let names: Vec<_> = places
        .iter()
        .map(|name| name.trim_start_matches("callers-").to_owned())
        .collect();
    draw(
        report,
        title,
        &names,
        unit,
        report.systems.iter().filter_map(|s| line(s.name)).collect(),
    )
}

fn draw(
    report: &Report,
    title: (&'static str, &'static str),
    places: &[String],
    unit: &str,
    values: Vec<(&'static str, Vec<Option<f64>>)>,
) -> Plot {
    let keys = values.iter().map(|(system, _)| {
        let swatch = swatch(style(report, system));
        format!("{swatch}{}", escape(system))
    });
    let keys = keys.collect();
    let lines = values.into_iter().map(|(system, values)| Line {
        name: system.into(),
        style: style(report, system),
        values,
    });
    let lines: Vec<_> = lines.collect();
    (title, plot::lines(title.0, places, unit, &lines), keys)
}

/// How the times of empty calls are distributed.
fn distribution(report: &Report) -> Plot {
    let shown = [0, 10, 100, 250, 500, 750, 900, 990, 999, 1000];
    let places = shown.map(|share| match share {
        0 => "min".to_owned(),
        1000 => "max".to_owned(),
        other => format!("{}", f64::from(other) / 10.0),
    });
    let line = |figure: &Figure| {
        let at = |share: &i32| {
            let place = report
                .shares
                .iter()
                .position(|known| *known as i32 == *share);
            place.and_then(|place| figure.dist.get(place).copied())
        };
        (figure.system, shown.iter().map(at).collect())
    };
    let title = (
        "How long empty calls take",
        "time, us, below which so many percent of the calls stayed; logarithmic",
    );
    draw(
        report,
        title,
        &places,
        "us",
        report.of_operation("null").map(line).collect(),
    )
}

/// Bars of megabytes per second.
fn rates(report: &Report, title: &'static str, note: &'static str, operation: &str) -> Plot {
    let bars = report.of_operation(operation).filter_map(|figure| {
        let rate = if figure.unit == Unit::Megabytes.word() {
            Some(figure.value)
        } else {
            figure.mb_per_s
        };
        rate.map(|rate| bar(report, figure, vec![rate], format!("{} MB/s", number(rate))))
    });
    (
        (title, note),
        plot::bars(title, &bars.collect::<Vec<_>>()),
        Vec::new(),
    )
}

fn bar(report: &Report, figure: &Figure, parts: Vec<f64>, label: String) -> Bar {
    let colour = style(report, figure.system).colour;
    let parts = parts.into_iter().enumerate();
    let class = |place| {
        if place == 0 {
            format!("c{colour}")
        } else {
            format!("c{colour} second")
        }
    };
    Bar {
        name: figure.system.into(),
        label,
        parts: parts.map(|(place, part)| (part, class(place))).collect(),
    }
}

/// What of an empty call is the link, and what is software.
fn parts(report: &Report) -> Plot {
    let title = (
        "The link, and the software on it",
        "an empty call: grey is what a bare frame costs there and back, the rest is software; us",
    );
    let Some(floor) = figure_of(report, FLOOR, "null") else {
        return (title, String::new(), Vec::new());
    };
    // The floor waits asleep, so it is no part of what who polls takes.
    let alike = |figure: &&Figure| figure.waits == floor.waits;
    let bars = report.of_operation("null").filter(alike).map(|figure| {
        let software = figure.value - floor.value;
        let mut bar = bar(report, figure, vec![software], number(figure.value));
        bar.parts
            .insert(0, (floor.value.min(figure.value), "link".into()));
        bar
    });
    (
        title,
        plot::bars(title.0, &bars.collect::<Vec<_>>()),
        Vec::new(),
    )
}

/// Guest instructions of an empty call.
fn instructions(report: &Report) -> Plot {
    let title = (
        "Guest instructions of an empty call",
        "the calling machine's, then, paler, the serving one's",
    );
    let bars = report.of_operation("null").filter_map(|figure| {
        let counts = figure.counts.as_ref()?;
        let parts = vec![counts.instructions_calling, counts.instructions_serving];
        Some(bar(report, figure, parts, number(counts.instructions)))
    });
    (
        title,
        plot::bars(title.0, &bars.collect::<Vec<_>>()),
        Vec::new(),
    )
}

fn figure(out: &mut String, (title, note): (&str, &str), plot: &str, keys: &[String]) {
    let _ = write!(
        out,
        "<figure>\n<figcaption><h2>{title}</h2><p>{note}</p></figcaption>\n{plot}\n"
    );
    if !keys.is_empty() {
        out.push_str("<ul class=keys>");
        for key in keys {
            let _ = write!(out, "<li>{key}</li>");
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</figure>\n");
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let page = html(&made_up(&[]));
        for word in [
            "<script", "http:", "https:", "src=", "url(", "@import", "<link",
        ] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn what_is_no_markup_is_written_so() {
        let page = html(&made_up(&[]));
        assert!(page.contains("a made-up host &lt;&amp;&gt;"));
        assert!(!page.contains("<&>"));
    }

    #[test]
    fn every_plot_is_drawn_and_every_figure_is_in_a_table() {
        let report = made_up(&[]);
        let page = html(&report);
        assert_eq!(page.matches("<figure>").count(), 8);
        for figure in &report.figures {
            let cell = format!(
                "<th scope=row>{}</th><td>{}",
                figure.system,
                number(figure.value)
            );
            assert!(page.contains(&cell), "{cell}");
        }
        // One rival alone leaves out what it cannot do, and no plot is empty.
        let page = html(&made_up(&["linux-unix"]));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn who_polls_has_the_colour_of_who_blocks_and_other_lines() {
        let report = made_up(&[]);
        let (one, other) = (
            style(&report, "linux-udp"),
            style(&report, "linux-udp-polling"),
        );
        assert_eq!((one.colour, one.dashed), (other.colour, !other.dashed));
        let mut bases: Vec<_> = report
            .systems
            .iter()
            .map(|s| style(&report, s.name))
            .collect();
        bases.sort_by_key(|style| (style.colour, style.dashed));
        bases.dedup();
        assert_eq!(bases.len(), report.systems.len());
        // As many as the style sheet has.
        let last = bases.iter().map(|style| style.colour).max().unwrap();
        assert!(STYLE.contains(&format!("--c{last}:")), "no colour {last}");
    }
}
