//! The audit of a whole network: what each node has exported is what its peers have imported,
//! and what is on its way (W-51); and every right leads to the one owner of its port.
//!
//! Only the sessions that live on both sides are looked at: in any other the rights of one side
//! are dead already, and those of the other are about to be (W-62).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use norma_ipc::{PageSource, PortId, RightKind, Sink};
use norma_wire::control::Control;
use norma_wire::descriptor::Kind;

use crate::audit::ensure;
use crate::import::is_counted;
use crate::node::Node;
use crate::outbound::{Outbound, Verdict};
use crate::outbox::Cargo;
use crate::rights::{Barred, parse_token};
use crate::session::{Session, State};

/// Where a session is: number of the node, place.
pub(crate) type At = (usize, u32);

pub(crate) fn audit<S: PageSource>(nodes: &[&Node<S>]) -> Result<(), String> {
    let owners = owners(nodes)?;
    for (index, node) in nodes.iter().enumerate() {
        for (place, _) in node.sessions.iter() {
            if let Some(there) = other_side(nodes, (index, place)) {
                count(nodes, (index, place), there).map_err(|what| {
                    format!(
                        "{} exports to {}: {what}",
                        node.name(),
                        nodes[there.0].name()
                    )
                })?;
            }
        }
        for (identity, known) in node.directory.iter() {
            lead(nodes, index, known.port, owners.get(&identity).copied())
                .map_err(|what| format!("a right of {} to {identity:#x}: {what}", node.name()))?;
        }
    }
    Ok(())
}

/// Which node has which port.
fn owners<S: PageSource>(nodes: &[&Node<S>]) -> Result<BTreeMap<u64, usize>, String> {
    let mut owners = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for (identity, known) in node.directory.iter() {
            if node.ipc.sink(known.port) == Ok(Sink::Queue) && !is_departing(node, known.port) {
                let other = owners.insert(identity, index);
                ensure(other.is_none(), || {
                    format!("{identity:#x} is at {} and elsewhere", node.name())
                })?;
            }
        }
    }
    Ok(owners)
}

/// Whether the receive right of a port is on its way to a peer, who may have it already.
fn is_departing<S: PageSource>(node: &Node<S>, port: PortId) -> bool {
    let exports = node
        .sessions
        .iter()
        .flat_map(|(_, session)| session.exports.iter());
    let mut rights = exports.map(|(_, export)| &export.right);
    rights.any(|right| right.kind() == RightKind::Receive && right.port() == Some(port))
}

pub(crate) fn session<'a, S: PageSource>(
    nodes: &[&'a Node<S>],
    at: At,
) -> Option<&'a Session<S::Page>> {
    nodes[at.0].sessions.get(at.1)
}

/// The same session at its other side, where it is established on both.
pub(crate) fn other_side<S: PageSource>(nodes: &[&Node<S>], here: At) -> Option<At> {
    let own = session(nodes, here)?;
    let mine = nodes[here.0].address();
    let other = nodes.iter().position(|node| node.address() == own.peer)?;
    let mut sessions = nodes[other].sessions.iter();
    let (place, _) = sessions.find(|(_, session)| {
        session.number == own.peer_number
            && session.peer_number == own.number
            && session.peer == mine
            && session.state == State::Established
    })?;
    (own.state == State::Established).then_some((other, place))
}

/// What the exporter counts is what the importer counts, and what is on its way.
fn count<S: PageSource>(nodes: &[&Node<S>], here: At, there: At) -> Result<(), String> {
    let (Some(exporter), Some(importer)) = (session(nodes, here), session(nodes, there)) else {
        return Ok(());
    };
    for (index, export) in exporter.exports.iter() {
        if export.right.kind() != RightKind::Send {
            continue;
        }
        let import = importer.imports.find(index);
        let import = import.and_then(|place| importer.imports.get(place));
        let received = import.map_or(0, |import| import.received);
        let coming = under_way(exporter, importer, index);
        let going = released(exporter, importer, index);
        let accounted = received + coming + going;
        // Of Y the peer has one more when it has read TAKEN, which is no descriptor.
        let unread = export.barred == Barred::Backlog && export.sent == accounted + 1;
        ensure(unread || export.sent == accounted, || {
            format!(
                "{index:#x}: {} sent, {received} received, {coming} on their way, {going} on \
                 their way back",
                export.sent
            )
        })?;
    }
    for (_, import) in importer.imports.iter() {
        let known = exporter.exports.get(import.index).is_some();
        ensure(known || import.received == 0, || {
            format!("{import:?} is of no export")
        })?;
    }
    Ok(())
}

