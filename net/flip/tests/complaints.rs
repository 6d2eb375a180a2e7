//! What people complained of in Amoeba's FLIP, and what became of it.
// Whole networks are not for Miri, which `hostile` shows a router.
#![cfg(not(miri))]

mod common;

use common::internet::{Internet, START};
use norma_flip::limits::{HINT_WAIT, LOCATE_STEPS, ROUTE_LIFETIME};
use norma_flip::{Address, Duration, Event, Flip, Locate};

/// Amoeba's manual shows a node that sent 890 LOCATEs and received 40 511: on a network of some
/// fifty nodes each searched as often, and everybody had to look at every search. Here fifty nodes
/// make 890 searches each, for one of ten services, over an hour; what a node has to look at
/// besides its own is counted.
#[test]
fn flip_broadcasts_burden_everyone_890_locates_sent_40511_received() {
    let mut net = Internet::new(&[1500]);
    let hosts: Vec<usize> = (0..50).map(|_| net.host(&[0])).collect();
    let names: Vec<Address> = (0..10)
        .map(|bits| net.listen(hosts[bits], bits as u64))
        .collect();
    let pause = Duration::from_secs(3600) / 890;
    for search in 0..890 {
        for host in &hosts {
            let name = names[(host + search) % names.len()];
            let now = net.now;
            let asked = net.hosts[*host].flip.locate(now, name);
            if asked == Locate::Pending {
                net.run(Duration::from_millis(1));
            }
            // It is used: which confirms the route.
            if net.send(*host, name, b"call") {
                net.run(Duration::from_micros(100));
                let (to, from) = (net.address(*host), *host);
                let server = names.iter().position(|known| *known == name).unwrap();
                assert!(server == from || net.send(server, to, b"reply"));
            }
            net.hosts[*host].inbox.clear();
        }
        let left = (START + pause * (search as u32 + 1)).since(net.now);
        net.run(left);
    }
    let looked = |host: &usize| net.hosts[*host].flip.counters().locates_received;
    let (servers, clients) = hosts.split_at(names.len());
    let all: u64 = hosts.iter().map(looked).sum();
    println!("LOCATEs that fifty nodes together had to look at: {all}");
    // The first search of each name by each node is broadcast: 500 in all. From then on the cache
    // answers, or the station where the name was, alone.
    for client in clients {
        assert!(looked(client) <= 500, "{} of 40511", looked(client));
    }
    for server in servers {
        assert!(
            looked(server) <= 500 + 50 * 890 / 10,
            "{} of 40511",
            looked(server)
        );
    }
    assert!(all < 2 * 40_511, "{all} by all of them");
    for host in hosts {
        let counters = net.hosts[host].flip.counters();
        let broadcast = counters.locates - counters.locates_hinted;
        assert!(broadcast <= names.len() as u64, "{broadcast} broadcast");
    }
}

/// A route that has aged is a hint: the station where the address was is asked alone, and nobody
/// else has to look at anything.
#[test]
fn an_aged_route_is_asked_without_a_broadcast() {
    let mut net = Internet::new(&[1500]);
    let (a, b, other) = (net.host(&[0]), net.host(&[0]), net.host(&[0]));
    let to = net.address(b);
    assert!(net.find(a, to));
    net.run(ROUTE_LIFETIME);
    assert_eq!(net.hosts[a].flip.route(net.now, to), None);
    let before = net.hosts[other].flip.counters().received;
    assert!(net.find(a, to));
    assert_eq!(net.hosts[other].flip.counters().received, before);
    assert_eq!(net.hosts[a].flip.counters().locates_hinted, 1);
}

/// The layer above knows where an address may be: it is asked there first.
#[test]
fn a_hint_saves_the_broadcast_and_a_wrong_one_costs_little() {
    let mut net = Internet::new(&[1500]);
    let (a, b, other) = (net.host(&[0]), net.host(&[0]), net.host(&[0]));
    let near = net.address(b);
    assert!(net.find(a, near));
    let port = net.listen(b, 8);
    let before = net.hosts[other].flip.counters().received;
    let now = net.now;
    assert_eq!(
        net.hosts[a].flip.locate_near(now, port, near),
        Locate::Pending
    );
    net.run(Duration::from_millis(1));
    assert!(net.hosts[a].flip.route(net.now, port).is_some());
    assert_eq!(net.hosts[other].flip.counters().received, before);
    let elsewhere = net.listen(other, 9);
    let now = net.now;
    assert_eq!(
        net.hosts[a].flip.locate_near(now, elsewhere, near),
        Locate::Pending
    );
    net.run(HINT_WAIT - Duration::from_millis(1));
    assert_eq!(net.hosts[a].flip.route(net.now, elsewhere), None);
    net.run(Duration::from_millis(2));
    assert!(net.hosts[a].flip.route(net.now, elsewhere).is_some());
}

/// In Amoeba an address that was used again by a node that had been started anew was dropped
/// because of routes to where it had been. A node's address is drawn at each boot, so that none
/// comes back; and a name, which does, is found again by the first datagram that is lost.
#[test]
fn reused_flip_addresses_are_dropped_by_stale_routes() {
    let mut net = Internet::new(&[1500, 1500]);
    let (a, b, c) = (net.host(&[0]), net.host(&[1]), net.host(&[1]));
    net.host(&[0, 1]);
    let before = net.address(b);
    let name = net.listen(b, 1);
    assert!(net.find(a, before) && net.find(a, name));
    // `b` dies, and is born again with another address; its name is with `c` now.
    let mut flip = Flip::new(
        norma_flip::Config {
            mac: [2, 0, 0, 0, 0, 2],
            mtu: 1500,
        },
        [99; 32],
    );
    let private = flip.draw_address(1);
    let after = flip.register(private).unwrap();
    net.hosts[b].flip = flip;
    assert_ne!(before, after);
    assert_eq!(net.listen(c, 1), name);
    for stale in [before, name] {
        assert!(net.send(a, stale, b"to the dead"));
        net.run(Duration::from_millis(1));
        assert!(net.taken(b).is_empty(), "nobody is taken for another");
        let told = net.hosts[a].events.last();
        assert!(matches!(told, Some(Event::Unreachable { .. })));
    }
    assert!(!net.find(a, before) && net.find(a, name) && net.find(a, after));
    assert!(net.send(a, name, b"x") && net.send(a, after, b"y"));
    net.run(Duration::from_millis(1));
    assert_eq!((net.taken(c).len(), net.taken(b).len()), (1, 1));
}

/// Searches by many programs for one address are one, and a missing one is not sought all the
/// time, nor by a flood of LOCATEs on networks far away.
#[test]
fn a_program_that_asks_in_a_loop_does_not_flood_the_internet() {
    let mut net = Internet::new(&[1500, 1500]);
    let (a, far) = (net.host(&[0]), net.host(&[1]));
    net.host(&[0, 1]);
    for _ in 0..10_000 {
        let now = net.now;
        let _ = net.hosts[a].flip.locate(now, Address(5));
        net.run(Duration::from_millis(1));
    }
    let rounds = 10_000 / (60 * LOCATE_STEPS.len() as u64 + 500) + 1;
    let heard = net.hosts[far].flip.counters().locates_received;
    assert!(
        heard <= rounds * LOCATE_STEPS.len() as u64,
        "{heard} in {rounds} rounds"
    );
}
