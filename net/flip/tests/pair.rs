//! Two nodes on one wire: locating, routes, datagrams, repair.

mod common;

use common::{Frame, Node, settle};
use norma_flip::limits::{
    ANNOUNCEMENTS, ANSWERS, EVENTS, LOCATE_BURST, LOCATE_STEPS, LOCATES, MISSING_LIFETIME,
    NOTHERE_BURST, ROUTE_LIFETIME,
};
use norma_flip::{Address, DropReason, Duration, Event, Input, Instant, Locate, NetworkId};
use norma_wire::ethernet;
use norma_wire::flip::Kind;

const START: Instant = Instant::from_millis(1000);

fn pair() -> (Node, Node) {
    (Node::new(1, 1500), Node::new(2, 1500))
}

/// Lets time pass to its next time-out; tells when that was.
fn advance(node: &mut Node) -> Option<Instant> {
    let now = node.flip.poll_timeout()?;
    node.flip.handle_timeout(now);
    Some(now)
}

/// W-15, W-16, W-17: one broadcast, one answer, a route.
#[test]
fn a_name_is_located() {
    let (mut one, mut two) = pair();
    let name = two.name(7);
    assert_eq!(one.flip.locate(START, name), Locate::Pending);
    let asked = one.give(START);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].stations().destination.is_broadcast());
    assert_eq!(
        (asked[0].header().kind, asked[0].header().maximum_hop),
        (Kind::Locate, 1)
    );
    assert!(matches!(two.take(START, &asked[0]), Input::Absorbed));
    let answers = two.give(START);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].stations().destination, one.station);
    assert_eq!(&answers[0].bytes()[54..], &[1, 0, 1, 0]);
    assert!(matches!(one.take(START, &answers[0]), Input::Absorbed));
    assert_eq!(one.events(), [Event::Located { address: name }]);
    let route = one.flip.route(START, name).unwrap();
    assert_eq!(
        (route.network, route.station, route.hops),
        (NetworkId(0), two.station, 1)
    );
    assert_eq!(one.flip.locate(START, name), Locate::Known(route));
    assert_eq!(one.flip.poll_timeout(), None);
    // The answer's twin was not asked for.
    let twin = one.take(START, &answers[0]);
    assert!(matches!(twin, Input::Dropped(DropReason::Unsolicited)));
}

/// W-15: the hop limit widens, the search ends within a second, and is not begun again at once.
#[test]
fn a_missing_name_is_given_up_in_time() {
    let (mut one, _) = pair();
    let name = Address(0x0200_0000_0000_0001);
    assert_eq!(one.flip.locate(START, name), Locate::Pending);
    assert_eq!(one.flip.locate(START, name), Locate::Pending, "merged");
    let mut limits = Vec::new();
    let mut now = START;
    while one.flip.counters().locates < LOCATE_STEPS.len() as u64 || one.events().is_empty() {
        limits.extend(one.give(now).iter().map(|frame| frame.header().maximum_hop));
        let Some(next) = advance(&mut one) else { break };
        now = next;
        if one
            .flip
            .poll_timeout()
            .is_some_and(|next| next - now == MISSING_LIFETIME)
        {
            break;
        }
    }
    assert_eq!(limits, LOCATE_STEPS.map(|(hops, _)| hops));
    assert_eq!(now - START, Duration::from_millis(960));
    assert!(limits.is_sorted() && limits.last() == Some(&25));
    assert_eq!(one.events(), [Event::NotLocated { address: name }]);
    assert_eq!(one.flip.locate(now, name), Locate::Missing);
    assert!(one.give(now).is_empty());
    assert_eq!(
        one.flip.locate(now + MISSING_LIFETIME, name),
        Locate::Pending
    );
}

#[test]
fn an_answer_that_comes_late_still_teaches_the_route() {
    let (mut one, mut two) = pair();
    let name = two.name(7);
    assert_eq!(one.flip.locate(START, name), Locate::Pending);
    let asked = one.give(START);
    drop(two.take(START, &asked[0]));
    let late = two.give(START);
    let mut now = START;
    while one.events().is_empty() {
        now = advance(&mut one).unwrap();
        one.give(now);
    }
    assert_eq!(one.flip.locate(now, name), Locate::Missing);
    assert!(matches!(one.take(now, &late[0]), Input::Absorbed));
    assert!(one.events().is_empty(), "its search has had its event");
    assert!(matches!(one.flip.locate(now, name), Locate::Known(_)));
}

