//! The audit of send-once rights between nodes: each that one node has exported to another is in
//! one place there, or on its way, there or back; and of those that are claimed elsewhere the
//! giver is about to hear (W-55, W-112 to W-115).
//!
//! All rights must be seen: none may be in the hands of a test.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use norma_ipc::{Page, PageSource};
use norma_wire::control::Control;
use norma_wire::descriptor::{Kind, Origin};
use norma_wire::session::Flags;

use crate::audit::ensure;
use crate::audit_network::{At, is_accepted, news, other_side, session};
use crate::node::Node;
use crate::outbound::Outbound;
use crate::rights::{Barred, Destination, FOREIGN, home_of, parse_token};
use crate::session::Session;

/// How many bare rights a node has by an export of the peer of the session at a place.
type Held = BTreeMap<(u32, u32), u32>;

/// Looks where each send-once right between two of `nodes` is.
///
/// # Errors
/// The first that is nowhere, or twice.
pub fn audit_onces<'a, S: PageSource + 'a>(
    nodes: impl IntoIterator<Item = &'a Node<S>>,
) -> Result<(), String> {
    let nodes: Vec<&Node<S>> = nodes.into_iter().collect();
    let held: Result<Vec<Held>, String> = nodes.iter().map(|node| held(node)).collect();
    let held = held?;
    for (index, node) in nodes.iter().enumerate() {
        for (place, exporter) in node.sessions.iter() {
            let Some(there) = other_side(&nodes, (index, place)) else {
                continue;
            };
            let Some(importer) = session(&nodes, there) else {
                continue;
            };
            let between = || format!("{} to {}", node.name(), nodes[there.0].name());
            look(exporter, importer, &held[there.0], there)
                .map_err(|what| format!("{}: {what}", between()))?;
        }
    }
    Ok(())
}

/// The bare rights of a node, each of which there is once; those of third nodes, of which it is
/// known where they are from, are the ones of which there is a hint.
fn held<S: PageSource>(node: &Node<S>) -> Result<Held, String> {
    let tokens = node.ipc_ref().bare_rights(node.held_rights())?;
    let mut held = Held::new();
    let mut foreign = 0;
    for token in tokens {
        let (place, generation, destination) = parse_token(token);
        let (home, Destination::Once(index)) = (home_of(place), destination) else {
            return Err(format!("{token:?} is no send-once right"));
        };
        let session = node.sessions.get(home);
        let Some(session) = session.filter(|session| session.generation == generation) else {
            // Its session is over, or it leads to the node itself.
            continue;
        };
        if place & FOREIGN != 0 {
            foreign += 1;
            ensure(session.hints.get(index).is_some(), || {
                format!("{}: nobody knows where {index:#x} is from", node.name())
            })?;
        }
        *held.entry((home, index)).or_default() += 1;
    }
    let hints = node
        .sessions
        .iter()
        .flat_map(|(_, session)| session.hints.indices());
    let hints = hints.count();
    ensure(hints == foreign, || {
        format!(
            "{}: {hints} hints for {foreign} rights of third nodes",
            node.name()
        )
    })?;
    Ok(held)
}

fn look<P: Page>(
    exporter: &Session<P>,
    importer: &Session<P>,
    held: &Held,
    there: At,
) -> Result<(), String> {
    for (index, export) in exporter.exports.iter() {
        if !export.is_once() || export.barred != Barred::No {
            continue;
        }
        let has = held.get(&(there.1, index)).copied().unwrap_or_default();
        let coming = exporter
            .out
            .messages
            .iter()
            .filter(|(_, outbound)| brings(outbound, index) && !is_accepted(outbound, importer))
            .count();
        let going = going(exporter, importer, index);
        ensure(has as usize + coming + going == 1, || {
            format!("{index:#x} is held {has} times, {coming} times on its way, used {going} times")
        })?;
    }
    Ok(())
}

/// Whether a message brings a send-once right to the peer.
fn brings<P: Page>(outbound: &Outbound<P>, index: u32) -> bool {
    let described = outbound.rights.iter().any(|packed| {
        let repr = &packed.repr;
        matches!(repr.kind, Kind::SendOnce | Kind::Reply)
            && repr.origin != Origin::Receiver
            && repr.index == index
    });
    outbound.reply == index || described
}

/// How often a send-once right was used, or destroyed, of which the exporter has not heard.
fn going<P: Page>(exporter: &Session<P>, importer: &Session<P>, index: u32) -> usize {
    let messages = importer.out.messages.iter().filter(|(_, outbound)| {
        outbound.flags.contains(Flags::SEND_ONCE)
            && outbound.destination == index
            && !is_accepted(outbound, exporter)
    });
    let unread = news(importer).filter(|(sequence, control)| {
        let says = matches!(control, Control::NoReply { export } | Control::Spent { export } if *export == index);
        says && sequence.is_none_or(|sequence| !exporter.inbox.window.contains(sequence))
    });
    messages.count() + unread.count()
}
