//! Memory that runs out: the one request fails, the node lives on.

mod common;

use std::time::Duration;

use common::moves::*;
use common::{Places, dead, drained, must};
use norma_ipc::{Memory, Notification, Reason};
use norma_sim::{Config, Message, World};
use norma_wire::layout::SESSION_AT;
use norma_wire::session::{Header, Kind, Repr};

fn config() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

fn with_memory(w: &mut World, machine: usize, bytes: usize) -> Message {
    let mut message = w.message(machine, b"large");
    let data = vec![7; bytes];
    let memory = Memory::copy_from(&data, w.machine(machine).node().source()).unwrap();
    let _ = message.replace_memory(memory).unwrap();
    message
}

/// Whatever page it is that cannot be had, the caller learns it, and the next call succeeds.
#[test]
fn a_request_for_which_the_server_has_no_pages_fails_alone() {
    for bytes in [100, 5000, 60_000, 200_000] {
        for left in 0..bytes_to_pages(bytes) {
            let mut w = World::new(&config());
            let port = w.serve(1, "echo");
            let (a, b) = (w.thread(0), w.thread(1));
            let name = must(w.look_up(0, a, "echo"));
            w.machine(1).node().source().left = left;
            let message = with_memory(&mut w, 0, bytes);
            let begun = w.now();
            must(w.begin_call(0, a, name, message));
            assert_eq!(
                dead(w.await_reply(0, a)),
                Reason::NoMemory,
                "{bytes} bytes, {left} left"
            );
            assert!(w.now() - begun < Duration::from_millis(500));

            w.machine(1).node().source().left = usize::MAX;
            let message = with_memory(&mut w, 0, bytes);
            must(w.begin_call(0, a, name, message));
            let request = w.receive(1, b, port).unwrap();
            assert_eq!(request.memory().len(), bytes);
            w.reply(1, request).unwrap();
            let reply = must(w.await_reply(0, a));
            assert_eq!(reply.memory().len(), bytes);
            w.discard(0, reply).unwrap();
            w.give_up(0, name).unwrap();
            drained(&mut w);
        }
    }
}

#[test]
fn a_reply_for_which_the_caller_has_no_pages_is_not_waited_for_for_ever() {
    for bytes in [100, 200_000] {
        for left in 0..bytes_to_pages(bytes) {
            let mut w = World::new(&config());
            let port = w.serve(1, "echo");
            let (a, b) = (w.thread(0), w.thread(1));
            let name = must(w.look_up(0, a, "echo"));
            let message = w.message(0, b"?");
            must(w.begin_call(0, a, name, message));
            let mut request = w.receive(1, b, port).unwrap();
            let memory = vec![1; bytes];
            let memory = Memory::copy_from(&memory, w.machine(1).node().source()).unwrap();
            let _ = request.replace_memory(memory).unwrap();
            w.machine(0).node().source().left = left;
            w.reply(1, request).unwrap();
            assert_eq!(
                dead(w.await_reply(0, a)),
                Reason::NoMemory,
                "{bytes} bytes, {left} left"
            );
            w.give_up(0, name).unwrap();
            drained(&mut w);
        }
    }
}

