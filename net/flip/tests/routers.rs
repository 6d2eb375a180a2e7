//! Several networks: what routers pass on, cut, and refuse.
// Whole networks are not for Miri, which `hostile` shows a router.
#![cfg(not(miri))]

mod common;

use common::cases;
use common::internet::{Faults, Internet, START};
use norma_flip::limits::{LOCATE_STEPS, NETWORKS, RECENT_LIFETIME, TRANSIT};
use norma_flip::{Address, Config, DropReason, Duration, Event, Full, Locate, NetworkId};
use proptest::prelude::*;

const LARGE: u16 = 65_521;

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// `a` on the first network, `b` on the last, and a router between each two.
fn row(mtus: &[u16]) -> (Internet, usize, usize) {
    let mut net = Internet::new(mtus);
    let (a, b) = (net.host(&[0]), net.host(&[mtus.len() - 1]));
    for network in 1..mtus.len() {
        net.host(&[network - 1, network]);
    }
    (net, a, b)
}

#[test]
fn a_node_is_on_a_bounded_number_of_networks() {
    let mut net = Internet::new(&[1500]);
    let host = net.host(&[0]);
    let flip = &mut net.hosts[host].flip;
    let config = Config {
        mac: [2, 9, 9, 9, 9, 9],
        mtu: 1500,
    };
    for number in 1..NETWORKS as u8 {
        assert_eq!(flip.add_network(config), Ok(NetworkId(number)));
    }
    assert_eq!(flip.add_network(config), Err(Full));
    assert_eq!(flip.networks(), NETWORKS);
}

/// W-71, W-72, W-73: the ends of three networks in a row find each other and talk.
#[test]
fn three_networks_in_a_row() {
    let (mut net, a, b) = row(&[1500, 1500, 1500]);
    let name = net.listen(b, 5);
    assert!(net.find(a, name));
    let route = net.hosts[a].flip.route(net.now, name).unwrap();
    assert_eq!(route.hops, 3);
    assert!(net.send(a, name, b"there"));
    net.run(Duration::from_millis(1));
    let got = net.hosts[b].inbox[0].clone();
    assert_eq!((got.source, got.destination), (net.address(a), name));
    assert_eq!(net.taken(b), [b"there"]);
    let back = net.address(a);
    assert!(net.send(b, back, b"and back"), "learnt from the datagram");
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(a), [b"and back"]);
    for router in [2, 3] {
        assert_eq!(net.hosts[router].flip.counters().forwarded, 2);
    }
}

/// W-73: the router in the middle cuts what is too large for its second network, the receiver
/// puts it together.
#[test]
fn a_router_cuts_for_the_smaller_network() {
    for length in [100, 1460, 1461, 4222, 20_000, 60_000, 65_481] {
        let (mut net, a, b) = row(&[LARGE, 1500, LARGE]);
        let to = net.address(b);
        assert!(net.find(a, to));
        let sent = payload(length);
        assert!(net.send(a, to, &sent));
        net.run(Duration::from_millis(10));
        assert!(net.taken(b) == [sent], "{length} bytes");
    }
}

/// W-70: a search tells both ends what fits the networks between them.
#[test]
fn a_search_learns_what_fits_the_way() {
    let (mut net, a, b) = row(&[LARGE, 1500, 9000]);
    let (from, to) = (net.address(a), net.address(b));
    assert!(net.find(a, to));
    let now = net.now;
    assert_eq!(net.hosts[a].flip.path_payload(now, to), Some(1460));
    assert_eq!(net.hosts[b].flip.path_payload(now, from), Some(1460));
    assert!(net.send(a, to, b"x"));
    net.run(Duration::from_millis(1));
    let kept = net.hosts[b].flip.path_payload(net.now, from);
    assert_eq!(
        kept,
        Some(1460),
        "a datagram does not say, and the way is the same"
    );
    // On one network it is what both cards carry.
    let near = net.host(&[2]);
    let there = net.address(near);
    assert!(net.find(b, there));
    assert_eq!(net.hosts[b].flip.path_payload(net.now, there), Some(8960));
}

