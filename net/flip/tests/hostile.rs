//! Whatever comes over the wire: nothing panics, everything dropped is counted.

mod common;

use common::{Frame, Node, cases};
use norma_flip::{
    Address, Config, DropReason, Duration, HEAD, Incoming, Input, Instant, NetworkId, Route,
};
use norma_wire::ethernet::{self, EthernetAddress};
use norma_wire::{Error, flip};
use proptest::prelude::*;

const START: Instant = Instant::from_millis(1000);
const PEER: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const PEER_ADDRESS: Address = Address(0x0100_0000_0000_0bee);

fn header(destination: Address) -> flip::Repr {
    flip::Repr {
        kind: flip::Kind::UniData,
        flags: flip::Flags::empty(),
        actual_hop: 1,
        maximum_hop: 25,
        destination,
        source: PEER_ADDRESS,
        message_id: 3,
        length: 62,
        offset: 0,
        total: 62,
    }
}

fn reason(input: Input<norma_ipc::HeapPage>) -> Option<DropReason> {
    if let Input::Dropped(reason) = input {
        Some(reason)
    } else {
        None
    }
}

/// W-1 to W-8: every check has its counter.
#[test]
fn each_fault_has_its_reason() {
    let mut node = Node::new(1, 1500);
    let good = header(node.address);
    let stations = ethernet::Repr {
        destination: node.station,
        source: PEER,
    };
    let mut expect = |stations, header, change: &dyn Fn(&mut Frame), expected| {
        let mut frame = Frame::of(stations, header, |_| 0);
        change(&mut frame);
        let before = node.flip.counters().dropped_in_all();
        let got = reason(node.take(START, &frame));
        assert_eq!(got, expected);
        let dropped = node.flip.counters().dropped_in_all() - before;
        assert_eq!(dropped, u64::from(expected.is_some()));
    };
    let none = |_: &mut Frame| {};
    let wire = |error| Some(DropReason::Wire(error));
    expect(stations, good, &none, None);
    expect(stations, good, &|frame| frame.length += 10, None); // padding of the link
    expect(
        stations,
        good,
        &|frame| frame.length = 53,
        wire(Error::TooShort),
    );
    expect(
        stations,
        good,
        &|frame| frame.head[12] = 8,
        wire(Error::WrongEtherType),
    );
    expect(
        stations,
        good,
        &|frame| frame.head[14] = 2,
        wire(Error::WrongVersion),
    );
    expect(
        stations,
        good,
        &|frame| frame.head[15] = 7,
        wire(Error::WrongType),
    );
    expect(
        stations,
        good,
        &|frame| frame.length -= 1,
        wire(Error::WrongLength),
    );
    expect(
        stations,
        good,
        &|frame| frame.length = 60_000,
        wire(Error::WrongLength),
    );
    expect(
        stations,
        flip::Repr { offset: 1, ..good },
        &none,
        wire(Error::WrongLength),
    );
    expect(
        stations,
        flip::Repr {
            offset: u32::MAX,
            ..good
        },
        &none,
        wire(Error::WrongLength),
    );
    expect(
        ethernet::Repr {
            destination: EthernetAddress([2, 9, 9, 9, 9, 9]),
            ..stations
        },
        good,
        &none,
        Some(DropReason::OtherStation),
    );
    let group = EthernetAddress([3, 0, 0, 0, 0, 0]);
    let from_group = ethernet::Repr {
        source: group,
        ..stations
    };
    expect(from_group, good, &none, Some(DropReason::BadStation));
    let from_us = ethernet::Repr {
        source: stations.destination,
        ..stations
    };
    expect(from_us, good, &none, Some(DropReason::BadStation));
    let to_all = ethernet::Repr {
        destination: EthernetAddress::BROADCAST,
        ..stations
    };
    expect(to_all, good, &none, Some(DropReason::Unsupported));
    expect(
        stations,
        flip::Repr {
            actual_hop: 26,
            ..good
        },
        &none,
        Some(DropReason::HopLimit),
    );
    let nobody = flip::Repr {
        source: Address::BROADCAST,
        ..good
    };
    expect(stations, nobody, &none, Some(DropReason::BadSource));
    let us = flip::Repr {
        source: good.destination,
        ..good
    };
    expect(stations, us, &none, Some(DropReason::BadSource));
    let gone = flip::Repr {
        destination: Address(77),
        ..good
    };
    expect(stations, gone, &none, Some(DropReason::NotHere));
    let not_here = Some(DropReason::NotHere);
    let multicast = flip::Repr {
        kind: flip::Kind::MultiData,
        ..gone
    };
    expect(stations, multicast, &none, not_here);
    let complaint = |kind, destination| flip::Repr {
        kind,
        destination,
        length: 0,
        total: 0,
        ..good
    };
    let everywhere = EthernetAddress::BROADCAST;
    let loud = ethernet::Repr {
        destination: everywhere,
        ..stations
    };
    expect(loud, good, &none, Some(DropReason::Unsupported));
    for kind in [flip::Kind::NotHere, flip::Kind::Untrusted] {
        expect(stations, complaint(kind, Address(77)), &none, not_here);
    }
    let mut answer = complaint(flip::Kind::HereIs, good.destination);
    expect(stations, answer, &none, wire(Error::WrongLength));
    (answer.length, answer.total) = (4, 4);
    expect(stations, answer, &none, wire(Error::BadField)); // nobody is there
    let one = |frame: &mut Frame| frame.head[54] = 1;
    expect(stations, answer, &one, Some(DropReason::Unsolicited));
}

