//! From a fixed transcript to rows, verdicts and the file's shape.

use super::items::{Item, Suite, select};
use super::markers::{Executed, Side, stretches};
use super::merge::{Counting, Measured, merge};
use super::report::Report;
use super::transcript::Transcript;

fn items() -> Vec<Item> {
    select(
        Suite::Net,
        &[
            "remote-null".into(),
            "stream-1m".into(),
            "migrate-100".into(),
            "ports-1000".into(),
        ],
        true,
    )
    .unwrap()
}

fn timing(name: &str, round: u64, n: u64, p50: u64, counts: &str) -> String {
    let (bytes, total) = (n * 1_048_576, n * p50 * 2);
    format!(
        "@bench {{\"name\":\"{name}\",\"round\":{round},\"unit\":\"ns\",\"n\":{n},\"p50\":{p50},\
         \"p99\":{},\"min\":{},\"max\":{},\"mean\":{p50},\"total\":{total},\"bytes\":{bytes},\
         \"counts\":{counts}}}",
        p50 + 50,
        p50 - 50,
        p50 + 99,
    )
}

fn serving(name: &str, round: u64, n: u64, counts: &str) -> String {
    format!("@counts {{\"name\":\"{name}\",\"round\":{round},\"n\":{n},\"counts\":{counts}}}")
}

fn counts(each: u64, n: u64) -> String {
    let all = each * n;
    format!(
        "{{\"frames\":{all},\"notifications\":{all},\"interrupts\":{all},\"timer\":0,\
         \"copies\":0,\"allocations\":0}}"
    )
}

/// A boot of two nodes; `p50` gives each round's median of `remote-null`.
fn transcript(p50: &[u64]) -> Transcript {
    let mut transcript = Transcript::default();
    transcript.take("norma: ready node=a").unwrap();
    for (round, p50) in (0..).zip(p50) {
        for item in items() {
            let median = match item.name {
                "remote-null" => *p50,
                "ports-1" => 40_000,
                _ => 100_000,
            };
            let each = if item.name == "migrate-100" { 70 } else { 1 };
            let counts = counts(each, item.n);
            transcript
                .take(&timing(item.name, round, item.n, median, &counts))
                .unwrap();
            transcript
                .take(&serving(item.name, round, item.n, &counts))
                .unwrap();
        }
    }
    transcript
}

fn plugin_file(open: u8, close: u8, each: &[u64]) -> String {
    let mut text = String::new();
    let mut sum = 1000;
    for instructions in each {
        for marker in [open, close] {
            text.push_str(&format!(
                "{{\"marker\":{marker},\"kernel\":{sum},\"user\":5,\"hlt\":1,\"syscall\":0,\
                 \"cr3\":0,\"port\":2,\"wrmsr\":0,\"device\":{sum},\
                 \"registers\":{{\"apic-msi+0x0b0\":{sum}}}}}\n"
            ));
            sum += if marker == open { *instructions } else { 77 };
        }
    }
    text
}

fn counting() -> Counting {
    let each: Vec<_> = items().iter().map(|i| i.n * 300).collect();
    Counting {
        transcript: transcript(&[500_000]),
        calling: stretches(&plugin_file(1, 2, &each), Side::Calling).unwrap(),
        serving: stretches(&plugin_file(17, 18, &each), Side::Serving).unwrap(),
    }
}

fn measured() -> Vec<Measured> {
    let boots = [transcript(&[110_000, 130_000, 120_000])];
    merge(&items(), 3, &boots, &counting()).unwrap()
}

#[test]
fn rows_are_medians_means_and_ratios() {
    let all = measured();
    let names: Vec<_> = all.iter().map(|m| m.row.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "floor remote-null stream-1m raw-stream migrate-100 ports-1 ports-1000"
    );
    let null = &all[1].row;
    assert_eq!((null.unit, null.n), ("us", 600));
    assert_eq!((null.p50, null.p99), (120.0, 120.05));
    assert_eq!((null.min, null.max), (109.95, 130.099));
    assert_eq!(null.ratio_to_floor, 1.2);
    assert_eq!((null.counts.frames, null.counts.notifications), (2.0, 2.0));
    assert_eq!(null.counts.instructions, 600.0);
    assert_eq!(null.counts.exits, 600.0);
    assert_eq!(all[1].detail.registers["apic-msi+0x0b0"], 600.0);
    assert_eq!(all[1].detail.instructions_calling, 300.0);
    let stream = &all[2].row;
    assert_eq!((stream.unit, stream.ratio_to_floor), ("MB/s", 1.0));
    // 1,048,576 bytes in 200,000 ns.
    assert!((stream.p50 - 5242.88).abs() < 0.01, "{}", stream.p50);
    // A call in 80,000 ns, and in 200,000.
    let [one, many] = [&all[5].row, &all[6].row];
    assert_eq!(
        (one.unit, one.p50, one.p99),
        ("calls/s", 12_500.0, 12_500.0)
    );
    assert_eq!((many.p50, many.ratio_to_floor), (5_000.0, 0.4));
}

