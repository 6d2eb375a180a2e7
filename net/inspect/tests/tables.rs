//! Tables that are read in pieces, as a tool reads them, whatever anybody says.

use norma_flip::Instant;
use norma_inspect::limits::{PAGE, VISITS};
use norma_inspect::page::END;
use norma_inspect::rows::{
    Counters, Exports, Holder, Imports, Kind, Names, Node as About, Ports, Sessions, Spaces, Text,
    Threads, Wait, right, text,
};
use norma_inspect::{Platform, Question, Row, Table, answer, read_page};
use norma_ipc::{HeapPages, Ipc, RightKind, SpaceId, ThreadId};
use norma_net::{Config, Node, NodeName};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Three threads, of which the second has ended.
struct Fake;

impl Platform for Fake {
    const NAME: &'static str = "fake";

    fn threads(&self) -> u32 {
        2
    }

    fn thread_places(&self) -> u32 {
        3
    }

    fn thread(&self, number: u32) -> Option<Threads> {
        (number != 1).then(|| Threads {
            name: text(&format!("thread {number}")),
            priority: 3,
            ..Threads::default()
        })
    }

    fn task(&self, _: SpaceId) -> Text {
        text("image")
    }

    fn counters(&self, put: &mut dyn FnMut(Counters)) {
        put(Counters::new("last", Kind::Gauge, 77));
    }
}

fn node() -> (Node<HeapPages>, SpaceId) {
    let config = Config {
        name: NodeName::new("n").unwrap(),
        cluster: Config::cluster_identity("test"),
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 65_521,
        receive_buffers: 64,
        seed: [1; 32],
    };
    let mut node = Node::new(config, HeapPages::default()).unwrap();
    for thread in 0..3 {
        node.ipc().register_thread(ThreadId(thread)).unwrap();
    }
    let space = node.ipc().create_space(100_000).unwrap();
    (node, space)
}

/// One piece, with how many bytes it has.
fn piece<T: Row>(node: &Node<HeapPages>, cursor: u64) -> (Vec<T>, u64, usize) {
    let mut ipc: Ipc<_> = Ipc::new();
    let mut message = ipc.new_message().unwrap();
    let question = Question {
        table: T::TABLE,
        cursor,
    };
    question.write(&mut message.write().unwrap()).unwrap();
    let read = Question::read(&mut message.read().unwrap()).unwrap();
    assert_eq!(read, Some(question));
    let mut writer = message.write().unwrap();
    answer(node, &Fake, Instant(5), question, &mut writer).unwrap();
    let bytes = message.data().len();
    let mut rows = Vec::new();
    let ended = read_page(&mut message.read().unwrap(), |row| rows.push(row)).unwrap();
    assert_eq!(ended.now, 5);
    ipc.discard(message);
    (rows, ended.cursor, bytes)
}

