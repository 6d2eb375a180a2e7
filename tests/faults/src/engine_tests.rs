//! Tests of the rules' decisions.

use super::*;

const NOW: Duration = Duration::ZERO;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn faults(rules: &[Rule]) -> Faults {
    Faults::new(42, rules, &NAMES).unwrap()
}

fn verdicts(faults: &mut Faults, from: Station, to: Station, count: usize) -> Vec<Verdict> {
    (0..count)
        .map(|_| faults.on_frame(NOW, from, to, 100))
        .collect()
}

#[test]
fn without_rules_all_pass() {
    assert!(
        verdicts(&mut faults(&[]), 0, 1, 100)
            .iter()
            .all(Verdict::is_pass)
    );
    assert!(faults(&[]).is_empty());
}

#[test]
fn a_seed_replays_and_another_differs() {
    let rules = [
        Rule::new(Action::Drop).with_probability(0.2),
        Rule::new(Action::Reorder).with_probability(0.3),
        Rule::new(Action::Duplicate).with_probability(0.1),
        Rule::new(Action::Corrupt).with_probability(0.1),
    ];
    let first = verdicts(&mut faults(&rules), 0, 1, 500);
    assert_eq!(first, verdicts(&mut faults(&rules), 0, 1, 500));
    let mut other = Faults::new(43, &rules, &NAMES).unwrap();
    assert_ne!(first, verdicts(&mut other, 0, 1, 500));
}

#[test]
fn links_do_not_disturb_each_other() {
    let rules = [Rule::new(Action::Drop).with_probability(0.5)];
    let alone = verdicts(&mut faults(&rules), 0, 1, 200);
    let mut both = faults(&rules);
    let mixed: Vec<_> = (0..200)
        .map(|i| {
            verdicts(&mut both, 1, 0, i % 3);
            both.on_frame(NOW, 0, 1, 100)
        })
        .collect();
    assert_eq!(alone, mixed);
}

#[test]
fn losses_come_as_often_as_asked() {
    let mut faults = faults(&[Rule::new(Action::Drop).with_probability(0.2)]);
    verdicts(&mut faults, 0, 1, 10_000);
    let counts = faults.counts();
    assert_eq!(counts.frames, 10_000);
    assert!(
        (1_800..2_200).contains(&counts.dropped),
        "{}",
        counts.dropped
    );
}

#[test]
fn direction_is_kept() {
    let one_way = Rule {
        from: Some("a".into()),
        to: Some("b".into()),
        ..Rule::new(Action::Cut)
    };
    let mut faults = faults(std::slice::from_ref(&one_way));
    assert!(faults.on_frame(NOW, 0, 1, 60).is_drop());
    assert!(faults.on_frame(NOW, 1, 0, 60).is_pass());
    assert!(faults.on_frame(NOW, 0, 2, 60).is_pass());
    let both = Rule {
        both_ways: true,
        ..one_way
    };
    let mut faults = self::faults(&[both]);
    assert!(faults.on_frame(NOW, 1, 0, 60).is_drop());
    assert!(faults.on_frame(NOW, 2, 0, 60).is_pass());
}

#[test]
fn windows_open_and_close() {
    let timed = Rule {
        after_ms: Some(10),
        until_ms: Some(20),
        ..Rule::new(Action::Cut)
    };
    let mut faults = faults(&[timed]);
    let mut fate = |ms| {
        faults
            .on_frame(Duration::from_millis(ms), 0, 1, 60)
            .is_drop()
    };
    assert_eq!(
        [fate(9), fate(10), fate(19), fate(20)],
        [false, true, true, false]
    );

    let counted = Rule {
        after_frames: Some(1),
        until_frames: Some(3),
        ..Rule::new(Action::Drop)
    };
    let mut faults = self::faults(&[counted]);
    let fates: Vec<_> = verdicts(&mut faults, 0, 1, 4)
        .iter()
        .map(Verdict::is_drop)
        .collect();
    assert_eq!(fates, [false, true, true, false]);

    let large = Rule {
        min_bytes: Some(1000),
        ..Rule::new(Action::Drop)
    };
    let mut faults = self::faults(&[large]);
    assert!(faults.on_frame(NOW, 0, 1, 999).is_pass());
    assert!(faults.on_frame(NOW, 0, 1, 1000).is_drop());
}

#[test]
fn rules_combine() {
    let rules = [
        Rule {
            delay_ms: Some(5.0),
            ..Rule::new(Action::Delay)
        },
        Rule::new(Action::Duplicate),
        Rule {
            byte: Some(3),
            mask: Some(0xff),
            ..Rule::new(Action::Corrupt)
        },
    ];
    let verdict = faults(&rules).on_frame(NOW, 0, 1, 60);
    let [bad, good] = verdict.passages() else {
        panic!("{verdict:?}")
    };
    assert_eq!(bad.delay, Duration::from_millis(5));
    assert_eq!(
        bad.corruption,
        Some(Corruption {
            byte: 3,
            mask: 0xff
        })
    );
    assert_eq!(
        (good.delay, good.corruption),
        (Duration::from_millis(5), None)
    );
}

#[test]
fn corruption_stays_within_the_frame() {
    let mut faults = faults(&[Rule::new(Action::Corrupt)]);
    for length in 1..200 {
        let verdict = faults.on_frame(NOW, 0, 1, length);
        let corruption = verdict.passages()[0].corruption.unwrap();
        assert!(corruption.byte < length && corruption.mask.count_ones() == 1);
    }
    // A frame without bytes cannot be harmed, and must not harm us.
    let verdict = faults.on_frame(NOW, 0, 1, 0);
    assert!(verdict.passages()[0].frame(&[]).is_empty());
}

#[test]
fn links_are_cut_and_healed_by_command() {
    let mut faults = faults(&[]);
    faults.cut(0, 1);
    assert!(faults.on_frame(NOW, 0, 1, 60).is_drop());
    assert!(faults.on_frame(NOW, 1, 0, 60).is_drop());
    assert!(faults.on_frame(NOW, 0, 2, 60).is_pass());
    faults.heal(1, 0);
    assert!(faults.on_frame(NOW, 0, 1, 60).is_pass());
    faults.cut_one_way(0, 1);
    assert!(faults.on_frame(NOW, 1, 0, 60).is_pass());
    faults.heal_all();
    assert!(faults.on_frame(NOW, 0, 1, 60).is_pass());
}

#[test]
fn unknown_nodes_are_named() {
    let rule = Rule {
        to: Some("z".into()),
        ..Rule::new(Action::Drop)
    };
    let (place, error) = Faults::new(0, &[Rule::new(Action::Drop), rule], &NAMES).unwrap_err();
    assert_eq!(place, 1);
    assert_eq!(
        error.to_string(),
        "`to` names the node `z`, which is not in the file; expected one of: a, b, c"
    );
}
