//! The golden capture: each kind of frame is known, and what belongs together is found.

use super::{ERROR, Seen, golden_file, read, sound, tshark, with_info};
use crate::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;

pub fn golden(lab: &Lab) -> Result<()> {
    let fields = [
        "frame.interface_id",
        "norma.flip.type",
        "norma.flip.fragment",
        "norma.flip.copy_of",
        "norma.flip.forwarded_from",
        "norma.flip.locate_in",
        "norma.kind",
        "norma.control",
        "norma.refused.reason",
        "norma.right.kind",
        "norma.right.origin",
        "norma.operation",
        "norma.notification",
        "norma.item.kind",
        "norma.item.value",
        "norma.context.deadline",
        "norma.state.items",
        "norma.check.good",
        "norma.service",
        "norma.request_in",
        "norma.response_in",
        "norma.response_time",
        "norma.passed_on_in",
        "norma.no_reply_in",
        "norma.refused_in",
        "norma.message_in",
        "norma.hello_in",
        "norma.probe_in",
        "norma.memory.frame",
        "norma.memory.data",
        "norma.retransmission_of",
        "norma.under_way",
        "norma.permitted",
    ];
    let seen = read(lab, &golden_file(lab), &fields)?;
    ensure!(seen.len() > 90, "{} frames", seen.len());
    sound(&seen)?;
    let values = |field: &str| -> BTreeSet<u32> {
        let all = seen.iter().flat_map(|frame| frame.all(field));
        all.filter_map(|value| value.parse().ok()).collect()
    };
    let ranges = [
        ("norma.flip.type", 1..=6),
        ("norma.kind", 1..=8),
        ("norma.control", 1..=7),
        ("norma.refused.reason", 1..=4),
        ("norma.right.kind", 1..=5),
        ("norma.right.origin", 1..=3),
        ("norma.notification", 1..=7),
        ("norma.item.kind", 1..=10),
    ];
    for (field, range) in ranges {
        let values = values(field);
        ensure!(values.iter().copied().eq(range), "{field}: {values:?}");
    }
    let operations = values("norma.operation");
    let all = [1, 2, 3, 4, 5, 16, 99];
    ensure!(operations.iter().eq(&all), "{operations:?}");
    // Only what was damaged is an error, and it is one.
    for frame in &seen {
        let damaged = frame.one("frame.comment").contains("corrupted");
        let bad = frame
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        let messages = frame.all("_ws.expert.message");
        ensure!(bad == damaged, "frame {}: {messages:?}", frame.number());
        let checked = frame.has("norma.check.good");
        ensure!(
            !checked || frame.is("norma.check.good") != damaged,
            "frame {}: the check of a frame {}",
            frame.number(),
            if damaged { "holds" } else { "does not hold" }
        );
    }
    golden_pairs(&seen)
}

