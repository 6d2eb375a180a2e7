//! `cargo norma bench compare`: norma beside what else could carry the same messages.
//!
//! Owns: the command, the order of its passes.
//! Leaves to others: what is compared (`systems`), on what (`bed`), one boot (`boot`), what
//! follows from all of them (`figures`, `targets`), what is written (`report`, `markdown`, `page`).
//! Why this way: every system runs on the same QEMU, the same link and the same processors, and
//! all of them in turns; a rival is what a good engineer would build and tune, or its figure is
//! worth nothing. `docs/benchmarks.md` tells what each number is and how far it can be trusted.

mod bed;
mod boot;
mod figures;
mod history;
mod markdown;
mod operations;
mod page;
mod report;
mod steps;
mod systems;
mod targets;

#[cfg(test)]
mod tests;

use crate::bench::{BenchArgs, campaign};
use crate::context::Context;
use crate::images;
use crate::linux::Kit;
use crate::programs;
use crate::status::{Ended, Status};
use crate::trace::Trace;
use anyhow::{Context as _, Result};
use bed::{Bed, Material, Pass, beds};
use boot::{Boot, Counted};
use figures::{Measured, figures};
use report::{Host, Report, Start};
use std::path::Path;
use systems::{FLOOR, NORMA, SYSTEMS, System};

/// Boots of each pair in the timing pass, rounds in each: full run.
const FULL: (usize, usize) = (5, 2);
/// The same in a quick run; two, so that there is a spread.
const QUICK: (usize, usize) = (2, 1);

/// Runs the comparison, prints it as Markdown and writes the files.
///
/// # Errors
/// Something that a part of the comparison needs is missing, a guest fails, a number is missing,
/// a file cannot be written.
pub fn run(context: &Context, args: &BenchArgs) -> Result<Status> {
    if let Some(page) = &args.check_page {
        return check_page(context, page, args.pictures.as_deref());
    }
    let chosen = select(&args.only).map_err(Ended::usage)?;
    let (boots, rounds) = if args.quick { QUICK } else { FULL };
    let beds = beds(chosen.iter().copied(), args.quick);
    let linux = beds.iter().any(Bed::is_linux);
    let images = if context.dry_run {
        images::built(&context.workspace)?
    } else {
        images::build(context)?
    };
    let needed = beds.iter().any(Bed::needs_programs);
    let programs = match needed && !context.dry_run {
        true => programs::build(context)?,
        false => programs::archive(&context.workspace),
    };
    let kit = match (linux, context.dry_run) {
        (false, _) => None,
        (true, true) => Some(Kit::expected(context)),
        (true, false) => Some(Kit::prepare(context).with_context(without_linux)?),
    };
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let dry_folder = Path::new("TEMPORARY");
    let material = Material {
        context,
        images: &images,
        programs: &programs,
        kit: kit.as_ref(),
        folder: if context.dry_run {
            dry_folder
        } else {
            temporary.path()
        },
    };
    let plugin = campaign::plugin_path(context);
    if context.dry_run {
        let lines = command_lines(&beds, &material, &plugin, rounds)?;
        lines.iter().for_each(|line| println!("{line}"));
        return Ok(Status::Pass);
    }
    campaign::build_plugin(context)?;
    // The shortest pass is the first, and needs all that has to be built.
    let steps = steps::measure(&beds, &material, &plugin)?;
    let boots = time(&beds, &material, &plugin, boots, rounds)?;
    let counted = count(&beds, &material, &plugin)?;
    let measured = beds.iter().zip(&boots).zip(&counted);
    let measured = measured.map(|((bed, boots), counted)| Measured {
        bed,
        boots,
        counted,
    });
    let measured: Vec<_> = measured.collect();
    let report = Report::new(
        Host::of(context, kit.as_ref()),
        &chosen,
        figures(&measured),
        steps,
        measured
            .iter()
            .map(|measured| Start::of(measured))
            .collect(),
        // Of a folder that is made anew for each run the name would say nothing.
        command_lines(
            &beds,
            &Material {
                folder: dry_folder,
                ..material
            },
            &plugin,
            rounds,
        )?,
    );
    write(context, args, &report)?;
    Ok(Status::Pass)
}

