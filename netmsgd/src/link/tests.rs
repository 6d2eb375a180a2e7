//! Tests of links, with the host at the other end.

use super::*;
use std::os::unix::net::{UnixDatagram, UnixStream};

fn link(wire: Box<dyn Wire>) -> Link {
    Link::new(wire, ([2; 6], u16::MAX, 4), &mut Pages::new(64)).unwrap()
}

/// Sends a frame of so many bytes, each of which says where it is.
fn send(link: &mut Link, source: &mut Pages, length: usize) -> bool {
    let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
    link.send(|frame| {
        while HEAD + frame.pages.len() * PAGE_SIZE < length {
            frame.pages.push(source.allocate().unwrap()).unwrap();
        }
        frame.length = length;
        frame.copy_from(0, &bytes)
    })
}

fn lengths(link: &mut Link) -> Vec<usize> {
    let mut lengths = Vec::new();
    link.receive(|frame| {
        let mut bytes = vec![0; frame.length];
        assert!(frame.copy_to(0, &mut bytes));
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
        lengths.push(frame.length);
    });
    lengths
}

#[test]
fn a_frame_of_any_size_crosses_a_pair_of_datagram_sockets() {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    let mut source = Pages::new(64);
    let mut one = link(Box::new(Datagrams(one.into())));
    let mut other = link(Box::new(Datagrams(other.into())));
    for length in [14, HEAD - 1, HEAD, HEAD + 1, 5000, 65_549] {
        assert!(send(&mut one, &mut source, length));
        assert_eq!(lengths(&mut other), [length]);
    }
    assert_eq!(lengths(&mut other), [0; 0]);
}

#[test]
fn a_link_without_room_keeps_the_frame() {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    let mut source = Pages::new(64);
    let mut one = link(Box::new(Datagrams(one.into())));
    let mut sent = 0;
    while send(&mut one, &mut source, 100) {
        sent += 1;
    }
    assert!(one.blocked && one.counters.waited == 1);
    let mut other = link(Box::new(Datagrams(other.into())));
    assert_eq!(lengths(&mut other), [100]);
    one.resume();
    assert!(!one.blocked);
    let mut received = 1;
    while let [_] = lengths(&mut other)[..] {
        received += 1;
        one.resume();
    }
    assert_eq!((received, one.counters.lost), (sent, 0));
}

#[test]
fn a_stream_that_takes_part_of_a_frame_gets_the_rest_first() {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    let mut source = Pages::new(64);
    let mut one = link(Box::new(stream::Stream::new(one.into())));
    let mut other = link(Box::new(stream::Stream::new(other.into())));
    let mut sent = 0;
    let mut received = Vec::new();
    while received.len() < 50 {
        if sent < 50 && send(&mut one, &mut source, 60_000) {
            sent += 1;
        } else {
            received.extend(lengths(&mut other));
            one.resume();
        }
    }
    assert_eq!(received, [60_000; 50]);
    drop(one);
    assert_eq!(lengths(&mut other), [0; 0]);
    assert!(other.gone);
}

#[test]
fn a_stream_out_of_step_is_gone() {
    let (one, other) = UnixStream::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    rustix::io::write(&one, &[0xff; 64]).unwrap();
    let mut other = link(Box::new(stream::Stream::new(other.into())));
    assert_eq!(lengths(&mut other), [0; 0]);
    assert!(other.gone);
}

#[test]
fn a_descriptor_that_was_not_inherited_is_refused() {
    for kind in [LinkKind::Datagram(999), LinkKind::Stream(0)] {
        assert!(matches!(open(&kind, None), Err(LinkError::Inherited(..))));
    }
}

#[test]
fn an_interface_that_does_not_exist_is_named() {
    let error = open(&LinkKind::Packet("no-such-card".into()), None).unwrap_err();
    assert!(error.to_string().contains("no-such-card"), "{error}");
}