#[test]
fn nothing_is_sought_that_is_here_or_without_an_address_to_answer_to() {
    let (mut one, _) = pair();
    let own = one.address;
    assert_eq!(one.flip.locate(START, own), Locate::Here);
    assert_eq!(one.flip.locate(START, Address::BROADCAST), Locate::Missing);
    let name = Address(5);
    assert_eq!(one.flip.locate(START, name), Locate::Pending);
    assert!(one.flip.unregister(own) && !one.flip.is_registered(own));
    assert_eq!(one.flip.locate(START, Address(6)), Locate::Missing);
    // The search under way runs out, without a broadcast and without spinning.
    let mut steps = 0;
    while let Some(now) = advance(&mut one) {
        assert!(one.give(now).is_empty());
        steps += 1;
        assert!(steps < 20);
    }
    assert_eq!(one.events(), [Event::NotLocated { address: name }]);
}

/// W-11: a datagram goes to whoever has its destination; both sides learn.
#[test]
fn datagrams_pass_both_ways() {
    let (mut one, mut two) = pair();
    let (to, from) = (two.address, one.address);
    assert!(one.datagram(START, to, b"early").is_none());
    assert_eq!(one.flip.counters().no_route, 1);
    assert_eq!(one.flip.locate(START, to), Locate::Pending);
    settle(START, &mut one, &mut two);
    for round in 0..3u8 {
        let payload = vec![round; 1000];
        let frame = one.datagram(START, to, &payload).unwrap();
        let Input::Deliver {
            source,
            destination,
            length,
        } = two.take(START, &frame)
        else {
            panic!("not delivered")
        };
        assert_eq!((source, destination, length), (from, to, 1000));
        assert_eq!(&frame.bytes()[54..], payload);
    }
    let frame = two
        .datagram(START, from, b"back")
        .expect("learnt from the datagram");
    assert!(matches!(
        one.take(START, &frame),
        Input::Deliver { length: 4, .. }
    ));
}

/// W-12: a route that nothing confirms ends; any datagram confirms it.
#[test]
fn routes_age() {
    let (mut one, mut two) = pair();
    let (to, from) = (two.address, one.address);
    let _ = one.flip.locate(START, to);
    settle(START, &mut one, &mut two);
    let half = START + ROUTE_LIFETIME / 2;
    let frame = two.datagram(half, from, b"x").unwrap();
    drop(one.take(half, &frame));
    assert!(one.flip.route(START + ROUTE_LIFETIME, to).is_some());
    assert!(one.flip.route(half + ROUTE_LIFETIME, to).is_none());
    assert!(one.datagram(half + ROUTE_LIFETIME, to, b"x").is_none());
}

/// W-14, W-18: a datagram for an address that has gone brings NOTHERE, and ends the route.
#[test]
fn an_address_that_has_gone_is_denied() {
    let (mut one, mut two) = pair();
    let name = two.name(7);
    let _ = one.flip.locate(START, name);
    settle(START, &mut one, &mut two);
    drop(one.events());
    two.flip.unregister(name);
    let frame = one.datagram(START, name, b"hello?").unwrap();
    assert!(matches!(
        two.take(START, &frame),
        Input::Dropped(DropReason::NotHere)
    ));
    let denial = two.give(START);
    assert_eq!(denial.len(), 1);
    // A third station cannot deny it.
    let forger = ethernet::EthernetAddress([2, 0, 0, 0, 0, 9]);
    let stations = ethernet::Repr {
        source: forger,
        ..denial[0].stations()
    };
    let forged = Frame::of(stations, denial[0].header(), |_| 0);
    assert!(matches!(
        one.take(START, &forged),
        Input::Dropped(DropReason::Unsolicited)
    ));
    assert!(matches!(one.take(START, &denial[0]), Input::Absorbed));
    let (destination, source) = (name, one.address);
    assert_eq!(
        one.events(),
        [Event::Unreachable {
            destination,
            source
        }]
    );
    assert_eq!(one.flip.route(START, name), None);
    assert!(matches!(
        one.take(START, &denial[0]),
        Input::Dropped(DropReason::Unsolicited)
    ));
}