/// A trailer needs pages of its own to be sent: until there are some, the message waits.
#[test]
fn a_sender_without_pages_sends_when_there_are_some_again() {
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    w.machine(0).node().source().left = 0;
    let message = w.message(0, &[3; 1000]);
    must(w.begin_call(0, a, name, message));
    w.run_for(Duration::from_millis(100)).unwrap();
    w.machine(0).node().source().left = usize::MAX;
    let since = w.now();
    let request = w.receive(1, b, port).unwrap();
    // A retransmission time, and not that after which a silent peer is asked.
    assert!(w.now() - since < Duration::from_millis(180));
    assert_eq!(request.data(), [3; 1000]);
    w.reply(1, request).unwrap();
    let reply = must(w.await_reply(0, a));
    w.discard(0, reply).unwrap();
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

fn bytes_to_pages(bytes: usize) -> usize {
    bytes.div_ceil(4096)
}

/// A message in the queue of a port that moves is lost for want of pages: it counts as one of
/// those that were to come (W-125), and the port opens.
#[test]
fn a_port_opens_though_one_of_its_messages_found_no_pages() {
    for lost in 0..3 {
        let mut w = World::new(&Config {
            nodes: 2,
            in_hands: true,
            ..config()
        });
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        for number in 0..3u8 {
            let mut message = match number == lost {
                true => with_memory(&mut w, 0, 5000),
                false => w.message(0, &[]),
            };
            message.set_data(&[number]).unwrap();
            must(w.send(0, p.threads[0], port, message));
        }
        w.machine(1).node().source().left = 0;
        p.give_receive(&mut w, 0, port, 1);
        run(&mut w, MS(200));
        let moved = p.try_take_receive(&mut w, 1).expect("it is open");
        let came: Vec<u8> = core::iter::from_fn(|| text_at(&mut w, 1, moved))
            .map(|data| data[0])
            .collect();
        let expected: Vec<u8> = (0..3).filter(|number| *number != lost).collect();
        assert_eq!(came, expected);
        give_up_all(&mut w, 1, moved);
        give_up_all(&mut w, 0, port);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// A send-once right that stayed behind when its port moved is used for a message for which there
/// are no pages: whoever has the port is told, as of any send-once right (W-46, I-7).
#[test]
fn a_send_once_right_that_stayed_behind_comes_to_something_without_pages() {
    let mut w = World::new(&Config {
        nodes: 2,
        in_hands: true,
        ..config()
    });
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let rights: Vec<_> = (0..3).map(|_| once(&mut w, 0, port)).collect();
    let moved = move_to(&mut w, &p, 0, port, 1);
    w.machine(1).node().source().left = 0;
    for right in rights {
        let message = with_memory(&mut w, 0, 5000);
        must(w.send(0, p.threads[0], right, message));
        run(&mut w, MS(50));
        let told = Some(Notification::SendOnce(Reason::NoMemory));
        assert_eq!(news_at(&mut w, 1, moved), told);
    }
    give_up_all(&mut w, 1, moved);
    give_up_all(&mut w, 0, port);
    p.close(&mut w);
    drained(&mut w);
}

/// The first of several messages that were refused for a full queue is lost for want of pages when
/// it comes again: those behind it arrive (W-47).
#[test]
fn what_was_refused_behind_a_message_that_is_lost_arrives() {
    let mut w = World::new(&config());
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    let space = w.machine(1).space();
    let ipc = w.machine(1).node().ipc();
    ipc.set_queue_limit(space, port, 1).unwrap();
    for number in 0..4u8 {
        let mut message = match number {
            1 => with_memory(&mut w, 0, 5000),
            _ => w.message(0, &[]),
        };
        message.set_data(&[number]).unwrap();
        must(w.send(0, a, name, message));
    }
    w.run_for(Duration::from_millis(50)).unwrap();
    w.machine(1).node().source().left = 0;
    for number in [0, 2, 3] {
        let message = w.receive(1, b, port).unwrap();
        assert_eq!(message.data(), [number]);
        w.discard(1, message).unwrap();
    }
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

/// A peer of another make sends a message with more memory than any may have: it is told, and the
/// session goes on (W-22). With frames of one page the rest of it comes in PARTs.
#[test]
fn a_message_beyond_all_bounds_is_refused() {
    for mtu in [65_521, 5000] {
        let mut w = World::new(&Config { mtu, ..config() });
        let port = w.serve(1, "echo");
        let (a, b) = (w.thread(0), w.thread(1));
        let name = must(w.look_up(0, a, "echo"));
        w.tamper(|from, frame| {
            let unidata = frame.get(15) == Some(&3);
            let place = frame.get(SESSION_AT..).filter(|_| unidata && from == 0);
            let Some(Ok(header)) = place.map(Header::new_checked) else {
                return;
            };
            let mut header = Repr::parse(&header);
            if matches!(header.kind, Kind::Message | Kind::Part) && header.memory > 0 {
                header.memory = (64 << 20) + 4096;
                header.emit(frame[SESSION_AT..].first_chunk_mut().unwrap());
                norma_net::seal(frame);
            }
        });
        for _ in 0..3 {
            let message = with_memory(&mut w, 0, 8192);
            must(w.begin_call(0, a, name, message));
            assert_eq!(dead(w.await_reply(0, a)), Reason::NoMemory);
            let message = w.message(0, b"small");
            must(w.begin_call(0, a, name, message));
            let request = w.receive(1, b, port).unwrap();
            w.reply(1, request).unwrap();
            let reply = must(w.await_reply(0, a));
            w.discard(0, reply).unwrap();
        }
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}