#[test]
fn reasons_have_distinct_places_and_names() {
    let mut names = DropReason::NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DropReason::COUNT);
    assert_eq!(DropReason::Untrusted.index(), DropReason::COUNT - 1);
    assert_eq!(DropReason::Overlap.name(), "overlap");
    assert_eq!(DropReason::Wire(Error::BadField).name(), "bad_field");
}

/// A frame that is nearly right: most interesting paths lie behind many checks.
fn nearly(node: &Node) -> impl Strategy<Value = Frame> + use<> {
    let own = (node.station, node.address);
    let address =
        prop_oneof![4 => Just(own.1), 2 => Just(PEER_ADDRESS), 1 => (0u64..3).prop_map(Address)];
    let numbers = (0u32..3, 0u32..70, 0u32..140, 0u32..200, any::<bool>());
    (
        1u8..=6,
        address.clone(),
        address,
        numbers,
        0u16..30,
        0u8..4,
        any::<u8>(),
    )
        .prop_map(
            move |(
                kind,
                destination,
                source,
                (id, length, offset, total, whole),
                hop,
                bits,
                flags,
            )| {
                let header = flip::Repr {
                    kind: flip::Kind::from_u8(kind).unwrap(),
                    flags: flip::Flags::from_bits_retain(flags),
                    actual_hop: hop,
                    maximum_hop: 25,
                    destination,
                    source,
                    message_id: id,
                    length,
                    offset: if whole { 0 } else { offset },
                    total: if whole { length } else { total },
                };
                let to = if bits & 1 == 0 {
                    own.0
                } else {
                    EthernetAddress::BROADCAST
                };
                let stations = ethernet::Repr {
                    destination: to,
                    source: PEER,
                };
                Frame::of(stations, header, |at| at as u8)
            },
        )
}