/// W-14: a flood is not answered with a flood.
#[test]
fn denials_are_limited() {
    let (mut one, mut two) = pair();
    let name = two.name(7);
    let _ = one.flip.locate(START, name);
    settle(START, &mut one, &mut two);
    two.flip.unregister(name);
    for _ in 0..200 {
        let frame = one.datagram(START, name, b"").unwrap();
        drop(two.take(START, &frame));
    }
    assert_eq!(two.give(START).len(), NOTHERE_BURST as usize);
    assert_eq!(two.flip.counters().dropped_for(DropReason::NotHere), 200);
}

#[test]
fn answers_are_bounded() {
    let (mut one, mut two) = pair();
    let to = two.address;
    let _ = one.flip.locate(START, to);
    let asked = one.give(START);
    for _ in 0..ANSWERS {
        assert!(matches!(two.take(START, &asked[0]), Input::Absorbed));
    }
    assert!(matches!(
        two.take(START, &asked[0]),
        Input::Dropped(DropReason::NoRoom)
    ));
    assert_eq!(two.give(START).len(), ANSWERS);
}

/// W-15: searches are bounded in number and, all together, in rate; each has its result.
#[test]
fn locates_are_bounded_and_none_is_lost() {
    let (mut one, _) = pair();
    let pending = (1..=2 * LOCATES as u64)
        .filter(|number| one.flip.locate(START, Address(*number)) == Locate::Pending);
    assert_eq!(pending.count(), LOCATES);
    let (mut now, mut sent, mut steps) = (START, 0, 0);
    loop {
        sent += one.give(now).len();
        let most = u64::from(LOCATE_BURST) + (now - START).as_millis() as u64 / 2;
        assert!(sent as u64 <= most, "{sent} by {now:?}");
        let Some(next) = advance(&mut one) else { break };
        assert!(next > now || one.give(now).is_empty());
        (now, steps) = (next, steps + 1);
        assert!(steps < 10_000);
    }
    assert_eq!(sent, LOCATES * LOCATE_STEPS.len());
    let mut lost: Vec<_> = one.events();
    assert_eq!(lost.len(), LOCATES);
    lost.sort_by_key(|event| format!("{event:?}"));
    lost.dedup();
    assert_eq!(lost.len(), LOCATES);
    assert_eq!(one.flip.counters().events_lost, 0);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "hundreds of hashes, and nothing that the others have not"
)]
fn no_search_begins_that_has_no_room_for_its_event() {
    let (mut one, mut two) = pair();
    let mut found = 0;
    for bits in 0..2 * EVENTS as u64 {
        let name = two.name(bits);
        match one.flip.locate(START, name) {
            Locate::Pending => found += 1,
            Locate::Full => break,
            other => panic!("{other:?}"),
        }
        let now = START + Duration::from_millis(10 * bits);
        one.give(now)
            .iter()
            .for_each(|frame| drop(two.take(now, frame)));
        two.give(now)
            .iter()
            .for_each(|frame| drop(one.take(now, frame)));
    }
    assert_eq!(found, EVENTS);
    assert_eq!(one.events().len(), EVENTS);
    assert_eq!(one.flip.counters().events_lost, 0);
}

/// W-92: what is announced is heard by all, answered by none, and corrects old routes.
#[test]
fn an_address_is_announced() {
    let (mut one, mut two) = pair();
    let mut three = Node::new(3, 1500);
    let private = norma_flip::PrivateAddress::new(2, 7);
    let name = two.flip.register(private).unwrap();
    let _ = one.flip.locate(START, name);
    settle(START, &mut one, &mut two);
    drop(one.events());
    assert_eq!(three.flip.register(private), Ok(name));
    three.flip.announce(START, name, false).unwrap();
    three.flip.announce(START, name, true).unwrap();
    let said = three.give(START);
    assert_eq!(said.len(), 1, "said twice before its turn, it is sent once");
    let header = said[0].header();
    assert!(said[0].stations().destination.is_broadcast());
    assert_eq!((header.kind, header.maximum_hop), (Kind::Locate, 25));
    assert_eq!((header.source, header.destination), (name, three.address));
    for node in [&mut one, &mut two] {
        assert!(matches!(node.take(START, &said[0]), Input::Absorbed));
        assert!(node.give(START).is_empty());
        let [
            Event::Announced {
                address,
                node,
                settled,
                route,
            },
        ] = node.events()[..]
        else {
            panic!("an announcement is told of");
        };
        assert_eq!((address, node, settled), (name, three.address, true));
        assert_eq!(route.station, three.station);
    }
    assert_eq!(one.flip.route(START, name).unwrap().station, three.station);
    assert_eq!(two.flip.locate(START, name), Locate::Here);
    // Come back over other networks, it is not heard.
    let mut back = said[0].clone();
    back.head[6..12].copy_from_slice(&two.station.0);
    let back = three.take(START, &back);
    assert!(matches!(back, Input::Dropped(DropReason::BadSource)));
    // What was given up is not announced any more.
    three.flip.announce(START, name, true).unwrap();
    three.flip.unregister(name);
    assert!(three.give(START).is_empty());
    assert_eq!(three.flip.poll_timeout(), None);
}

