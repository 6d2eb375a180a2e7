//! The table of counters: what the core counts, and behind it what the platform does.
//!
//! Their names are those of the metrics that `cargo norma metrics` prints, and so are kept.

use crate::page::{END, Page};
use crate::rows::{Counters, Kind, text};
use crate::tables::Platform;
use norma_flip::DropReason;
use norma_ipc::{NoMemory, PageSource};
use norma_net::{Drop, Node};

impl Counters {
    /// A counter without a label.
    pub fn new(name: &str, kind: Kind, value: u64) -> Self {
        Self::with_label(name, "", kind, value)
    }

    /// A counter of one kind of several.
    pub fn with_label(name: &str, label: &str, kind: Kind, value: u64) -> Self {
        Counters {
            name: text(name),
            label: text(label),
            value,
            kind: kind.into(),
        }
    }
}

/// Puts counters from the one of number `from` on.
pub(crate) fn put<S: PageSource>(
    page: &mut Page<'_, '_, S::Page>,
    from: u64,
    node: &Node<S>,
    platform: &impl Platform,
) -> Result<u64, NoMemory> {
    let mut number = 0;
    let mut next = END;
    let mut failed = Ok(());
    each(node, platform, &mut |counter| {
        if number >= from && next == END && failed.is_ok() {
            match page.put(&counter) {
                Ok(true) => {}
                Ok(false) => next = number,
                Err(error) => failed = Err(error),
            }
        }
        number += 1;
    });
    failed.map(|()| next)
}

fn each<S: PageSource>(node: &Node<S>, platform: &impl Platform, put: &mut dyn FnMut(Counters)) {
    let net = node.counters();
    let flip = node.flip_counters();
    for (name, value) in [
        ("messages_carried", net.carried),
        ("messages_delivered", net.delivered),
        ("messages_refused", net.refused),
        ("messages_failed", net.failed),
        ("session_frames_repeated", net.repeated),
        ("inline_copies", net.inline_copies),
        ("page_copies", net.page_copies),
        ("sessions_established", net.sessions),
        ("sessions_died", net.deaths),
        ("flip_frames_received", flip.received),
        ("flip_frames_sent", flip.sent),
        ("flip_datagrams_delivered", flip.delivered),
        ("flip_datagrams_forwarded", flip.forwarded),
        ("flip_datagrams_without_route", flip.no_route),
        ("flip_locates_received", flip.locates_received),
        ("flip_locates_sent", flip.locates),
        ("flip_announcements_sent", flip.announcements),
        ("flip_answers_sent", flip.answers),
        ("flip_denials_sent", flip.denials),
        ("flip_routes_evicted", flip.routes_evicted),
        ("flip_routes_denied", flip.routes_denied),
        ("flip_duplicate_fragments", flip.duplicate_fragments),
        ("flip_reassembly_timeouts", flip.reassembly_timeouts),
        ("flip_reassembly_evicted", flip.reassembly_evicted),
        ("flip_fragmenting_failed", flip.fragmenting_failed),
    ] {
        put(Counters::new(name, Kind::Counter, value));
    }
    for (reason, label) in Drop::ALL {
        let value = net.dropped[reason as usize];
        let name = "session_frames_dropped";
        put(Counters::with_label(name, label, Kind::Counter, value));
    }
    for (label, value) in DropReason::NAMES.into_iter().zip(flip.dropped) {
        let name = "flip_frames_dropped";
        put(Counters::with_label(name, label, Kind::Counter, value));
    }
    let ipc = node.ipc_ref();
    for (name, value) in [
        ("ports", u64::from(ipc.port_count())),
        ("spaces", u64::from(ipc.space_count())),
        ("sessions", node.session_count() as u64),
        ("threads", u64::from(platform.threads())),
    ] {
        put(Counters::new(name, Kind::Gauge, value));
    }
    platform.counters(put);
}