/// Opens a page that was written before in a browser.
fn check_page(context: &Context, page: &Path, pictures: Option<&Path>) -> Result<Status> {
    page::browser::check(page, pictures)?;
    let text = format!("{}: all is well in the browser", page.display());
    context.ui.progress(&text);
    Ok(Status::Pass)
}

/// The systems of these names, and those that all others are compared with.
fn select(only: &[String]) -> Result<Vec<&'static System>, String> {
    if let Some(unknown) = only.iter().find(|name| systems::system(name).is_none()) {
        let names: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
        return Err(format!(
            "no system `{unknown}`; there are {}",
            names.join(", ")
        ));
    }
    let wanted = |system: &&System| {
        let base = [FLOOR, NORMA].contains(&system.name);
        base || only.is_empty() || only.iter().any(|name| name == system.name)
    };
    Ok(SYSTEMS.iter().filter(wanted).collect())
}

/// What can be measured where no Linux guest can be made.
fn without_linux() -> String {
    let others = SYSTEMS.iter().filter(|system| !system.runs.is_linux());
    let others = others.filter(|system| ![FLOOR, NORMA].contains(&system.name));
    let names: Vec<_> = others.map(|system| system.name).collect();
    format!(
        "no Linux guests, and so nothing was measured; without them \
         `cargo norma bench compare --only {}` compares the rest",
        names.join(",")
    )
}

/// The timing pass: for each bed its boots, all beds in turns.
fn time(
    beds: &[Bed],
    material: &Material<'_>,
    plugin: &Path,
    boots: usize,
    rounds: usize,
) -> Result<Vec<Vec<Boot>>> {
    let mut all: Vec<Vec<Boot>> = beds.iter().map(|_| Vec::new()).collect();
    for repetition in 1..=boots {
        for (bed, boots_of_bed) in beds.iter().zip(&mut all) {
            let name = bed.name();
            let ui = material.context.ui;
            ui.progress(&format!("timing: {name}, boot {repetition} of {boots}"));
            boots_of_bed.push(boot::run(bed, material, Pass::Timing(rounds), plugin)?);
        }
    }
    Ok(all)
}

/// The counting pass, of each bed.
fn count(beds: &[Bed], material: &Material<'_>, plugin: &Path) -> Result<Vec<Counted>> {
    let each = beds.iter().map(|bed| {
        if bed.tasks(Pass::Counting).is_empty() {
            return Ok(Counted::default());
        }
        let text = format!(
            "counting: {}, under the plugin, several times slower",
            bed.name()
        );
        material.context.ui.progress(&text);
        boot::count(bed, material, plugin)
    });
    each.collect()
}

/// Every QEMU command of a run, once each.
fn command_lines(
    beds: &[Bed],
    material: &Material<'_>,
    plugin: &Path,
    rounds: usize,
) -> Result<Vec<String>> {
    // Nothing is written for a command that is only shown.
    let context = crate::Context {
        dry_run: true,
        ..material.context.clone()
    };
    let material = Material {
        context: &context,
        ..*material
    };
    let traced = images::built_traced(&context.workspace)?;
    let traced_context = steps::traced(&context, &Trace::gather());
    let mut lines = Vec::new();
    for bed in beds {
        for pass in [Pass::Timing(rounds), Pass::Counting, Pass::Steps] {
            let material = match pass {
                Pass::Steps => Material {
                    context: &traced_context,
                    images: &traced,
                    ..material
                },
                Pass::Timing(_) | Pass::Counting => Material { ..material },
            };
            if !bed.tasks(pass).is_empty() {
                lines.extend(boot::plan(bed, &material, pass, plugin)?.command_lines());
            }
        }
    }
    Ok(lines)
}

/// Prints and writes what was asked for.
fn write(context: &Context, args: &BenchArgs, report: &Report) -> Result<()> {
    let markdown = markdown::text(report);
    println!("{markdown}");
    let files = [
        (&args.json, report.json()?),
        (&args.markdown, markdown),
        (&args.html, page::html(report)),
    ];
    for (path, text) in files {
        if let Some(path) = path {
            std::fs::write(path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            context.ui.progress(&format!("wrote {}", path.display()));
        }
    }
    Ok(())
}
