//! Datagrams in pieces: cut, shuffled, repeated, and joined again or dropped.

mod common;

use common::{Frame, Node, cases, settle};
use norma_flip::limits::{
    FRAGMENTED, MAX_DATAGRAM, REASSEMBLIES, REASSEMBLY_PAGES, REASSEMBLY_TIMEOUT,
};
use norma_flip::{Address, DropReason, FragmentError, Input, Instant, PREFIX};
use norma_wire::flip;
use proptest::prelude::*;

const START: Instant = Instant::from_millis(1000);

/// Two nodes that know each other.
fn pair(mtu: u16) -> (Node, Node) {
    let (mut one, mut two) = (Node::new(1, mtu), Node::new(2, mtu));
    let to = two.address;
    let _ = one.flip.locate(START, to);
    settle(START, &mut one, &mut two);
    drop(one.events());
    (one, two)
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// The fragments of a datagram with this payload.
fn cut(one: &mut Node, to: Address, payload: &[u8]) -> Result<Vec<Frame>, FragmentError> {
    let mut bytes = vec![0; PREFIX];
    bytes.extend(payload);
    let mut frame = Frame::from_bytes(&bytes);
    let from = one.address;
    one.flip.fragment(START, to, from, &mut frame.outgoing())?;
    Ok(one.give(START))
}

/// The payload of a reassembled datagram.
fn joined(input: Input<norma_ipc::HeapPage>) -> Option<Vec<u8>> {
    let Input::Reassembled {
        length,
        mut datagram,
        ..
    } = input
    else {
        return None;
    };
    let frame = datagram.incoming();
    assert_eq!(frame.length, PREFIX + length);
    let header = flip::Repr::parse(&flip::Packet::new_checked(&frame.head[14..]).unwrap());
    assert!(header.offset == 0 && header.length == header.total && header.total as usize == length);
    let mut bytes = vec![0; length];
    assert!(frame.copy_to(PREFIX, &mut bytes));
    Some(bytes)
}

proptest! {
    #![proptest_config(cases(200))]

    /// W-13: in any order and with repetitions, a datagram arrives as it was, once.
    #[test]
    fn fragments_in_any_order_make_the_datagram(
        length in 1461usize..40_000, mtu in 1500u16..9000, swaps in proptest::collection::vec((0usize..64, 0usize..64), 0..6),
        repeats in proptest::collection::vec(0usize..64, 0..5),
    ) {
        let (mut one, mut two) = pair(mtu);
        prop_assume!(one.flip.needs_fragmenting(norma_flip::NetworkId::FIRST, length));
        let sent = payload(length);
        let to = two.address;
        let mut frames = cut(&mut one, to, &sent).unwrap();
        for frame in &frames {
            prop_assert!(frame.length <= 14 + usize::from(mtu));
        }
        for (a, b) in swaps {
            let count = frames.len();
            frames.swap(a % count, b % count);
        }
        for at in repeats {
            let at = at % frames.len();
            frames.insert(at, frames[at].clone());
        }
        let got: Vec<_> = frames.iter().filter_map(|frame| joined(two.take(START, frame))).collect();
        // A repetition of a fragment after the datagram was complete begins another, which ends
        // by its time-out.
        prop_assert_eq!(got, vec![sent]);
        two.flip.handle_timeout(START + REASSEMBLY_TIMEOUT);
        prop_assert_eq!(two.flip.poll_timeout(), None);
    }

    /// Arbitrary pieces: what is delivered has every byte from a piece that covered it.
    #[test]
    fn overlapping_pieces_never_mix(pieces in proptest::collection::vec((0u32..20, 1u32..20, any::<u8>()), 1..30)) {
        let (one, mut two) = pair(1500);
        let total = 200;
        for (at, count, colour) in pieces {
            let (offset, length) = (at * 10, (count * 10).min(total - at * 10));
            let frame = piece(&one, &two, 1, offset, length, total, colour);
            if let Some(bytes) = joined(two.take(START, &frame)) {
                prop_assert_eq!(bytes.len(), total as usize);
                prop_assert!(bytes.chunks(10).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])));
            }
        }
    }
}

/// A fragment made by hand, all of one colour.
fn piece(
    one: &Node,
    two: &Node,
    id: u32,
    offset: u32,
    length: u32,
    total: u32,
    colour: u8,
) -> Frame {
    let header = flip::Repr {
        kind: flip::Kind::UniData,
        flags: flip::Flags::empty(),
        actual_hop: 1,
        maximum_hop: 25,
        destination: two.address,
        source: one.address,
        message_id: id,
        length,
        offset,
        total,
    };
    let stations = norma_wire::ethernet::Repr {
        destination: two.station,
        source: one.station,
    };
    Frame::of(stations, header, |_| colour)
}