#[test]
fn the_file_has_the_shape_that_others_rely_on() {
    let lines = vec![
        "qemu a".to_owned(),
        "qemu b".to_owned(),
        "qemu a".to_owned(),
    ];
    let report = Report::new(Suite::Net, "tcg", lines, measured(), None, false);
    let json = serde_json::to_value(&report).unwrap();
    for key in ["version", "host", "accelerator"] {
        assert!(json[key].is_string(), "{key}");
    }
    assert_eq!(json["qemu"], serde_json::json!(["qemu a", "qemu b"]));
    let row = json["results"][1].as_object().unwrap();
    let mut keys: Vec<_> = row.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = [
        "name",
        "unit",
        "n",
        "p50",
        "p99",
        "min",
        "max",
        "ratio_to_floor",
        "counts",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let counts = row["counts"].as_object().unwrap();
    let mut expected = [
        "frames",
        "notifications",
        "interrupts",
        "exits",
        "copies",
        "allocations",
        "instructions",
    ];
    expected.sort_unstable();
    let mut keys: Vec<_> = counts.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert!(counts.values().all(serde_json::Value::is_number));
}

#[test]
fn the_text_names_results_and_verdicts() {
    let report = Report::new(Suite::Net, "tcg", Vec::new(), measured(), None, false);
    let text = super::table::text(&report);
    assert!(text.contains("remote-null"), "{text}");
    let verdict = |what: &str| {
        text.lines()
            .find(|l| l.starts_with(what))
            .unwrap()
            .to_owned()
    };
    assert!(verdict("remote-null: p50 against floor").ends_with("MISSED"));
    assert!(verdict("remote-null: guest instructions").ends_with("met"));
    // 70 frames of each node are 40 more than the messages.
    let frames = verdict("migrate-100: frames besides 100 messages");
    assert!(
        frames.contains("40.000") && frames.ends_with("MISSED"),
        "{frames}"
    );
    assert!(verdict("ports-1000: calls/s against ports-1").ends_with("MISSED"));
    assert!(verdict("ports-1000: instructions against ports-1").ends_with("met"));
    assert!(verdict("local-null: guest instructions").ends_with("not measured"));
}

#[test]
fn what_is_missing_is_an_error_and_never_zero() {
    let refused = |line: &str| Transcript::default().take(line).unwrap_err();
    let whole = timing("floor", 0, 200, 100_000, &counts(1, 200));
    assert!(Transcript::default().take(&whole).is_ok());
    for field in [
        "\"p50\":100000,",
        "\"total\":40000000,",
        "\"allocations\":0",
    ] {
        assert!(whole.contains(field), "{field}");
        let error = format!("{:#}", refused(&whole.replace(field, "")));
        assert!(error.contains("cannot read"), "{error}");
    }
    let mut short = transcript(&[110_000]);
    short.timings.remove(1);
    assert!(format!("{:#}", short.check(&items(), 1).unwrap_err()).contains("remote-null"));
    let mut quiet = transcript(&[110_000]);
    quiet.servings.pop();
    assert!(format!("{:#}", quiet.check(&items(), 1).unwrap_err()).contains("node b"));
    let more = transcript(&[110_000, 120_000]);
    assert!(format!("{:#}", more.check(&items(), 1).unwrap_err()).contains("more than"));
    let mut counting = counting();
    counting.serving.pop();
    let boots = [transcript(&[110_000])];
    let error = merge(&items(), 1, &boots, &counting).unwrap_err();
    assert!(format!("{error:#}").contains("node b ran through 6 pairs"));
}

#[test]
fn implausible_times_are_errors() {
    let mut zero = transcript(&[110_000]);
    zero.timings[1].p50 = 0;
    assert!(zero.check(&items(), 1).is_err());
    let mut torn = transcript(&[110_000]);
    torn.timings[1].p99 = 1;
    assert!(torn.check(&items(), 1).is_err());
    let mut idle = transcript(&[110_000]);
    idle.timings[2].bytes = 0;
    assert!(format!("{:#}", idle.check(&items(), 1).unwrap_err()).contains("stream-1m"));
    let mut timeless = transcript(&[110_000]);
    timeless.timings[6].total = 0;
    assert!(format!("{:#}", timeless.check(&items(), 1).unwrap_err()).contains("ports-1000"));
}

#[test]
fn the_images_own_error_ends_the_run() {
    let line = "@bench-error {\"name\":\"floor\",\"error\":\"no device\"}";
    let error = Transcript::default().take(line).unwrap_err().to_string();
    assert!(
        error.contains("floor") && error.contains("no device"),
        "{error}"
    );
}

#[test]
fn markers_out_of_turn_are_errors() {
    let whole = plugin_file(1, 2, &[10]);
    assert_eq!(stretches(&whole, Side::Calling).unwrap().len(), 1);
    assert!(stretches(&whole, Side::Serving).is_err());
    let open_only = whole.lines().next().unwrap();
    assert!(stretches(open_only, Side::Calling).is_err());
    let nothing = plugin_file(1, 2, &[0]);
    assert!(stretches(&nothing, Side::Calling).is_err());
    assert!(stretches("not json\n", Side::Calling).is_err());
}

#[test]
fn stretches_add_up_by_register() {
    let mut sum = Executed::default();
    let one = stretches(&plugin_file(1, 2, &[10, 20]), Side::Calling).unwrap();
    for stretch in &one {
        sum.add(stretch);
    }
    assert_eq!((sum.instructions, sum.exits), (30, 30));
    assert_eq!(sum.registers["apic-msi+0x0b0"], 30);
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_the_run_and_others_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.json");
    assert!(super::can_be_written(&absent).is_ok() && !absent.exists());
    let there = folder.path().join("there.json");
    std::fs::write(&there, "before").unwrap();
    assert!(super::can_be_written(&there).is_ok());
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "before");
    let nowhere = folder.path().join("no/folder.json");
    let error = super::can_be_written(&nowhere).unwrap_err();
    assert!(error.contains("no/folder.json"), "{error}");
}
