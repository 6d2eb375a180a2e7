//! Two daemons, joined in every way that needs no privilege.

mod common;

use common::{Daemon, PATIENCE, over_udp, pair, service, streams};
use norma_client::{Delivery, Failure, Message, Notification, ReceiveRight, Right, SendRight};
use std::thread;

/// Answers every request with the same, and its memory with it, until the client says that it is
/// the last.
fn echo(port: &ReceiveRight) {
    let mut message = port.receive().unwrap();
    loop {
        if message.id() == 99 {
            message.reply().unwrap();
            return;
        }
        message = port.reply_and_receive(message).unwrap();
    }
}

fn finish(service: &SendRight) {
    let mut last = Message::new();
    last.set_id(99);
    service.call(last).unwrap();
}

fn talk(one: &Daemon, other: &Daemon) {
    let server = one.connect();
    let (port, _right) = service(&server, "echo");
    let thread = thread::spawn(move || echo(&port));
    let client = other.connect();
    let echo = client.wait_for("echo", PATIENCE).unwrap();
    for size in [0, 1, 64, 65, 4096, 8192] {
        let data: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let mut request = Message::with_data(&data).unwrap();
        request.set_id(size as u32);
        let answer = echo.call(request).unwrap();
        assert_eq!((answer.id(), answer.data()), (size as u32, &data[..]));
    }
    for size in [1, 4096, 100_000, 3 << 20] {
        let bytes: Vec<u8> = (0..size).map(|at: u32| (at >> 4) as u8).collect();
        let mut request = Message::new();
        request.set_memory(&bytes).unwrap();
        let mut answer = echo.call(request).unwrap();
        assert!(answer.take_memory().into_vec().unwrap() == bytes);
    }
    finish(&echo);
    thread.join().unwrap();
}

#[test]
fn daemons_talk_over_a_pair_of_datagram_sockets() {
    let (one, other) = pair();
    talk(&one, &other);
    talk(&other, &one);
}

#[test]
fn daemons_talk_over_a_pair_of_stream_sockets() {
    let (one, other) = streams();
    talk(&one, &other);
}

#[test]
fn daemons_talk_over_udp() {
    let (one, other) = over_udp();
    talk(&one, &other);
    talk(&other, &one);
}

#[test]
fn a_cluster_of_another_name_is_not_heard() {
    let one = Daemon::start("one", &["--link", "udp:127.0.0.1:0"], Vec::new());
    let link = format!("udp:127.0.0.1:0,peer={}", one.links[0]);
    let stranger = ["--link", &link, "--cluster", "strangers"];
    let other = Daemon::start("other", &stranger, Vec::new());
    let server = one.connect();
    let (_port, _right) = service(&server, "echo");
    let failure = other.connect().look_up("echo").unwrap_err();
    assert_eq!(failure, Failure::NameUnknown);
}

#[test]
fn rights_travel_and_their_ends_are_told() {
    let (one, other) = pair();
    let server = one.connect();
    let (port, _right) = service(&server, "service");
    let client = other.connect();
    let service = client.wait_for("service", PATIENCE).unwrap();

    // The client gives the server a right to a port of its own.
    let own = ReceiveRight::new(&client).unwrap();
    let mut gift = Message::new();
    gift.push_right(own.make_send().unwrap()).unwrap();
    service.send(gift).unwrap();
    let mut gift = port.receive().unwrap();
    let Some(Right::Send(back)) = gift.take_rights().pop() else {
        panic!("a send right was sent");
    };
    back.send(Message::with_data(b"here").unwrap()).unwrap();
    assert_eq!(own.receive().unwrap().data(), b"here");

    // When the server has given it up, the client's port has no senders.
    let news = ReceiveRight::new(&client).unwrap();
    own.notify_no_senders(1, news.make_send_once().unwrap())
        .unwrap();
    drop(back);
    match news.receive_any_timeout(PATIENCE).unwrap() {
        Delivery::Notification(Notification::NoSenders { make_sends: 1 }) => {}
        other => panic!("expected word of no senders, got {other:?}"),
    }

    // When the server's program ends, the client's right is dead.
    let death = news.make_send_once().unwrap();
    service.notify_death(death).unwrap();
    drop((port, _right, gift, server));
    match news.receive_any_timeout(PATIENCE).unwrap() {
        Delivery::Notification(Notification::DeadName { name, failure }) => {
            assert_eq!((name, failure), (service.name(), Failure::PortDied));
        }
        other => panic!("expected word of a death, got {other:?}"),
    }
    assert!(service.is_dead());
}

