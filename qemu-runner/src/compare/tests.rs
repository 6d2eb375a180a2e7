//! Tests over several parts: from stretches that were made up to figures, verdicts and text.

use super::bed::{Pass, beds};
use super::boot::{Boot, Counted};
use super::figures::{Figure, Measured, figures, median};
use super::operations::Unit;
use super::report::{Host, Report, Start};
use super::systems::{System, Waits};
use super::{markdown, page, select, steps, without_linux};
use crate::bench::markers::Executed;
use norma_peer::plan::SHARES;

/// Microseconds of a call of each system; for others nothing is told apart.
fn time(system: &System) -> u64 {
    match system.name {
        "floor" => 80,
        "norma" => 90,
        "norma-tasks" => 100,
        "ring3-server" => 160,
        "linux-udp" => 200,
        "linux-tcp" => 240,
        "netmsgd" => 270,
        _ => 150,
    }
}

/// A report on a host where each call takes just so long, and each repetition one percent more.
pub fn made_up(only: &[&str]) -> Report {
    made_up_with(only, time)
}

fn made_up_with(only: &[&str], time: impl Fn(&System) -> u64) -> Report {
    let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
    let systems = select(&only).unwrap();
    let beds = beds(systems.iter().copied(), true);
    let boot = |bed: &super::Bed, repetition: u64| {
        let stretches = bed.tasks(Pass::Timing(1)).into_iter().map(|task| {
            let nanoseconds = time(task.system) * (1000 + 10 * repetition);
            let n = task.n as u64;
            let single = task.operation.unit == Unit::Microseconds;
            let each = |place: usize| if single { nanoseconds + place as u64 - 5 } else { 0 };
            let stretch = serde_json::json!({
                "name": task.item, "round": 0, "n": n, "total": nanoseconds * n,
                "bytes": if task.operation.unit == Unit::Megabytes { task.operation.request as u64 * n } else { 0 },
                "dist": (0..SHARES.len()).map(each).collect::<Vec<_>>(),
            });
            serde_json::from_value(stretch).unwrap()
        });
        Boot {
            stretches: stretches.collect(),
            first_call_ms: Some(50.0 + repetition as f64),
            ..Boot::default()
        }
    };
    let boots: Vec<Vec<Boot>> = beds
        .iter()
        .map(|bed| (0..3).map(|r| boot(bed, r)).collect())
        .collect();
    let counted = beds.iter().map(|bed| {
        let each = bed.tasks(Pass::Counting).into_iter().map(|task| Executed {
            instructions: time(task.system) * 100 * task.n as u64,
            ..Executed::default()
        });
        let calling: Vec<_> = each.collect();
        Counted {
            serving: calling.clone(),
            calling,
        }
    });
    let counted: Vec<_> = counted.collect();
    let measured = beds.iter().zip(&boots).zip(&counted);
    let measured: Vec<_> = measured
        .map(|((bed, boots), counted)| Measured {
            bed,
            boots,
            counted,
        })
        .collect();
    let host = Host {
        version: "0".into(),
        machine: "a made-up host <&>".into(),
        accelerator: "tcg".into(),
        linux: Some("a-kernel.deb".into()),
        captured: false,
    };
    let stamped = beds.iter().flat_map(|bed| bed.tasks(Pass::Steps));
    let steps = stamped.map(|task| steps::tests::made_up(task, time(task.system) / 13));
    let steps = steps.collect();
    let starts = measured.iter().map(Start::of).collect();
    Report::new(
        host,
        &systems,
        figures(&measured),
        steps,
        starts,
        vec!["qemu".into(); 2],
    )
}

fn find<'a>(report: &'a Report, system: &str, operation: &str) -> &'a Figure {
    let mut all = report.of_operation(operation);
    all.find(|figure| figure.system == system).unwrap()
}

#[test]
fn ratios_are_of_medians_and_their_spread_is_that_of_repetitions() {
    let report = made_up(&[]);
    let udp = find(&report, "linux-udp", "null");
    assert_eq!((udp.value, udp.spread), (202.0, [200.0, 204.0]));
    assert_eq!(udp.n, 3 * 200);
    assert_eq!(udp.ratio_to_floor.unwrap().value, 2.5);
    let software = udp.software_ratio.unwrap();
    assert_eq!(software.value, 12.0);
    assert!((software.spread[1] - software.spread[0]).abs() < 1e-9);
    // Of norma itself, and of what has no floor, there is none.
    assert!(find(&report, "norma", "null").software_ratio.is_none());
    assert!(find(&report, "linux-udp", "1k").software_ratio.is_none());
    assert!(find(&report, "linux-udp", "1k").ratio_to_floor.is_none());
}

#[test]
fn a_ratio_lies_within_its_spread_however_the_host_drifts() {
    assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    assert_eq!(median(&[1.0, 2.0]), 1.5);
    assert!(median(&[]).is_nan());
    for figure in &made_up(&[]).figures {
        let ratios = [
            figure.ratio_to_floor,
            figure.ratio_to_norma,
            figure.software_ratio,
        ];
        for ratio in ratios.into_iter().flatten() {
            assert!(
                (ratio.spread[0]..=ratio.spread[1]).contains(&ratio.value),
                "{figure:?}"
            );
        }
    }
}

