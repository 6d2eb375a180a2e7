//! Addresses that several nodes listen to: who is found, which frames are sent, who gets them.
// Whole networks are not for Miri, which `hostile` shows a router.
#![cfg(not(miri))]

mod common;

use common::internet::{Internet, START};
use norma_flip::limits::{FRAGMENTED, ROUTE_LIFETIME};
use norma_flip::{
    Address, DropReason, Duration, Event, Listeners, Locate, MulticastError, NetworkId,
};

const BITS: u64 = 42;

/// Seeks so many listeners; tells whether they were found.
fn seek(net: &mut Internet, from: usize, address: Address, least: u16) -> bool {
    let now = net.now;
    net.hosts[from].events.clear();
    match net.hosts[from].flip.locate_listeners(now, address, least) {
        Listeners::Known(_) => return true,
        Listeners::Pending => net.run(Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    let told = net.hosts[from].events.clone();
    assert!(
        matches!(told[..], [Event::Located { .. } | Event::NotLocated { .. }]),
        "{told:?}"
    );
    told == [Event::Located { address }]
}

/// W-75: no frame where nobody listens, one to the only station that does, one broadcast where
/// several do.
#[test]
fn a_multicast_is_one_frame_per_network() {
    let mut net = Internet::new(&[1500; 3]);
    let sender = net.host(&[0, 1, 2]);
    let hosts: Vec<usize> = [0, 0, 0, 1, 2].map(|network| net.host(&[network])).into();
    let mut group = Address::BROADCAST;
    for host in [hosts[0], hosts[1], hosts[3]] {
        group = net.listen(host, BITS);
    }
    let too_few = net.multicast(sender, group, 1, b"x");
    assert_eq!(too_few, Err(MulticastError::TooFew { known: 0 }));
    assert!(seek(&mut net, sender, group, 3));
    assert_eq!(net.hosts[sender].flip.listeners(net.now, group), 3);
    let before = net.frames.clone();
    net.multicast(sender, group, 3, b"all").unwrap();
    net.run(Duration::from_millis(1));
    let sent: Vec<u64> = net
        .frames
        .iter()
        .zip(before)
        .map(|(now, then)| now - then)
        .collect();
    assert_eq!(sent, [1, 1, 0]);
    for (at, host) in hosts.iter().enumerate() {
        let inbox = core::mem::take(&mut net.hosts[*host].inbox);
        let listens = [0, 1, 3].contains(&at);
        assert_eq!(inbox.len(), usize::from(listens));
        assert!(
            inbox
                .iter()
                .all(|datagram| datagram.multicast && datagram.destination == group)
        );
    }
    // The one station that listens alone was sent the frame alone.
    let other = net.hosts[hosts[2]]
        .flip
        .counters()
        .dropped_for(DropReason::NotHere);
    assert_eq!(other, 1, "it shared its network with two listeners");
    assert_eq!(net.hosts[hosts[4]].flip.counters().dropped_in_all(), 0);
}

/// Fewer listeners than asked for: nothing is sent, and whoever asked is told how many there are.
#[test]
fn too_few_listeners() {
    let mut net = Internet::new(&[1500]);
    let (sender, one) = (net.host(&[0]), net.host(&[0]));
    let group = net.listen(one, BITS);
    assert!(!seek(&mut net, sender, group, 2));
    assert_eq!(
        net.multicast(sender, group, 2, b"x"),
        Err(MulticastError::TooFew { known: 1 })
    );
    net.multicast(sender, group, 1, b"x").unwrap();
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(one), [b"x"]);
    // Known listeners age.
    net.run(ROUTE_LIFETIME);
    assert_eq!(net.hosts[sender].flip.listeners(net.now, group), 0);
}

/// Listeners behind routers are counted, each once, and each gets one copy: in a row, and where
/// the routers form rings.
#[test]
fn listeners_behind_routers() {
    let rings: [&[&[usize]]; 3] = [
        &[&[0, 1], &[1, 2]],
        &[&[0, 1], &[0, 1], &[1, 2], &[1, 2]],
        &[&[0, 1], &[1, 2], &[2, 0]],
    ];
    for routers in rings {
        let mut net = Internet::new(&[1500; 3]);
        let sender = net.host(&[0]);
        for networks in routers {
            net.host(networks);
        }
        let hosts: Vec<usize> = [0, 1, 1, 2, 2].map(|network| net.host(&[network])).into();
        let mut group = Address::BROADCAST;
        for host in &hosts {
            group = net.listen(*host, BITS);
        }
        assert!(seek(&mut net, sender, group, 5), "{routers:?}");
        assert_eq!(net.hosts[sender].flip.listeners(net.now, group), 5);
        for payload in [vec![7; 10], vec![8; 20_000]] {
            let before = net.all_frames();
            net.multicast(sender, group, 5, &payload).unwrap();
            net.run(Duration::from_millis(20));
            for host in &hosts {
                let taken = net.taken(*host);
                assert!(
                    taken == std::slice::from_ref(&payload),
                    "host {host} of {routers:?}"
                );
            }
            let pieces = payload.len() as u64 / 1400 + 1;
            assert!(net.all_frames() - before <= pieces * 4);
        }
    }
}

/// A listener that was sent a multicast alone and has gone says so.
#[test]
fn a_listener_that_has_gone_is_forgotten() {
    let mut net = Internet::new(&[1500; 2]);
    let (sender, one) = (net.host(&[0]), net.host(&[1]));
    net.host(&[0, 1]);
    let group = net.listen(one, BITS);
    assert!(seek(&mut net, sender, group, 1));
    net.hosts[one].flip.unregister(group);
    net.multicast(sender, group, 1, b"lost").unwrap();
    net.run(Duration::from_millis(2));
    assert_eq!(net.hosts[sender].flip.listeners(net.now, group), 0);
    let told = net.hosts[sender].events.last();
    assert!(matches!(told, Some(Event::Unreachable { .. })), "{told:?}");
}

/// W-75: everybody within so many networks.
#[test]
fn a_broadcast_goes_as_far_as_it_may() {
    let mut net = Internet::new(&[1500; 3]);
    let sender = net.host(&[0]);
    for networks in [[0, 1], [1, 0], [1, 2], [2, 1]] {
        net.host(&networks);
    }
    let (near, far) = (net.host(&[1]), net.host(&[2]));
    let mut frame = common::Frame::from_bytes(&[0; 70]);
    let source = net.address(sender);
    let flip = &mut net.hosts[sender].flip;
    flip.broadcast(source, 2, &mut frame.outgoing()).unwrap();
    net.run(Duration::from_millis(5));
    assert_eq!((net.taken(near).len(), net.taken(far).len()), (1, 0));
    let mut frame = common::Frame::from_bytes(&[0; 70]);
    let flip = &mut net.hosts[sender].flip;
    flip.broadcast(source, 25, &mut frame.outgoing()).unwrap();
    net.run(Duration::from_millis(5));
    assert_eq!((net.taken(near).len(), net.taken(far).len()), (1, 1));
}

/// An address that several listen to is one to whoever seeks just one of them.
#[test]
fn a_datagram_reaches_one_of_several() {
    let mut net = Internet::new(&[1500]);
    let (sender, one, other) = (net.host(&[0]), net.host(&[0]), net.host(&[0]));
    let group = net.listen(one, BITS);
    net.listen(other, BITS);
    assert!(matches!(
        net.hosts[sender].flip.locate(START, group),
        Locate::Pending
    ));
    net.run(Duration::from_millis(1));
    assert!(net.send(sender, group, b"x"));
    net.run(Duration::from_millis(1));
    assert_eq!(net.taken(one).len() + net.taken(other).len(), 1);
}

#[test]
fn a_refused_multicast_is_left_as_it_was() {
    let mut net = Internet::new(&[1500]);
    let (sender, one) = (net.host(&[0]), net.host(&[0]));
    let group = net.listen(one, BITS);
    assert!(seek(&mut net, sender, group, 1));
    let (now, source) = (net.now, net.address(sender));
    let flip = &mut net.hosts[sender].flip;
    for number in 0..=FRAGMENTED {
        let mut frame = common::Frame::from_bytes(&[9; 5000]);
        let result = flip.multicast(now, group, source, 1, &mut frame.outgoing());
        if number == FRAGMENTED {
            assert_eq!(result, Err(MulticastError::Full));
            assert_eq!(frame.bytes(), [9; 5000]);
        } else {
            assert_eq!(result, Ok(()));
            assert!(frame.pages.is_empty());
        }
    }
    let mut frame = common::Frame::from_bytes(&[9; 50]);
    let short = flip.multicast(now, group, source, 1, &mut frame.outgoing());
    assert_eq!(short, Err(MulticastError::BadLength));
    assert_eq!(flip.network_of(now, group), Some(NetworkId::FIRST));
}