#[test]
fn a_receive_right_moves_to_another_daemon_with_what_is_queued() {
    let (one, other) = pair();
    let server = one.connect();
    let (port, _right) = service(&server, "heir");
    let client = other.connect();
    let heir = client.wait_for("heir", PATIENCE).unwrap();
    let legacy = ReceiveRight::new(&client).unwrap();
    let right = legacy.make_send().unwrap();
    right.send(Message::with_data(b"first").unwrap()).unwrap();
    let mut message = Message::new();
    message.push_right(legacy).unwrap();
    heir.send(message).unwrap();
    let mut message = port.receive_timeout(PATIENCE).unwrap();
    let Some(Right::Receive(legacy)) = message.take_rights().pop() else {
        panic!("a receive right was sent");
    };
    assert_eq!(legacy.receive_timeout(PATIENCE).unwrap().data(), b"first");
    right.send(Message::with_data(b"second").unwrap()).unwrap();
    assert_eq!(legacy.receive_timeout(PATIENCE).unwrap().data(), b"second");
}

#[test]
fn when_a_daemon_dies_its_callers_learn_which() {
    let (mut one, other) = pair();
    let server = one.connect();
    let (port, _right) = service(&server, "mortal");
    let client = other.connect();
    let mortal = client.wait_for("mortal", PATIENCE).unwrap();
    let caller = thread::spawn(move || mortal.call(Message::new()).unwrap_err());
    let request = port.receive().unwrap();
    one.kill();
    match caller.join().unwrap().failure {
        Failure::NodeDied { name, .. } => assert_eq!(name, "one"),
        other => panic!("expected the death of a node, got {other}"),
    }
    // And who had asked it for something learns that it is gone.
    assert!(matches!(
        request.reply().unwrap_err().failure,
        Failure::NoDaemon(_)
    ));
}

#[test]
fn two_daemons_cannot_have_one_name() {
    let (one, other) = pair();
    let (first, second) = (one.connect(), other.connect());
    let port = ReceiveRight::new(&first).unwrap();
    port.make_send().unwrap().claim("only").unwrap();
    let rival = ReceiveRight::new(&second).unwrap();
    match rival.make_send().unwrap().claim("only") {
        Err(Failure::NameTakenBy { node }) => assert_eq!(node, "one"),
        other => panic!("expected that the name is taken, got {other:?}"),
    }
    // When its task ends, the name is free.
    drop((port, first));
    let own = rival.make_send().unwrap();
    let claimed = (0..10).find_map(|_| own.claim("only").ok());
    assert!(claimed.is_some());
}

#[test]
fn a_stream_that_is_gone_leaves_the_daemon_to_its_programs() {
    let (mut one, other) = streams();
    let server = one.connect();
    let (_port, _right) = service(&server, "gone");
    let client = other.connect();
    let gone = client.wait_for("gone", PATIENCE).unwrap();
    one.kill();
    assert!(gone.call_timeout(Message::new(), PATIENCE).is_err());
    // Its own programs are served, and what is for nobody is looked for and not found.
    let (port, right) = service(&client, "here");
    right.send(Message::new()).unwrap();
    port.receive().unwrap();
    assert_eq!(client.look_up("gone").unwrap_err(), Failure::NameUnknown);
}

#[test]
fn a_link_that_went_away_and_returned_is_used_again() {
    let (mut one, other) = over_udp();
    let link = format!("udp:{}", one.links[0]);
    let client = other.connect();
    {
        let server = one.connect();
        let (_port, _right) = service(&server, "phoenix");
        client.wait_for("phoenix", PATIENCE).unwrap();
    }
    one.kill();
    assert_eq!(client.look_up("phoenix").unwrap_err(), Failure::NameUnknown);
    // A new daemon where the old one was.
    let again = Daemon::start("one", &["--link", &link], Vec::new());
    let waiting = thread::spawn(move || client.wait_for("phoenix", PATIENCE).map(drop));
    let server = again.connect();
    let (_port, _right) = service(&server, "phoenix");
    waiting.join().unwrap().unwrap();
}
