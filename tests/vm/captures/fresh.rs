//! A fresh capture of a bad network: what the dissector finds is so, for the frames are read here
//! once more without it.

use super::{ERROR, Frame, Seen, check, datagram, frames, read, sound};
use crate::lab::Lab;
use crate::network::{SEED, bad_network, client, passes, server};
use anyhow::{Context as _, Result, ensure};
use norma_faults::{Action, Rule};
use norma_wire::session;
use qemu_runner::link::Capture;
use qemu_runner::run::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// Which frames are sent again: sequenced ones with a number that their sender has used in the
/// session before, in another datagram.
fn sent_again(frames: &[Frame]) -> BTreeSet<usize> {
    let (mut first, mut again) = (BTreeMap::new(), BTreeSet::new());
    for (place, frame) in frames.iter().enumerate() {
        let bytes = &frame.bytes;
        let Some(flip) = datagram(bytes) else {
            continue;
        };
        let Ok(header) = session::Header::new_checked(&bytes[54..]) else {
            continue;
        };
        let mut checked = bytes.clone();
        check::write(&mut checked);
        if !header.kind().is_sequenced() || checked != *bytes {
            continue;
        }
        let key = (
            flip.source,
            flip.destination,
            header.session(),
            header.sequence(),
        );
        if *first.entry(key).or_insert(flip.message_id) != flip.message_id {
            again.insert(place + 1);
        }
    }
    again
}

/// Calls on a bad network: each is matched with its answer, and what was sent again is found.
pub fn fresh(lab: &Lab) -> Result<()> {
    const CALLS: usize = 150;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.pcapng");
    let capture = Capture::create(&file)?;
    let mut rules = bad_network();
    rules.push(Rule::new(Action::Corrupt).with_probability(0.05));
    let calls = format!("n={CALLS}");
    let plan = Plan::pair(server(lab)?, client(lab, "calls", &[&calls])?).faults(SEED, rules);
    lab.captured(plan, Some(&capture), |run| passes(run, "a", "calls"))?;
    capture.finish()?;
    let frames = frames(&file)?;
    let fields = [
        "frame.interface_name",
        "norma.kind",
        "norma.flags.rpc",
        "norma.flags.send_once",
        "norma.from",
        "norma.request_in",
        "norma.response_in",
        "norma.retransmission_of",
        "norma.flip.copy_of",
    ];
    let seen = read(lab, &file, &fields)?;
    ensure!(seen.len() == frames.len(), "tshark has not read all frames");
    // A frame whose EtherType was hit is nobody's.
    let ours = |frame: &&Seen| {
        let comment = frame.one("frame.comment");
        !["byte 12,", "byte 13,"]
            .iter()
            .any(|byte| comment.contains(byte))
    };
    for frame in seen.iter().filter(ours) {
        sound(std::slice::from_ref(frame))?;
    }
    for (frame, shown) in frames.iter().zip(&seen) {
        let comment = frame.comment.as_deref().unwrap_or_default();
        ensure!(
            shown.one("frame.comment") == comment,
            "{comment:?} is not shown"
        );
        ensure!(
            shown.one("frame.interface_name").ends_with("b-a"),
            "the link's name"
        );
        let bad = shown
            .all("_ws.expert.severity")
            .iter()
            .any(|it| it == ERROR);
        let (number, messages) = (shown.number(), shown.all("_ws.expert.message"));
        ensure!(
            !bad || comment.contains("corrupted"),
            "frame {number}: {messages:?}"
        );
    }
    let damaged = seen.iter().filter(|frame| {
        let messages = frame.all("_ws.expert.message");
        messages
            .iter()
            .any(|text| text.contains("check does not hold"))
    });
    ensure!(damaged.count() > 0, "no check has failed");
    // What was sent again: the same frames as are found without the dissector.
    let sequenced = |frame: &&Seen| ["3", "4", "8"].contains(&frame.one("norma.kind"));
    let again = seen.iter().filter(sequenced);
    let again = again.filter(|frame| frame.has("norma.retransmission_of"));
    let again: BTreeSet<_> = again.map(Seen::number).collect();
    let expected = sent_again(&frames);
    ensure!(
        again == expected,
        "sent again, or said to be, but not both: {:?}",
        &again ^ &expected
    );
    ensure!(
        again.len() > 10,
        "only {} frames were sent again",
        again.len()
    );
    ensure!(
        seen.iter().any(|frame| frame.has("norma.flip.copy_of")),
        "no copy"
    );
    matched(&seen, CALLS)
}

/// Each call that was made has an answer, which comes from the other node and names that call.
fn matched(seen: &[Seen], calls: usize) -> Result<()> {
    // Whatever of it was hit: no node, or another one, has heard that call.
    let damaged = |frame: &Seen| frame.one("frame.comment").contains("corrupted");
    let struck = seen.iter().filter(|frame| damaged(frame)).count();
    let made = seen.iter().filter(|frame| {
        frame.is("norma.flags.rpc")
            && !frame.has("norma.retransmission_of")
            && !frame.has("norma.flip.copy_of")
            && !damaged(frame)
    });
    let mut answered = 0;
    for call in made {
        let number = call.number();
        let [answer] = call.frames("norma.response_in")[..] else {
            anyhow::bail!("call {number} has no answer: {}", call.one("_ws.col.Info"));
        };
        let answer = seen.get(answer - 1).context("no such frame")?;
        ensure!(
            answer.is("norma.flags.send_once")
                && answer.frames("norma.request_in") == [number]
                && answer.one("norma.from") != call.one("norma.from"),
            "call {number} is not answered by {}",
            answer.one("_ws.col.Info")
        );
        answered += 1;
    }
    ensure!(
        answered + struck >= calls,
        "only {answered} calls of {calls} are matched"
    );
    Ok(())
}
