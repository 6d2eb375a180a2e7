//! Tests of the switch, with the host in the place of the nodes.

use super::*;
use norma_faults::{Action, Rule};

const NAMES: [&str; 3] = ["a", "b", "c"];

struct Net {
    switch: Switch,
    ends: Vec<UnixDatagram>,
}

fn net(rules: &[Rule]) -> Net {
    let ports: Vec<_> = (0..3).map(|i| Port::new(i).unwrap()).collect();
    let ends = ports
        .iter()
        .map(|port| UnixDatagram::from(port.node_end().unwrap()))
        .collect();
    for end in &ends {
        let end: &UnixDatagram = end;
        end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    Net {
        switch: Switch::start(ports, Faults::new(1, rules, &NAMES).unwrap(), None).unwrap(),
        ends,
    }
}

impl Net {
    fn send(&self, from: u8, to: u8, tag: u8) {
        let mut frame = [tag; 60];
        frame[..6].copy_from_slice(&[if to == 0xff { 0xff } else { 0x52 }, 0, 0, 0, 0, to]);
        frame[6..12].copy_from_slice(&[0x52, 0, 0, 0, 0, from]);
        self.ends[usize::from(from)].send(&frame).unwrap();
    }

    fn receive(&self, at: usize) -> u8 {
        let mut buffer = [0; FRAME];
        assert_eq!(self.ends[at].recv(&mut buffer).unwrap(), 60);
        buffer[59]
    }

    fn is_silent(&self, at: usize) -> bool {
        self.ends[at].set_nonblocking(true).unwrap();
        let silent = self.ends[at].recv(&mut [0; FRAME]).is_err();
        self.ends[at].set_nonblocking(false).unwrap();
        silent
    }
}

#[test]
fn floods_and_then_forwards_to_the_one() {
    let net = net(&[]);
    net.send(0, 0xff, 1);
    assert_eq!((net.receive(1), net.receive(2)), (1, 1));
    net.send(1, 0, 2);
    assert_eq!(net.receive(0), 2);
    assert!(net.is_silent(2));
    // The count follows the frame.
    while net.switch.stats().forwarded < 3 {
        std::thread::yield_now();
    }
    assert_eq!(net.switch.stats().forwarded, 3);
}

#[test]
fn cut_links_lose_frames_until_they_are_healed() {
    let net = net(&[]);
    net.switch.faults().cut(0, 1);
    net.send(0, 0xff, 1);
    assert_eq!(net.receive(2), 1);
    assert!(net.is_silent(1));
    net.switch.faults().heal(0, 1);
    net.send(0, 0xff, 2);
    assert_eq!((net.receive(1), net.receive(2)), (2, 2));
}

#[test]
fn delayed_frames_are_overtaken() {
    let late = Rule {
        delay_ms: Some(30.0),
        until_frames: Some(1),
        to: Some("b".into()),
        ..Rule::new(Action::Delay)
    };
    let net = net(&[late]);
    net.send(0, 0xff, 1);
    net.send(0, 0xff, 2);
    assert_eq!((net.receive(1), net.receive(1)), (2, 1));
    assert_eq!((net.receive(2), net.receive(2)), (1, 2));
}

#[test]
fn a_port_that_is_not_read_overflows_and_the_others_go_on() {
    let net = net(&[]);
    // Far more than a socket and the queue hold together; the third node reads all of it.
    let count = 20_000_u32;
    for i in 0..count {
        net.send(0, 0xff, i as u8);
        assert_eq!(net.receive(2), i as u8);
    }
    let stats = net.switch.stats();
    assert!(stats.overflowed > 0);
    let said = stats.dropped().unwrap();
    assert!(
        said.contains(&format!(": {} because a queue was full", stats.overflowed)),
        "{said}"
    );
    assert!(!said.contains("Ethernet"), "{said}");
}

#[test]
fn what_is_no_frame_is_counted() {
    let net = net(&[]);
    net.ends[0].send(&[0; 13]).unwrap();
    net.send(0, 0xff, 1);
    assert_eq!(net.receive(1), 1);
    let stats = net.switch.stats();
    assert_eq!(stats.malformed, 1);
    let said = stats.dropped().unwrap();
    assert!(
        said.ends_with(": 1 that were shorter than an Ethernet header"),
        "{said}"
    );
}

#[test]
fn who_drops_nothing_says_nothing() {
    let passed = Stats {
        forwarded: 7,
        ..Stats::default()
    };
    assert_eq!(Stats::sum([passed; 2].into_iter()).forwarded, 14);
    assert_eq!(Stats::sum([passed; 2].into_iter()).dropped(), None);
}