/// What belongs together in the golden capture.
fn golden_pairs(seen: &[Seen]) -> Result<()> {
    // Whose field names whom.
    let pairs = [
        (
            "a→b CALL LOOK_UP \"echo\" 4 B",
            "norma.response_in",
            "b→a REPLY echo: done 0 B 1 right",
        ),
        (
            "b→a REPLY echo id 0 4 B",
            "norma.request_in",
            "a→b CALL echo id 7 4 B",
        ),
        (
            "b→a REPLY echo id 0 5 B",
            "norma.request_in",
            "a→b CALL echo id 12 4 B",
        ),
        (
            "a→b CALL echo id 12 4 B [sent again]",
            "norma.retransmission_of",
            "a→b CALL echo id 12 4 B",
        ),
        (
            "a→b CALL echo id 15 1 B",
            "norma.no_reply_in",
            "b→a NO_REPLY 0x50002",
        ),
        (
            "a→b CALL port 0x3 id 20 4 B",
            "norma.passed_on_in",
            "b→c CALL passed on port 0x3 id 20 4 B 1 right",
        ),
        (
            "c→b SPENT 0x60009",
            "norma.request_in",
            "a→b CALL port 0x3 id 20 4 B",
        ),
        (
            "a→b CALL node of b: about the node 0 B",
            "norma.response_in",
            "b→a REPLY node of b id 0 16 B",
        ),
        (
            "b→a REFUSED 1010: no memory",
            "norma.message_in",
            "a→b MESSAGE echo id 14 8 B",
        ),
        (
            "b→a ACK 1009 credit 16, answers probe 77",
            "norma.probe_in",
            "a→b PROBE 77",
        ),
        (
            "b→a WELCOME \"b\" session 98",
            "norma.hello_in",
            "a→4e:1234… HELLO \"a\" session 81",
        ),
        (
            "4e:1234…→a HEREIS 4e:1234…",
            "norma.flip.locate_in",
            "a→4e:1234… LOCATE 4e:1234…",
        ),
    ];
    for (one, field, other) in pairs {
        // The first of those that say the same: the second is a copy or an example.
        let find = |info: &str| {
            let mut all = seen
                .iter()
                .filter(|frame| frame.one("_ws.col.Info") == info);
            all.next().with_context(|| format!("no frame is {info:?}"))
        };
        let (one, other) = (find(one)?, find(other)?);
        ensure!(
            one.frames(field) == [other.number()],
            "frame {}: {field} is {:?}, not {}",
            one.number(),
            one.all(field),
            other.number()
        );
    }
    let answer = with_info(seen, "b→a REPLY echo id 0 4 B")?;
    let time = answer.one("norma.response_time");
    ensure!(time == "0.000120000", "120 µs are {time:?}");
    let call = with_info(seen, "a→b CALL echo id 7 4 B")?;
    ensure!(call.one("norma.context.deadline") == "250000000");
    let copy = seen
        .iter()
        .find(|frame| frame.one("frame.comment").contains("copy 2"));
    let copy = copy.context("no copy")?;
    ensure!(copy.frames("norma.flip.copy_of") == [copy.number() - 1]);
    let count = |field: &str| {
        // The example frames share numbers that one session could not share.
        let story = seen
            .iter()
            .filter(|frame| frame.one("frame.interface_id") != "2");
        story.filter(|frame| frame.has(field)).count()
    };
    ensure!(
        count("norma.flip.forwarded_from") == 2,
        "passed on by the router"
    );
    ensure!(count("norma.retransmission_of") == 1, "sent again");
    // Five pages in three frames, the last of them overtaken.
    let large = seen.iter().find(|frame| frame.has("norma.memory.data"));
    let large = large.context("no memory was put together")?;
    let pieces: BTreeSet<_> = large.frames("norma.memory.frame").into_iter().collect();
    ensure!(
        pieces.len() == 3 && pieces.contains(&large.number()),
        "{pieces:?}"
    );
    let expected = ["31".repeat(8192), "32".repeat(8192), "33".repeat(616)].concat();
    ensure!(
        large.one("norma.memory.data") == expected,
        "the memory is another one"
    );
    // The last message before was acknowledged; one, this message and its two PARTs were not.
    let window = (large.one("norma.under_way"), large.one("norma.permitted"));
    ensure!(window == ("4", "16"), "under way and permitted: {window:?}");
    let fragments = with_info(seen, "a→b MESSAGE echo id 11 200 B")?.all("norma.flip.fragment");
    ensure!(fragments.len() == 2, "{fragments:?}");
    let items = seen
        .iter()
        .find(|frame| frame.all("norma.item.kind").len() > 5);
    let items = items.context("no items")?.all("norma.item.value");
    for value in ["1, 2, 3", "words", "-5", "1.5", "true, false", "of 2"] {
        ensure!(
            items.iter().any(|item| item == value),
            "no {value:?} in {items:?}"
        );
    }
    let big = seen
        .iter()
        .find(|frame| frame.one("norma.item.value") == "258, 772");
    ensure!(big.is_some(), "numbers of a big-endian sender");
    let state = with_info(seen, "b→c NEWS STATE 2 items follow 12 B")?;
    ensure!(state.one("norma.state.items") == "2");
    Ok(())
}

/// Each filter that docs/captures.md offers is one, and finds something.
pub fn filters(lab: &Lab) -> Result<()> {
    let document = std::fs::read_to_string(lab.root().join("docs/captures.md"))?;
    let (_, table) = document
        .split_once("| filter | shows |")
        .context("no table of filters")?;
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let filters = rows.filter_map(|row| row.split('`').nth(1));
    let filters: Vec<_> = filters.map(|filter| filter.replace("\\|", "|")).collect();
    ensure!(filters.len() > 10, "{filters:?}");
    // One table with two columns for each: frames, bytes.
    let statistics = format!("io,stat,0,{}", filters.join(","));
    let text = tshark(lab, &golden_file(lab), &["-q", "-z", &statistics])?;
    let row = text.lines().find(|line| line.contains("<>"));
    let cells = row.context("no table")?.split('|').map(str::trim);
    let numbers: Vec<u64> = cells.filter_map(|cell| cell.parse().ok()).collect();
    ensure!(numbers.len() == 2 * filters.len(), "{text}");
    for (filter, counts) in filters.iter().zip(numbers.chunks(2)) {
        ensure!(counts[0] > 0, "`{filter}` finds nothing");
    }
    Ok(())
}