#[test]
fn rates_are_compared_so_that_above_one_norma_is_better() {
    let report = made_up(&[]);
    let stream = find(&report, "linux-tcp", "stream-1m");
    assert!((stream.ratio_to_norma.unwrap().value - 240.0 / 90.0).abs() < 1e-3);
    assert!((find(&report, "norma", "stream-1m").value - 1_048_576.0 / 90.9).abs() < 0.1);
    let crowd = find(&report, "norma", "callers-4");
    assert!((crowd.value - 1e6 / 90.9).abs() < 0.1, "{}", crowd.value);
}

#[test]
fn a_figure_to_reach_is_met_or_not_and_never_guessed() {
    let report = made_up(&[]);
    let met: Vec<_> = report.targets.iter().map(|target| target.met).collect();
    // 12, 16, 19 and 1.67 times; instructions 2.2 and 3 times; between tasks 4 and 1.6, and 20,000.
    let expected = [true, true, true, false, false, false, true, false, false];
    assert_eq!(met, expected.map(Some));
    let few = |system: &System| {
        if system.name == "norma-tasks" {
            7
        } else {
            time(system)
        }
    };
    let [.., local] = &made_up_with(&[], few).targets[..] else {
        unreachable!("there are targets");
    };
    assert_eq!((local.value, local.met), (Some(1400.0), Some(true)));
    let report = made_up(&["linux-unix"]);
    assert!(
        report
            .targets
            .iter()
            .all(|target| target.met.is_none() && target.value.is_none())
    );
}

#[test]
fn norma_below_the_floor_gives_no_ratio_of_software() {
    let below = |system: &System| {
        if system.name == "norma" {
            70
        } else {
            time(system)
        }
    };
    let report = made_up_with(&[], below);
    assert!(find(&report, "linux-udp", "null").software_ratio.is_none());
    assert_eq!(
        (report.targets[0].value, report.targets[0].met),
        (None, None)
    );
}

#[test]
fn markdown_has_every_figure_and_every_row_the_same_columns() {
    let report = made_up(&[]);
    let text = markdown::text(&report);
    for figure in &report.figures {
        assert!(
            text.contains(&format!("| {} |", figure.system)),
            "{}",
            figure.system
        );
    }
    let mut columns = None;
    for line in text.lines() {
        let count = line.matches('|').count();
        if count == 0 {
            columns = None;
        } else {
            assert_eq!(*columns.get_or_insert(count), count, "{line}");
        }
    }
    assert!(text.contains("3.68 times") && text.contains("Barrera"));
    assert!(text.contains("| met | 3.68 (9.2 ms / 2.5 ms) |"));
    assert!(text.contains("| <= 1500 |") && text.contains("| >= 3.7 |"));
}

#[test]
fn who_polls_is_divided_by_nobody_who_waits_asleep() {
    let report = made_up(&[]);
    for figure in &report.figures {
        let ratios = [
            figure.ratio_to_floor,
            figure.ratio_to_norma,
            figure.software_ratio,
        ];
        let none = ratios.iter().all(Option::is_none);
        assert!(none || figure.waits == Waits::Blocking, "{figure:?}");
        let compared = ["null", "1m"].contains(&figure.operation);
        assert!(
            !(none && compared) || figure.waits == Waits::Polling,
            "{figure:?}"
        );
    }
    let texts = |report: &Report| [markdown::text(report), page::html(report)];
    for text in texts(&report) {
        assert!(text.contains("for orientation only"));
    }
    for text in texts(&made_up(&["linux-udp"])) {
        assert!(!text.contains("for orientation only"));
    }
}

#[test]
fn steps_of_all_who_wait_asleep_add_up_and_stand_beside_what_was_timed() {
    let report = made_up(&[]);
    let names: Vec<_> = report.steps.iter().map(|steps| steps.system).collect();
    let expected = [
        "norma",
        "norma-tasks",
        "ring3-server",
        "linux-raw",
        "linux-udp",
        "linux-tcp",
        "netmsgd",
    ];
    assert_eq!(names, expected);
    let text: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    for (place, steps) in report.steps.iter().enumerate() {
        let own = steps.calling.iter().chain(&steps.serving);
        let sum = own.map(|(_, time)| time).sum::<f64>() + steps.flight;
        assert!((sum - steps.total).abs() < 0.001, "{steps:?}");
        let timed = find(&report, steps.system, "null").value;
        assert_eq!(steps.timed, Some(timed));
        assert!((steps.above.unwrap() - (steps.total - timed)).abs() < 0.001);
        let json = &text["steps"][place];
        assert_eq!(json["system"], steps.system);
        assert!(json["calling"]["program"].is_f64() && json["flight"].is_f64());
    }
    assert!(made_up(&["linux-unix"]).steps.len() == 1, "of norma alone");
}

#[test]
fn a_host_without_linux_guests_is_told_what_it_can_measure() {
    let text = without_linux();
    let (_, rest) = text.split_once("--only ").unwrap();
    let names = rest.split_once('`').unwrap().0;
    assert_eq!(names, "norma-tasks,ring3-server");
    let only: Vec<_> = names.split(',').map(str::to_owned).collect();
    let beds = beds(select(&only).unwrap().into_iter(), true);
    assert!(beds.len() == 3 && !beds.iter().any(super::Bed::is_linux));
}

#[test]
fn systems_are_chosen_by_name_and_the_base_is_always_there() {
    let names = |only: &[&str]| {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        select(&only).map(|systems| systems.iter().map(|s| s.name).collect::<Vec<_>>())
    };
    assert_eq!(
        names(&["linux-udp"]).unwrap(),
        ["floor", "norma", "linux-udp"]
    );
    assert!(names(&[]).unwrap().len() > 8);
    assert!(names(&["windows"]).unwrap_err().contains("linux-udp"));
}
