//! The dissector has a name for each number of the code, and the same one.
//!
//! The tables are read from `contrib/wireshark/norma/names.lua` as text: one `[number] = "NAME"`
//! to a line. Where the code has a number without a name that is said, docs/wire.md has one.

use norma_ipc::typed;
use norma_wire::{control, descriptor, flip, session, special};
use std::collections::{BTreeMap, BTreeSet};

type Names = BTreeMap<u32, String>;

/// The text of a table of the dissector's.
fn body(name: &str) -> String {
    let path = crate::root().join("contrib/wireshark/norma/names.lua");
    let text = std::fs::read_to_string(path).unwrap();
    let start = format!("names.{name} = {{\n");
    let (_, rest) = text.split_once(&start).expect("a table of that name");
    rest.split_once("\n}").unwrap().0.to_owned()
}

/// A table of the dissector's.
fn table(name: &str) -> Names {
    let body = body(name);
    let entries = body.lines().map(|line| {
        let (number, name) = line.trim().split_once("] = ").unwrap();
        let number = number.trim_start_matches('[');
        let number = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        (number.unwrap(), plain(name))
    });
    entries.collect()
}

/// Without what is only a matter of spelling: `NO_REPLY`, `NoReply { .. }`, "no reply".
fn plain(name: &str) -> String {
    let name = name.split('{').next().unwrap_or_default();
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.collect::<String>().to_lowercase()
}

/// What the code knows of 0 to 255.
fn known<T: core::fmt::Debug>(of: impl Fn(u8) -> Option<T>) -> Names {
    let numbers = (0..=u8::MAX).filter_map(|number| {
        let name = format!("{:?}", of(number)?);
        Some((u32::from(number), plain(&name)))
    });
    numbers.collect()
}

fn flags<'a>(names: impl Iterator<Item = (&'a str, u32)>) -> Names {
    names.map(|(name, bits)| (bits, plain(name))).collect()
}

/// The numbered rows of the table of docs/wire.md that begins with `heading`: the first word of
/// the second column.
fn documented(heading: &str) -> Names {
    let text = std::fs::read_to_string(crate::root().join("docs/wire.md")).unwrap();
    let (_, rest) = text.split_once(heading).expect("the heading");
    let rows = rest.lines().map(|line| line.split('|').map(str::trim));
    let rows = rows.skip_while(|row| {
        row.clone()
            .nth(1)
            .is_none_or(|cell| cell.parse::<u32>().is_err())
    });
    let cells = rows.map_while(|mut row| Some((row.nth(1)?.parse().ok()?, row.next()?.to_owned())));
    let word = |cell: String| plain(cell.split([':', ' ']).next().unwrap_or_default());
    cells.map(|(number, cell)| (number, word(cell))).collect()
}

/// What a rule of docs/wire.md lists between two texts: `1 this, 2 that`.
fn listed(rule: &str, start: &str, end: &str) -> Names {
    let text = std::fs::read_to_string(crate::root().join("docs/wire.md")).unwrap();
    let (_, rest) = text.split_once(rule).expect("the rule");
    let (_, rest) = rest.split_once(start).expect("the start of its list");
    let (list, _) = rest.split_once(end).expect("the end of its list");
    let entries = list.split(", ").map(|entry| {
        let (number, words) = entry.trim().split_once(' ').expect("a number and words");
        (number.parse().expect("a number"), plain(words))
    });
    entries.collect()
}

/// The slots and requests of the table of W-98.
fn documented_requests() -> BTreeSet<(u32, u32)> {
    let text = std::fs::read_to_string(crate::root().join("docs/wire.md")).unwrap();
    let (_, rest) = text.split_once("**W-98**").expect("the rule");
    let (rows, _) = rest.split_once("**W-").expect("the next rule");
    let rows = rows.lines().filter_map(|line| {
        let mut cells = line.split('|').map(|cell| cell.trim().parse());
        Some((cells.nth(1)?.ok()?, cells.next()?.ok()?))
    });
    rows.collect()
}