/// W-15: a search goes only as far as its hop limit, which widens.
#[test]
fn a_search_widens_network_by_network() {
    let (mut net, a, _) = row(&[1500; 5]);
    let _ = net.hosts[a].flip.locate(START, Address(77));
    net.run(LOCATE_STEPS[0].1 - Duration::from_millis(1));
    assert_eq!(net.frames, [1, 0, 0, 0, 0]);
    let to_three = LOCATE_STEPS[0].1 + LOCATE_STEPS[1].1;
    net.run(to_three);
    assert_eq!(net.frames, [3, 1, 1, 0, 0]);
    net.run(Duration::from_secs(2));
    assert!(net.frames[4] > 0);
    assert_eq!(
        net.hosts[a].events,
        [Event::NotLocated {
            address: Address(77)
        }]
    );
}

/// W-7, W-73: what has crossed as many networks as it may goes no further.
#[test]
fn the_hop_limit_holds() {
    let (mut net, a, b) = row(&[1500; 4]);
    let to = net.address(b);
    assert!(net.find(a, to));
    assert!(net.send(a, to, b"x"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(b).len(), 1);
    // One that may cross two is refused by the second router, which says so.
    let mut frame = common::Frame::from_bytes(&[0; 60]);
    let (now, from) = (net.now, net.address(a));
    let (flip, id) = (&mut net.hosts[a].flip, NetworkId::FIRST);
    let mut outgoing = frame.outgoing();
    flip.emit(now, id, to, from, 6, &mut outgoing).unwrap();
    frame.length = outgoing.length;
    frame.head[20..22].copy_from_slice(&2u16.to_le_bytes());
    net.put(a, 0, frame);
    net.run(Duration::from_millis(1));
    assert!(net.taken(b).is_empty());
    let unreachable = Event::Unreachable {
        destination: to,
        source: from,
    };
    assert_eq!(net.hosts[a].events.last(), Some(&unreachable));
}

/// W-14, W-18, W-73: NOTHERE travels back over the routers; each forgets the route, the sender
/// locates anew and finds where the address has gone.
#[test]
fn a_receiver_that_moves_is_found_again_across_networks() {
    let mut net = Internet::new(&[1500; 3]);
    let (a, b, c) = (net.host(&[0]), net.host(&[2]), net.host(&[1]));
    let routers = [net.host(&[0, 1]), net.host(&[1, 2])];
    let name = net.listen(b, 9);
    assert!(net.find(a, name));
    net.hosts[b].flip.unregister(name);
    assert_eq!(net.listen(c, 9), name);
    assert!(net.send(a, name, b"lost"));
    net.run(Duration::from_millis(2));
    let source = net.address(a);
    let gone = Event::Unreachable {
        destination: name,
        source,
    };
    assert_eq!(net.hosts[a].events.last(), Some(&gone));
    for host in [a, routers[0], routers[1]] {
        assert_eq!(net.hosts[host].flip.route(net.now, name), None);
        assert_eq!(net.hosts[host].flip.counters().routes_denied, 1);
    }
    assert!(net.find(a, name));
    assert!(net.send(a, name, b"found"));
    net.run(Duration::from_millis(2));
    assert_eq!(net.taken(c), [b"found"]);
}

/// A router that has forgotten a route says NOTHERE itself: the sender asks anew, nothing waits
/// for a time-out.
#[test]
fn a_router_without_a_route_says_so() {
    let (mut net, a, b) = row(&[1500, 1500]);
    let to = net.address(b);
    assert!(net.find(a, to));
    // The router is started anew, with the same cards.
    let mut same = Internet::new(&[1500, 1500]);
    let router = [same.host(&[0]), same.host(&[1]), same.host(&[0, 1])][2];
    core::mem::swap(&mut net.hosts[router].flip, &mut same.hosts[router].flip);
    assert!(net.send(a, to, b"lost"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.hosts[a].flip.route(net.now, to), None);
    assert!(net.find(a, to) && net.send(a, to, b"found"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(b), [b"found"]);
}

/// W-71: a router that knows the way sends a search there alone; if what it knew is wrong, the
/// next search goes everywhere.
#[test]
fn a_known_way_is_asked_first_and_a_wrong_one_only_once() {
    let mut net = Internet::new(&[1500; 4]);
    let (a, other, b) = (net.host(&[0]), net.host(&[0]), net.host(&[1]));
    let router = net.host(&[0, 1, 2, 3]);
    let c = net.host(&[3]);
    let name = net.listen(b, 3);
    assert!(net.find(a, name));
    let before = net.frames.clone();
    assert!(net.find(other, name));
    assert_eq!(net.frames[2] - before[2], 0, "nobody else was asked");
    assert_eq!(net.hosts[router].flip.counters().locates_directed, 1);
    // The name dies with its node, and is found elsewhere though the router knew otherwise.
    net.cut[1] = true;
    assert_eq!(net.listen(c, 3), name);
    let third = net.host(&[0]);
    assert!(
        net.find(third, name),
        "the caches of routers answer for nobody"
    );
    assert_eq!(net.hosts[router].flip.counters().locates_directed, 2);
    assert!(net.send(third, name, b"x"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(c).len(), 1);
}

/// Two routers between the same two networks, and three in a ring: a search crosses each network
/// once per router, and comes to rest.
#[test]
fn loops_do_no_harm() {
    let rings: [&[&[usize]]; 3] = [
        &[&[0, 1], &[0, 1]],
        &[&[0, 1], &[1, 2], &[2, 0]],
        &[&[0, 1], &[0, 1], &[1, 2], &[1, 2], &[2, 0], &[0, 1, 2]],
    ];
    for routers in rings {
        let mut net = Internet::new(&[1500; 3]);
        let (a, b) = (net.host(&[0]), net.host(&[1]));
        for networks in routers {
            net.host(networks);
        }
        let _ = net.hosts[a].flip.locate(START, Address(77));
        net.run(Duration::from_secs(3));
        // Each LOCATE enters each network at most once through each card of a router there.
        let cards: u64 = routers.iter().map(|networks| networks.len() as u64).sum();
        let sent = net.hosts[a].flip.counters().locates;
        assert_eq!(sent, LOCATE_STEPS.len() as u64);
        assert!(
            net.all_frames() <= sent * (1 + cards),
            "{:?} for {sent}",
            net.frames
        );
        // And what is there is found, and reached, by one copy.
        let to = net.address(b);
        assert!(net.find(a, to));
        let before = net.all_frames();
        for _ in 0..10 {
            assert!(net.send(a, to, b"once"));
            net.run(Duration::from_millis(1));
        }
        assert_eq!(net.taken(b).len(), 10);
        assert!(net.all_frames() - before <= 10 * 3);
    }
}

/// A broadcast that is repeated after the table has forgotten it dies of its hop limit.
#[test]
fn an_old_copy_ends_at_its_hop_limit() {
    let mut net = Internet::new(&[1500; 2]);
    let a = net.host(&[0]);
    net.host(&[0, 1]);
    net.host(&[0, 1]);
    let _ = net.hosts[a].flip.locate_once(START, Address(77));
    let mut frame = common::Frame::new();
    let mut outgoing = frame.outgoing();
    let mut memory = norma_ipc::HeapPages::default();
    let id = NetworkId::FIRST;
    assert!(
        net.hosts[a]
            .flip
            .poll_transmit(START, id, &mut outgoing, &mut memory)
    );
    frame.length = outgoing.length;
    for _ in 0..3 {
        let before = net.all_frames();
        net.put(a, 0, frame.clone());
        net.run(RECENT_LIFETIME + Duration::from_secs(1));
        assert!(net.all_frames() - before <= 5);
    }
}

/// Routers that believe each other to be nearer pass a datagram on at most so often as hops
/// permit, and never back where it came from.
#[test]
fn routes_in_a_circle_end() {
    let mut net = Internet::new(&[1500; 3]);
    let a = net.host(&[0]);
    let routers = [net.host(&[0, 1]), net.host(&[1, 2]), net.host(&[2, 0])];
    // Each is told, by a datagram of a liar, that `b` is behind the next.
    let b = Address(0x0100_0000_0000_0b0b);
    for (at, router) in routers.into_iter().enumerate() {
        let next = routers[(at + 1) % 3];
        let to = net.address(router);
        let liar = common::lie(mac_of(next, 0), mac_of(router, 1), b, to);
        net.put(next, 0, liar);
    }
    net.run(Duration::from_millis(1));
    let from = net.address(a);
    let mut frame = common::lie(mac_of(a, 0), mac_of(routers[0], 0), from, b);
    // However far it says that it may go.
    frame.head[20..22].copy_from_slice(&u16::MAX.to_le_bytes());
    net.put(a, 0, frame);
    let before = net.all_frames();
    net.run(Duration::from_secs(1));
    assert!(
        net.all_frames() - before <= 30,
        "{}",
        net.all_frames() - before
    );
}

fn mac_of(host: usize, card: usize) -> [u8; 6] {
    [2, 0, 0, card as u8, (host >> 8) as u8, host as u8 + 1]
}

/// W-74: what must stay on trusted networks does, and its sender is told.
#[test]
fn what_needs_security_stays_on_trusted_networks() {
    let mut net = Internet::new(&[1500; 3]);
    let (a, b) = (net.host(&[0]), net.host(&[2]));
    let routers = [net.host(&[0, 1]), net.host(&[1, 2])];
    net.hosts[routers[0]].flip.set_trusted(NetworkId(1), false);
    net.hosts[routers[1]].flip.set_trusted(NetworkId(0), false);
    let to = net.address(b);
    assert!(net.find(a, to));
    assert!(!net.hosts[a].flip.route(net.now, to).unwrap().trusted);
    assert!(net.send(a, to, b"open"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(b).len(), 1);
    // With security the route that is known is none, and no other is found.
    net.hosts[a].flip.set_security(true);
    assert!(!net.send(a, to, b"secret"));
    let before = net.frames[1];
    assert!(!net.find(a, to));
    assert_eq!(net.frames[1], before, "not even the search has left");
    // A packet that goes all the same comes back as UNTRUSTED.
    net.hosts[a].flip.set_security(false);
    let mut frame = common::Frame::from_bytes(&[0; 60]);
    let (now, from) = (net.now, net.address(a));
    let mut outgoing = frame.outgoing();
    let flip = &mut net.hosts[a].flip;
    flip.emit(now, NetworkId::FIRST, to, from, 6, &mut outgoing)
        .unwrap();
    frame.length = outgoing.length;
    frame.head[16] = 0x04;
    net.put(a, 0, frame);
    net.run(Duration::from_millis(1));
    assert!(net.taken(b).is_empty());
    let told = Event::Untrusted {
        destination: to,
        source: from,
    };
    assert_eq!(net.hosts[a].events.last(), Some(&told));
    assert!(
        net.hosts[a].flip.route(net.now, to).is_some(),
        "the route stays, for others"
    );
}

/// Another network leads there too: who hears nothing asks again, and goes on over the other.
#[test]
fn a_silent_way_is_doubted_and_another_found() {
    let mut net = Internet::new(&[1500; 3]);
    let (a, b) = (net.host(&[0]), net.host(&[1]));
    let first = net.host(&[0, 1]);
    let second = net.host(&[0, 2]);
    net.host(&[2, 1]);
    let to = net.address(b);
    assert!(net.find(a, to));
    assert_eq!(net.hosts[a].flip.route(net.now, to).unwrap().hops, 2);
    // The first router loses its power.
    net.hosts[first].cards.clear();
    assert!(net.send(a, to, b"lost"));
    net.run(Duration::from_millis(1));
    assert!(net.hosts[a].flip.doubt(to));
    assert!(net.find(a, to) && net.send(a, to, b"x"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(b), [b"x"]);
    assert!(net.hosts[second].flip.counters().forwarded > 0);
    // A neighbour on the only network has no other way.
    let (c, d) = (net.host(&[0]), net.host(&[0]));
    let near = net.address(d);
    assert!(net.find(c, near));
    assert!(!net.hosts[c].flip.doubt(near));
    assert!(matches!(
        net.hosts[c].flip.locate(net.now, near),
        Locate::Known(_)
    ));
}

/// What waits to be passed on is bounded in number and in pages, and dropped beyond; nothing of
/// it is kept when it is sent.
#[test]
fn what_waits_at_a_router_is_bounded() {
    for length in [100, 60_000] {
        let (mut net, a, b) = row(&[LARGE, LARGE]);
        let to = net.address(b);
        assert!(net.find(a, to));
        let router = 2;
        // Its second card stands still: only the first is asked for frames.
        net.hosts[router].cards.truncate(1);
        for _ in 0..3 * TRANSIT {
            assert!(net.send(a, to, &payload(length)));
            net.run(Duration::from_micros(100));
        }
        let counters = *net.hosts[router].flip.counters();
        let dropped = counters.dropped_for(DropReason::NoRoom);
        assert!(dropped >= 2 * TRANSIT as u64, "{dropped} dropped");
        assert!(net.hosts[router].flip.is_crowded());
        // Meanwhile the first network is served as ever.
        let c = net.host(&[0]);
        let near = net.address(c);
        assert!(net.find(a, near));
        net.hosts[router].cards.push(1);
        net.run(Duration::from_millis(10));
        assert!(!net.hosts[router].flip.is_crowded());
        let kept = 3 * TRANSIT as u64 - dropped;
        assert_eq!(net.taken(b).len() as u64, kept);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    /// On any net that hangs together, whatever is lost, repeated and reordered: what is
    /// delivered was sent to there, nothing grows without bound, and without faults all arrives.
    #[test]
    fn any_topology_delivers(
        seed: u64,
        mtus in proptest::collection::vec(576u16..9000, 2..5),
        links in proptest::collection::vec((0usize..4, 0usize..4), 0..5),
        lengths in proptest::collection::vec(1usize..20_000, 1..6),
        bad: bool,
    ) {
        let faults = if bad { Faults { lost: 10, twice: 10, late: 20 } } else { Faults::default() };
        let mut net = Internet::faulty(&mtus, seed, faults);
        let count = mtus.len();
        let ends: Vec<usize> = (0..count).map(|network| net.host(&[network])).collect();
        for network in 1..count {
            net.host(&[network - 1, network]);
        }
        for (one, other) in links {
            if one % count != other % count {
                net.host(&[one % count, other % count]);
            }
        }
        let (a, b) = (ends[0], ends[count - 1]);
        let (from, to) = (net.address(a), net.address(b));
        let found = net.find(a, to);
        prop_assert!(found || bad);
        let mut sent = Vec::new();
        for length in lengths {
            let bytes = payload(length);
            if net.send(a, to, &bytes) {
                sent.push(bytes);
            } else {
                prop_assert!(bad);
            }
            net.run(Duration::from_millis(5));
        }
        net.run(Duration::from_secs(3));
        let inbox = core::mem::take(&mut net.hosts[b].inbox);
        for datagram in &inbox {
            prop_assert_eq!((datagram.source, datagram.destination), (from, to));
            prop_assert!(sent.contains(&datagram.payload));
        }
        if !bad {
            prop_assert_eq!(inbox.len(), sent.len());
        }
        for host in 0..net.hosts.len() {
            prop_assert!(!net.hosts[host].flip.is_crowded());
            prop_assert_eq!(net.hosts[host].flip.poll_timeout(), None);
        }
        let pieces: u64 = sent.iter().map(|bytes| 1 + bytes.len() as u64 / 500).sum();
        let searches: u64 = net.hosts.iter().map(|host| host.flip.counters().locates).sum();
        let cards: u64 = net.hosts.iter().map(|host| host.cards.len() as u64).sum();
        prop_assert!(net.all_frames() <= (searches + 1) * 4 * cards + pieces * 30);
    }
}