/// W-13: a part that overlaps known bytes without being a copy condemns the datagram.
#[test]
fn overlap_and_contradiction_end_a_datagram() {
    let (one, mut two) = pair(1500);
    assert!(matches!(
        two.take(START, &piece(&one, &two, 1, 0, 100, 200, 1)),
        Input::Absorbed
    ));
    let overlap = two.take(START, &piece(&one, &two, 1, 50, 100, 200, 2));
    assert!(matches!(overlap, Input::Dropped(DropReason::Overlap)));
    // The rest does not complete it.
    assert!(matches!(
        two.take(START, &piece(&one, &two, 1, 100, 100, 200, 1)),
        Input::Absorbed
    ));
    let other = two.take(START, &piece(&one, &two, 1, 0, 100, 300, 1));
    assert!(matches!(other, Input::Dropped(DropReason::WrongTotal)));
    assert_eq!(two.flip.poll_timeout(), None);
    let empty = two.take(START, &piece(&one, &two, 1, 0, 0, 300, 1));
    assert!(matches!(
        empty,
        Input::Dropped(DropReason::Wire(norma_wire::Error::WrongLength))
    ));
    let long = two.take(
        START,
        &piece(&one, &two, 1, 0, 10, MAX_DATAGRAM as u32 + 1, 1),
    );
    assert!(matches!(long, Input::Dropped(DropReason::TooLong)));
}

#[test]
fn a_datagram_with_too_many_gaps_is_dropped() {
    let (one, mut two) = pair(1500);
    let inputs =
        (0..40).map(|number| two.take(START, &piece(&one, &two, 1, number * 20, 10, 2000, 1)));
    let dropped = inputs.filter(|input| matches!(input, Input::Dropped(DropReason::TooManyRanges)));
    assert!(dropped.count() > 0);
}

/// Incomplete datagrams are bounded in number, memory and time; the oldest goes first.
#[test]
fn incomplete_datagrams_are_bounded() {
    let (one, mut two) = pair(1500);
    for id in 0..2 * REASSEMBLIES as u32 {
        drop(two.take(START, &piece(&one, &two, id, 0, 10, 100, 1)));
    }
    assert_eq!(two.flip.counters().reassembly_evicted, REASSEMBLIES as u64);
    // The youngest is there still.
    let id = 2 * REASSEMBLIES as u32 - 1;
    let last = two.take(START, &piece(&one, &two, id, 10, 90, 100, 1));
    assert_eq!(joined(last).map(|bytes| bytes.len()), Some(100));
    assert_eq!(two.flip.poll_timeout(), Some(START + REASSEMBLY_TIMEOUT));
    two.flip.handle_timeout(START + REASSEMBLY_TIMEOUT);
    assert_eq!(
        two.flip.counters().reassembly_timeouts,
        REASSEMBLIES as u64 - 1
    );
    assert_eq!(two.flip.poll_timeout(), None);

    let before = two.memory.left;
    for id in 0..2 * REASSEMBLIES as u32 {
        drop(two.take(
            START,
            &piece(&one, &two, 100 + id, 0, 10, MAX_DATAGRAM as u32, 1),
        ));
    }
    assert!(before - two.memory.left >= REASSEMBLY_PAGES);
    two.memory.left = 3;
    let starved = two.take(
        START,
        &piece(&one, &two, 999, 0, 10, MAX_DATAGRAM as u32, 1),
    );
    assert!(matches!(starved, Input::Dropped(DropReason::NoMemory)));
}

#[test]
fn a_refused_datagram_is_left_as_it_was() {
    let (mut one, two) = pair(1500);
    let from = one.address;
    let mut bytes = vec![0; PREFIX];
    bytes.extend(payload(5000));
    for number in 0..=FRAGMENTED {
        let mut frame = Frame::from_bytes(&bytes);
        let result = one
            .flip
            .fragment(START, two.address, from, &mut frame.outgoing());
        if number == FRAGMENTED {
            assert_eq!(result, Err(FragmentError::Full));
            assert_eq!(frame.bytes(), bytes);
        } else {
            assert_eq!(result, Ok(()));
            assert!(frame.pages.is_empty());
        }
    }
    let mut frame = Frame::from_bytes(&bytes);
    let nowhere = one
        .flip
        .fragment(START, Address(9), from, &mut frame.outgoing());
    assert_eq!(nowhere, Err(FragmentError::NoRoute));
    frame.length += 10_000;
    let unsound = one
        .flip
        .fragment(START, two.address, from, &mut frame.outgoing());
    assert_eq!(unsound, Err(FragmentError::BadLength));
}

#[test]
fn fragments_without_memory_or_route_are_given_up() {
    let (mut one, two) = pair(9000);
    one.memory.left = 1;
    assert_eq!(
        cut(&mut one, two.address, &payload(20_000)).map(|frames| frames.len()),
        Ok(0)
    );
    assert_eq!(one.flip.counters().fragmenting_failed, 1);
    one.memory.left = 100;
    assert_eq!(
        cut(&mut one, two.address, &payload(20_000)).map(|frames| frames.len()),
        Ok(3)
    );
}