#[derive(Clone, Debug)]
enum Step {
    Frame(Vec<u8>),
    Locate(u64),
    Wait(u64),
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nearly = nearly(&Node::new(1, 1500)).prop_map(|frame| Step::Frame(frame.bytes()));
    let noise = proptest::collection::vec(any::<u8>(), 0..300).prop_map(Step::Frame);
    let step = prop_oneof![
        6 => nearly,
        1 => noise,
        1 => (0u64..5).prop_map(Step::Locate),
        1 => (0u64..2000).prop_map(Step::Wait),
        1 => Just(Step::Poll),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 80 })
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn no_sequence_of_frames_panics(steps in steps(), memory in 0usize..40) {
        let mut node = Node::new(1, 1500);
        node.memory.left = memory;
        let mut now = START;
        for step in steps {
            match step {
                Step::Frame(bytes) => drop(node.take(now, &Frame::from_bytes(&bytes))),
                Step::Locate(number) => { let _ = node.flip.locate(now, Address(number)); },
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    node.flip.handle_timeout(now);
                }
                Step::Poll => {
                    drop(node.give(now));
                    drop(node.events());
                }
            }
        }
        let counters = node.flip.counters();
        prop_assert!(counters.delivered + counters.dropped_in_all() <= counters.received);
    }

    /// The same at a router between a large and a small network. Whatever it is told to pass on,
    /// what waits is bounded, fits its network, and drains.
    #[test]
    fn no_sequence_of_frames_harms_a_router(steps in steps(), sides in proptest::collection::vec(any::<bool>(), 80), memory in 0usize..60) {
        let mut node = Node::new(1, 9000);
        let second = Config { mac: node.station.0, mtu: 576 };
        let networks = [NetworkId::FIRST, node.flip.add_network(second).unwrap()];
        node.memory.left = memory;
        let mut now = START;
        for (step, side) in steps.into_iter().zip(sides) {
            match step {
                Step::Frame(bytes) => {
                    let mut frame = Frame::from_bytes(&bytes);
                    let mut incoming = Incoming { head: &frame.head, length: frame.length, pages: &mut frame.pages };
                    let network = networks[usize::from(side)];
                    drop(node.flip.handle_frame(now, network, &mut incoming, &mut node.memory));
                }
                Step::Locate(number) => { let _ = node.flip.locate(now, Address(number)); },
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    node.flip.handle_timeout(now);
                }
                Step::Poll => drop(node.events()),
            }
        }
        for (network, mtu) in networks.into_iter().zip([9000, 576]) {
            let mut sent = 0;
            loop {
                let mut frame = Frame::new();
                let mut outgoing = frame.outgoing();
                if !node.flip.poll_transmit(now, network, &mut outgoing, &mut node.memory) {
                    break;
                }
                prop_assert!(outgoing.length <= 14 + mtu);
                sent += 1;
                prop_assert!(sent < 1000);
            }
        }
        prop_assert!(!node.flip.is_crowded() && !node.flip.wants_transmit(now));
    }

    /// Lengths that contradict the memory in which the frame lies, as from a hostile device.
    #[test]
    fn unsound_frames_are_dropped(length: usize, head in 0usize..=HEAD, declared in 0u32..70_000) {
        let mut node = Node::new(1, 1500);
        let header = flip::Repr { length: declared, total: declared, ..header(node.address) };
        let stations = ethernet::Repr { destination: node.station, source: PEER };
        let frame = Frame::of(stations, flip::Repr { length: 100, total: 100, ..header }, |_| 0);
        let mut bytes = frame.head;
        header.emit(norma_wire::layout::flip_mut(&mut bytes));
        let mut frame = Incoming { head: &bytes[..head], length, pages: &mut [] };
        let input = node.flip.handle_frame(START, norma_flip::NetworkId::FIRST, &mut frame, &mut node.memory);
        if let Input::Deliver { length: payload, .. } = input {
            prop_assert!(54 + payload <= length && length <= head);
        }
    }

    /// The short path for the common packet decides as the general one does: a node that knows
    /// the source and one that has just been told to look again agree on every frame.
    #[test]
    fn the_fast_path_decides_as_the_general_one(changed in nearly(&Node::new(1, 1500)), tail in 0usize..4) {
        let (mut fast, mut general) = (Node::new(1, 1500), Node::new(1, 1500));
        let stations = ethernet::Repr { destination: fast.station, source: PEER };
        let first = Frame::of(stations, header(fast.address), |_| 0);
        for node in [&mut fast, &mut general] {
            node.name(1);
            drop(node.take(START, &first));
        }
        // To register an address, even again, makes the next packet be looked at in full.
        general.name(1);
        let mut frame = changed;
        frame.length += tail;
        let told = (fast.take(START, &frame), general.take(START, &frame));
        prop_assert_eq!(format!("{:?}", told.0), format!("{:?}", told.1));
        // What a flag says of trust, the short path takes note of a second later; routers do at
        // once, and it is they who keep packets on trusted networks.
        let route = |node: &Node| {
            node.flip.route(START, PEER_ADDRESS).map(|route| Route { trusted: false, ..route })
        };
        prop_assert_eq!(route(&fast), route(&general));
    }
}