/// The slots and requests that the dissector has names for.
fn named_requests() -> BTreeSet<(u32, u32)> {
    let mut all = BTreeSet::new();
    for line in body("service").lines() {
        let (slot, requests) = line.split_once("] = {").expect("a slot");
        let slot = slot.trim().trim_start_matches('[').parse().unwrap();
        for request in requests.split('[').skip(1) {
            let (number, name) = request.split_once("] = \"").expect("a name");
            assert!(!name.starts_with('"'), "no name in {line}");
            all.insert((slot, number.parse().unwrap()));
        }
    }
    all
}

#[test]
fn every_type_kind_and_flag_has_its_name() {
    assert_eq!(table("flip_type"), known(flip::Kind::from_u8));
    assert_eq!(table("kind"), known(session::Kind::from_u8));
    assert_eq!(table("right"), known(descriptor::Kind::from_u8));
    assert_eq!(table("origin"), known(descriptor::Origin::from_u8));
    let all = flip::Flags::all().iter_names();
    let bits = flags(all.map(|(name, flag)| (name, flag.bits().into())));
    assert_eq!(table("flip_flag"), bits);
    let all = session::Flags::all().iter_names();
    let bits = flags(all.map(|(name, flag)| (name, flag.bits().into())));
    assert_eq!(table("flag"), bits);
}

#[test]
fn every_operation_of_control_has_its_name() {
    // An `id` that makes sense for each of them.
    let of = |number: u8| control::Control::from_fields(number.into(), 2, 1, 0).ok();
    assert_eq!(table("control"), known(of));
    assert_eq!(table("control"), documented("## 11. CONTROL"));
    let reason = |number: u8| match control::Control::from_fields(3, 2, number.into(), 0) {
        Ok(control::Control::Refused { reason, .. }) => Some(reason),
        _ => None,
    };
    let (named, known) = (table("refusal"), known(reason));
    assert!(named.keys().eq(known.keys()), "{named:?} {known:?}");
}

#[test]
fn every_operation_of_a_node_has_its_name() {
    assert_eq!(table("operation"), documented("**W-90**"));
}

#[test]
fn every_special_port_and_request_has_its_name() {
    use special::{DEVICE_PORT, HOST_PORT, NAME_PORT, device, host, name};
    let requests = documented_requests();
    assert_eq!(named_requests(), requests);
    let known = [
        (DEVICE_PORT, device::CARDS),
        (HOST_PORT, host::INFORMATION),
        (HOST_PORT, host::PORT),
        (HOST_PORT, host::ENTRY),
        (HOST_PORT, host::INSPECT),
        (NAME_PORT, name::LOOK_UP),
        (NAME_PORT, name::CHECK_IN),
    ];
    assert_eq!(requests, BTreeSet::from(known));
    let slots: BTreeSet<_> = requests.iter().map(|(slot, _)| *slot).collect();
    assert!(table("slot").into_keys().eq(slots));
}

#[test]
fn every_answer_has_its_name() {
    use special::answer;
    let mut documented = listed("**W-91**", "what became of it: ", ". ");
    documented.extend(listed("**W-98**", "as in W-91; further ", "."));
    assert!(table("status").keys().eq(documented.keys()));
    let known = [
        (answer::DONE, "done"),
        (answer::UNKNOWN, "not there"),
        (answer::NO_OPERATION, "no such operation"),
        (answer::TAKEN, "name is taken"),
        (answer::NO_MEMORY, "no memory"),
        (answer::BAD_REQUEST, "not understood"),
        (answer::DEAD, "port is dead"),
    ];
    let known = known.map(|(number, name)| (number, plain(name)));
    assert_eq!(table("status"), Names::from(known));
}

#[test]
fn all_news_and_its_reasons_have_their_names() {
    let documented = listed("**W-130**", "Its `id` is: ", ". ");
    assert!(table("notification").keys().eq(documented.keys()));
    let reasons = listed("**W-130**", "a reason (", ")");
    assert_eq!(table("reason"), reasons);
}

#[test]
fn every_kind_of_item_has_its_name() {
    assert_eq!(table("item"), documented("| kind | | width | |"));
    assert_eq!(table("item").len(), 10);
    let known = typed::Kind::SendOnceRights as u32;
    assert_eq!(table("item").last_key_value().unwrap().0, &known);
}