/// W-92: announcements count among the LOCATEs in their rate.
#[test]
fn announcements_are_limited_in_rate() {
    let (mut one, _) = pair();
    for number in 0..ANNOUNCEMENTS as u64 {
        let name = one.name(number);
        one.flip.announce(START, name, false).unwrap();
    }
    let more = one.name(1000);
    assert!(one.flip.announce(START, more, false).is_err());
    let _ = one.flip.locate(START, Address(9));
    assert_eq!(one.give(START).len(), LOCATE_BURST as usize);
    let next = one.flip.poll_timeout().unwrap();
    assert!(next > START && next <= START + Duration::from_millis(2));
    assert_eq!(one.give(next).len(), 1);
}

/// Who asks once sends one LOCATE, as far as any goes, and learns soon that there was no answer.
#[test]
fn an_address_is_sought_once() {
    let (mut one, _) = pair();
    let name = Address(0x0200_0000_0000_0001);
    assert_eq!(one.flip.locate_once(START, name), Locate::Pending);
    let asked = one.give(START);
    assert_eq!((asked.len(), asked[0].header().maximum_hop), (1, 25));
    // Whoever asks for more meanwhile gets it.
    let both = Address(0x0200_0000_0000_0002);
    assert_eq!(one.flip.locate_once(START, both), Locate::Pending);
    one.give(START);
    assert_eq!(one.flip.locate(START, both), Locate::Pending);
    let now = advance(&mut one).unwrap();
    assert_eq!(one.events(), [Event::NotLocated { address: name }]);
    assert_eq!(one.give(now)[0].header().destination, both);
}

/// W-15: a search widens however often it is asked for meanwhile.
#[test]
fn whoever_asks_again_and_again_does_not_hold_a_search_back() {
    let (mut one, _) = pair();
    let name = Address(0x0200_0000_0000_0001);
    let (mut now, mut hops) = (START, Vec::new());
    for _ in 0..100 {
        let _ = one.flip.locate(now, name);
        hops.extend(one.give(now).iter().map(|frame| frame.header().maximum_hop));
        now += Duration::from_millis(10);
    }
    let widening = [1, 1, 3, 3, 7, 7, 15, 15];
    assert_eq!(hops[..8], widening);
    assert_eq!(hops[8..], [25; 8]);
}

/// An address that moves to another station is found there from its first packet on.
#[test]
fn a_receiver_moves() {
    let (mut one, mut two) = pair();
    let mut three = Node::new(3, 1500);
    let private = norma_flip::PrivateAddress::new(2, 7);
    let name = two.flip.register(private).unwrap();
    let _ = one.flip.locate(START, name);
    settle(START, &mut one, &mut two);
    assert_eq!(one.flip.route(START, name).unwrap().station, two.station);
    two.flip.unregister(name);
    assert_eq!(three.flip.register(private), Ok(name));
    let lost = one.datagram(START, name, b"x").unwrap();
    drop(two.take(START, &lost));
    settle(START, &mut one, &mut two);
    drop(one.events());
    assert_eq!(one.flip.locate(START, name), Locate::Pending);
    settle(START, &mut one, &mut three);
    assert_eq!(one.events(), [Event::Located { address: name }]);
    assert_eq!(one.flip.route(START, name).unwrap().station, three.station);
}