/// Rights in messages that the importer has not accepted.
fn under_way<P: norma_ipc::Page>(exporter: &Session<P>, importer: &Session<P>, index: u32) -> u32 {
    let mut count = 0;
    for (_, outbound) in exporter.out.messages.iter() {
        let rights = outbound.rights.iter().filter(|packed| {
            let repr = &packed.repr;
            repr.kind == Kind::Send && is_counted(repr) && repr.index == index
        });
        if !is_accepted(outbound, importer) {
            count += rights.count() as u32;
        }
    }
    count
}

pub(crate) fn is_accepted<P: norma_ipc::Page>(
    outbound: &Outbound<P>,
    importer: &Session<P>,
) -> bool {
    let sequence = outbound.sequence;
    let refused = |control: &Control| matches!(control, Control::Refused { sequence: of, .. } if *of == sequence);
    outbound.started
        && outbound.verdict == Verdict::Accepted
        && importer.inbox.window.contains(sequence)
        && !importer.inbox.has_partial(sequence)
        && !news(importer).any(|(_, control)| refused(&control))
}

/// Rights that the importer has given back, which the exporter has not read yet.
fn released<P: norma_ipc::Page>(exporter: &Session<P>, importer: &Session<P>, index: u32) -> u32 {
    let unread = news(importer).filter(|(sequence, _)| {
        sequence.is_none_or(|sequence| !exporter.inbox.window.contains(sequence))
    });
    let said: u32 = unread
        .map(|(_, control)| match control {
            Control::Release { export, count } if export == index => count,
            _ => 0,
        })
        .sum();
    let messages = importer.out.messages.iter();
    let owed = messages
        .flat_map(|(_, outbound)| &outbound.rights)
        .filter(|packed| packed.repr.index == index)
        .map(|packed| packed.owed);
    said + owed.sum::<u32>()
}

/// CONTROL frames that wait, or whose fate is not known, with their numbers.
pub(crate) fn news<P: norma_ipc::Page>(
    session: &Session<P>,
) -> impl Iterator<Item = (Option<u32>, Control)> {
    let flight = &session.out.flight;
    let first = flight.next().wrapping_sub(flight.frames.len() as u32);
    let sent = flight
        .frames
        .iter()
        .enumerate()
        .filter_map(move |(at, frame)| match frame.cargo {
            Cargo::Control(control) => Some((Some(first.wrapping_add(at as u32)), control)),
            Cargo::Pages { .. } => None,
        });
    sent.chain(session.out.unsent().map(|control| (None, *control)))
}

/// Follows a stand-in from import to export until it is at the owner, or at a session that one
/// side has given up.
fn lead<S: PageSource>(
    nodes: &[&Node<S>],
    mut at: usize,
    mut port: PortId,
    owner: Option<usize>,
) -> Result<(), String> {
    let mut passed = Vec::new();
    loop {
        let Ok(sink) = nodes[at].ipc.sink(port) else {
            return Ok(());
        };
        // Of a receive right that goes from node to node both are the owner, or neither.
        if nodes[at].ipc.is_arriving(port) || is_departing(nodes[at], port) {
            return Ok(());
        }
        let Sink::Remote(token) = sink else {
            return ensure(owner == Some(at), || {
                format!("it leads to {}, which is not its owner", nodes[at].name())
            });
        };
        ensure(!passed.contains(&at), || {
            format!("it leads round, by {}", nodes[at].name())
        })?;
        passed.push(at);
        let (place, ..) = parse_token(token);
        let Some(there) = other_side(nodes, (at, place)) else {
            return Ok(());
        };
        let import = nodes[at].import_at(token).map(|(_, import)| import.index);
        let exported = session(nodes, there).zip(import);
        let exported = exported.and_then(|(session, index)| session.exports.get(index));
        // What nobody counts as received is about to go.
        let Some(next) = exported.and_then(|export| export.right.port()) else {
            return Ok(());
        };
        (at, port) = (there.0, next);
    }
}