fn whole<T: Row>(node: &Node<HeapPages>) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    while cursor != END {
        let (rows, next, bytes) = piece(node, cursor);
        assert!(bytes <= PAGE, "{bytes}");
        assert!(next > cursor, "a piece leads on");
        all.extend(rows);
        cursor = next;
    }
    all
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of ports take Miri minutes")]
fn thousands_of_ports_are_each_seen_once_in_pieces_that_are_bounded() {
    let (mut node, space) = node();
    let names: Vec<_> = (0..5000)
        .map(|_| node.ipc().allocate_port(space).unwrap())
        .collect();
    let ports: Vec<Ports> = whole(&node);
    assert_eq!(ports.len(), 5000);
    let different: BTreeSet<u64> = ports.iter().map(|port| port.port).collect();
    assert_eq!(different.len(), 5000);
    for (port, name) in ports.iter().zip(&names) {
        assert_eq!(port.holder, u64::from(Holder::Space));
        assert_eq!(port.holder_name, u64::from(name.raw()));
    }
    let listed: Vec<Names> = whole(&node);
    assert_eq!(listed.len(), 5000);
    assert!(
        listed
            .iter()
            .all(|row| row.flags == right::RECEIVE && row.sends == 0)
    );
    assert_eq!(whole::<Spaces>(&node)[0].names, 5000);
    assert_eq!(whole::<About>(&node)[0].ports, 5000);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of ports take Miri minutes")]
fn what_was_given_up_is_passed_over_a_bounded_number_at_a_time() {
    let (mut node, space) = node();
    let names: Vec<_> = (0..5000)
        .map(|_| node.ipc().allocate_port(space).unwrap())
        .collect();
    for name in &names[..4999] {
        node.ipc()
            .deallocate(space, *name, RightKind::Receive)
            .unwrap();
    }
    let (rows, next, _) = piece::<Ports>(&node, 0);
    assert_eq!((rows.len(), next), (0, u64::from(VISITS)));
    assert_eq!(whole::<Ports>(&node).len(), 1);
    assert_eq!(whole::<Names>(&node).len(), 1);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of ports take Miri minutes")]
fn ports_that_come_and_go_between_pieces_hide_none_that_stays() {
    let (mut node, space) = node();
    let stay: Vec<_> = (0..300)
        .map(|_| {
            let go = node.ipc().allocate_port(space).unwrap();
            (node.ipc().allocate_port(space).unwrap(), go)
        })
        .collect();
    let (mut seen, mut cursor, mut going) = (Vec::new(), 0, stay.iter());
    while cursor != END {
        let (rows, next, _) = piece::<Ports>(&node, cursor);
        seen.extend(rows.into_iter().map(|row| row.holder_name));
        cursor = next;
        for (_, go) in going.by_ref().take(20) {
            node.ipc()
                .deallocate(space, *go, RightKind::Receive)
                .unwrap();
        }
        node.ipc().allocate_port(space).unwrap();
    }
    for (name, _) in &stay {
        let times = seen
            .iter()
            .filter(|seen| **seen == u64::from(name.raw()))
            .count();
        assert_eq!(times, 1);
    }
}

#[test]
fn a_port_tells_its_name_queue_and_senders_and_a_thread_what_it_waits_for() {
    let (mut node, space) = node();
    let name = node.ipc().allocate_port(space).unwrap();
    let send = node.ipc().make_right(space, name, RightKind::Send).unwrap();
    node.ipc().insert(space, send).unwrap();
    let once = node
        .ipc()
        .make_right(space, name, RightKind::SendOnce)
        .unwrap();
    node.ipc().insert(space, once).unwrap();
    node.check_in(Instant(0), space, name, "shop").unwrap();
    for _ in 0..3 {
        let message = node.ipc().new_message().unwrap();
        let _ = node.send(Instant(0), space, name, message, None).unwrap();
    }
    let other = node.ipc().allocate_port(space).unwrap();
    let waiting = node
        .ipc()
        .receive_or_wait(ThreadId(2), space, other)
        .unwrap();
    assert!(waiting.is_none());

    let ports: Vec<Ports> = whole(&node);
    let shop = &ports[0];
    assert_eq!(
        (shop.name.as_str(), shop.queued, shop.limit),
        ("shop", 3, 16)
    );
    // One is the name table's.
    assert_eq!((shop.sends, shop.send_onces, shop.made), (2, 1, 1));
    let threads: Vec<Threads> = whole(&node);
    assert_eq!(
        threads.iter().map(|row| row.number).collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(threads[0].wait, u64::from(Wait::Nothing));
    assert_eq!(threads[1].wait, u64::from(Wait::Receive));
    assert_eq!(threads[1].object, ports[1].port);
    let names: Vec<Names> = whole(&node);
    let of_shop: Vec<_> = names.iter().filter(|row| row.port == shop.port).collect();
    assert_eq!(of_shop.len(), 2);
    assert_eq!(of_shop[0].flags, right::RECEIVE | right::SEND);
    assert_eq!((of_shop[0].sends, of_shop[1].flags), (1, right::SEND_ONCE));
    assert_eq!(whole::<Sessions>(&node), []);
    assert_eq!(whole::<Exports>(&node), []);
    assert_eq!(whole::<Imports>(&node), []);
}

#[test]
fn every_reason_for_which_a_frame_is_dropped_has_its_counter() {
    let (node, _) = node();
    let counters: Vec<Counters> = whole(&node);
    let reasons = |name: &str| counters.iter().filter(|row| row.name == name).count();
    assert_eq!(reasons("session_frames_dropped"), norma_net::Drop::COUNT);
    assert_eq!(
        reasons("flip_frames_dropped"),
        norma_flip::DropReason::COUNT
    );
    let different: BTreeSet<_> = counters.iter().map(|row| (&row.name, &row.label)).collect();
    assert_eq!(different.len(), counters.len());
    let last = counters.last().unwrap();
    assert_eq!((last.name.as_str(), last.value, last.kind), ("last", 77, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// A cursor comes from whoever asks.
    #[test]
    #[cfg_attr(miri, ignore = "takes Miri a minute")]
    fn no_cursor_harms(cursor in any::<u64>(), small in 0..40_u64) {
        let (mut node, space) = node();
        for _ in 0..30 {
            node.ipc().allocate_port(space).unwrap();
        }
        let inner = (small << 32) | u64::from(cursor as u32);
        let around = [cursor, small, small << 32, inner, END];
        for cursor in around {
            let (_, next, _) = piece::<Ports>(&node, cursor);
            prop_assert!(next > cursor || next == END);
            let (_, next, _) = piece::<Names>(&node, cursor);
            prop_assert!(next > cursor || next == END);
            piece::<Threads>(&node, cursor);
            piece::<Spaces>(&node, cursor);
            piece::<Sessions>(&node, cursor);
            piece::<Exports>(&node, cursor);
            piece::<Imports>(&node, cursor);
            piece::<Counters>(&node, cursor);
            piece::<About>(&node, cursor);
        }
    }

    /// A question and an answer may come from anybody.
    #[test]
    #[cfg_attr(miri, ignore = "takes Miri a minute")]
    fn no_bytes_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), flip in any::<(u16, u8)>()) {
        let mut ipc: Ipc<norma_ipc::HeapPage> = Ipc::new();
        let mut message = ipc.new_message().unwrap();
        let _ = message.write().unwrap();
        let typed = message.format();
        message.set_data(&bytes).unwrap();
        message.set_format(typed);
        let _ = Question::read(&mut message.read().unwrap());
        let _ = read_page::<Ports, _>(&mut message.read().unwrap(), |_| {});
        // And one that is nearly right.
        let (node, _) = node();
        let question = Question { table: Table::Counters, cursor: 0 };
        answer(&node, &Fake, Instant(0), question, &mut message.write().unwrap()).unwrap();
        let place = usize::from(flip.0) % message.data().len();
        message.data_mut()[place] ^= flip.1;
        let _ = read_page::<Counters, _>(&mut message.read().unwrap(), |_| {});
        ipc.discard(message);
    }
}

#[test]
fn a_row_of_another_version_is_read_as_far_as_it_is_known() {
    let mut ipc: Ipc<norma_ipc::HeapPage> = Ipc::new();
    let mut message = ipc.new_message().unwrap();
    let mut writer = message.write().unwrap();
    let long = "x".repeat(100);
    writer
        .text(&long)
        .unwrap()
        .text("b")
        .unwrap()
        .array(&[1_u64])
        .unwrap();
    let many: Vec<u64> = (0..100).collect();
    writer
        .text("c")
        .unwrap()
        .text("")
        .unwrap()
        .array(&many)
        .unwrap();
    writer.array(&[END, 9]).unwrap();
    let mut rows: Vec<Threads> = Vec::new();
    let ended = read_page(&mut message.read().unwrap(), |row| rows.push(row)).unwrap();
    assert_eq!((ended.cursor, ended.now), (END, 9));
    assert_eq!(rows[0].name.as_str(), &long[..64]);
    assert_eq!(
        (rows[0].number, rows[0].state, rows[0].reply_port),
        (1, 0, 0)
    );
    assert_eq!((rows[1].number, rows[1].reply_port), (0, 9));
    ipc.discard(message);
}

/// Whether the page has the table's line, with its names in their order.
fn is_documented<T: Row>() {
    let page = include_str!("../../../docs/inspection.md");
    let start = format!("| {} | {:?} |", T::TABLE as u32, T::TABLE).to_lowercase();
    let mut lines = page.lines().filter(|line| line.starts_with(&start));
    let line = lines.next().unwrap_or_else(|| panic!("no line `{start}`"));
    let words: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let names = T::NAMES.iter().copied().filter(|name| *name != "reserved");
    assert_eq!(words, names.collect::<Vec<_>>(), "{start}");
}

#[test]
fn the_page_has_every_table_as_it_is() {
    is_documented::<About>();
    is_documented::<Threads>();
    is_documented::<Ports>();
    is_documented::<Names>();
    is_documented::<Spaces>();
    is_documented::<Sessions>();
    is_documented::<Exports>();
    is_documented::<Imports>();
    is_documented::<Counters>();
}
