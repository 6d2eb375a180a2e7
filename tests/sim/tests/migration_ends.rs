//! How what a receive right left behind comes to its end: rights at the old node when the port
//! dies at the new one, or when nobody can send any more.

mod common;

use common::moves::*;
use common::{Places, drained, must};
use norma_ipc::{Name, Notification, Reason, RightKind, RightTypes};
use norma_sim::{Config, World};

/// A send-once right at the node from which a port has gone does not hide that nobody can send.
#[test]
fn w_132_no_senders_is_told_though_a_send_once_right_stayed_behind() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let told = p.want_no_senders(&mut w, 0, port);
    let kept = once(&mut w, 0, port);
    let moved = move_to(&mut w, &p, 0, port, 1);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 0, told), 0);
    give_up(&mut w, 0, port, RightKind::Send);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 0, told), 1);
    // It leads to its port all the same.
    send_by(&mut w, 0, kept, b"still there");
    run(&mut w, MS(100));
    assert_eq!(text_at(&mut w, 1, moved), Some(b"still there".to_vec()));
    p.drop_receive(&mut w, 1, moved);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// A port that has gone dies where it is: nothing of the send-once rights that stayed behind is
/// left there when they are given up, one by one.
#[test]
fn w_132_what_stayed_behind_is_given_back_though_the_port_is_dead() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let kept: Vec<_> = (0..3).map(|_| once(&mut w, 0, port)).collect();
    let moved = move_to(&mut w, &p, 0, port, 1);
    run(&mut w, MS(100));
    p.drop_receive(&mut w, 1, moved);
    run(&mut w, MS(100));
    for name in kept {
        assert!(!w.is_drained(), "{}", w.holdings());
        give_up(&mut w, 0, name, RightKind::SendOnce);
        run(&mut w, MS(20));
    }
    give_up(&mut w, 0, port, RightKind::Send);
    p.close(&mut w);
    drained(&mut w);
}

/// The way of messages to a port that has gone on dies with the node where it is: send-once
/// rights, which lead there by the node in between, have nothing to do with that way, and each
/// still comes to one notification at most.
#[test]
fn w_132_send_once_rights_outlive_another_way() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    let kept = once(&mut w, 0, port);
    let at_1 = move_to(&mut w, &p, 0, port, 1);
    let at_2 = move_to(&mut w, &p, 1, at_1, 2);
    run(&mut w, MS(100));
    // Node 0 has its right from node 2 by now.
    send_by(&mut w, 0, port, b"hello");
    run(&mut w, MS(100));
    assert_eq!(text_at(&mut w, 2, at_2), Some(b"hello".to_vec()));
    w.faults().cut(0, 2);
    run(&mut w, MS(3000));
    give_up(&mut w, 0, kept, RightKind::SendOnce);
    run(&mut w, MS(100));
    assert_eq!(
        news_at(&mut w, 2, at_2),
        Some(Notification::SendOnce(Reason::Unanswered))
    );
    give_up(&mut w, 0, port, RightKind::Send);
    p.drop_receive(&mut w, 2, at_2);
    p.close(&mut w);
    drained(&mut w);
}

/// A node whose last sender was gone when the receive right left it is given a right again, by a
/// third node, before it has forgotten the port: it counts.
#[test]
fn w_125_a_right_that_comes_to_the_old_node_is_a_sender() {
    let mut w = World::new(&calm(3));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    give_up(&mut w, 0, port, RightKind::Send);
    let moved = move_to(&mut w, &p, 0, port, 1);
    let space = w.machine(1).space();
    let ipc = w.machine(1).node().ipc();
    let right = ipc.make_right(space, moved, RightKind::Send).unwrap();
    assert_eq!(ipc.insert(space, right).unwrap(), moved);
    p.give(&mut w, 1, moved, 2);
    let at_2 = p.take(&mut w, 2);
    let told = p.want_no_senders(&mut w, 1, moved);
    p.give(&mut w, 2, at_2, 0);
    let at_0 = p.take(&mut w, 0);
    give_up(&mut w, 2, at_2, RightKind::Send);
    give_up(&mut w, 1, moved, RightKind::Send);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 1, told), 0);
    give_up(&mut w, 0, at_0, RightKind::Send);
    run(&mut w, MS(100));
    assert_eq!(p.no_senders(&mut w, 1, told), 1);
    p.drop_receive(&mut w, 1, moved);
    p.drop_receive(&mut w, 1, told);
    p.close(&mut w);
    drained(&mut w);
}

/// A world in which sessions may be lost.
fn mortal(nodes: usize) -> World {
    World::new(&Config {
        deaths: true,
        ..calm(nodes)
    })
}

/// A port at node 0 that is to come back to node 0 when it is given up, and where it does.
fn returning(w: &mut World, p: &Places) -> (Name, Name) {
    let port = p.port(w, 0);
    let (told, once) = bell(w, 0);
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let notify = ipc.extract(space, once, RightKind::SendOnce).unwrap();
    let asked = ipc.request_port_destroyed(space, port, Some(notify));
    assert!(matches!(asked, Ok(None)));
    (port, told)
}

fn is_dead(w: &mut World, node: usize, name: Name) -> bool {
    let space = w.machine(node).space();
    let types = w.machine(node).node().ipc().right_types(space, name);
    types.unwrap().contains(RightTypes::DEAD_NAME)
}

/// The receive right leaves for a node that sleeps; when that wakes, its peer has given it up and
/// has the right again. There is one port, not two.
#[test]
fn w_133_a_right_that_came_back_is_not_elsewhere_too() {
    let mut w = mortal(2);
    let p = Places::new(&mut w);
    let (port, told) = returning(&mut w, &p);
    let kept = once(&mut w, 0, port);
    w.freeze(1, MS(1500));
    p.give_receive(&mut w, 0, port, 1);
    send_by(&mut w, 0, port, b"queued");
    run(&mut w, MS(1400));
    let Some(Notification::PortDestroyed(right)) = news_at(&mut w, 0, told) else {
        panic!("it did not come back")
    };
    let space = w.machine(0).space();
    let back = w.machine(0).node().ipc().insert(space, right).unwrap();
    assert_eq!(back, port);
    run(&mut w, MS(600));
    // The message was there when node 1 woke, and it took it.
    let phantom = p.take(&mut w, 1);
    assert!(is_dead(&mut w, 1, phantom));
    give_up_all(&mut w, 1, phantom);
    assert_eq!(text_at(&mut w, 0, back), Some(b"queued".to_vec()));
    give_up(&mut w, 0, kept, RightKind::SendOnce);
    assert!(matches!(
        news_at(&mut w, 0, back),
        Some(Notification::SendOnce(_))
    ));
    give_up_all(&mut w, 0, back);
    p.drop_receive(&mut w, 0, told);
    p.close(&mut w);
    drained(&mut w);
}

/// A dead receive right in a message is still one when the message goes on to another node.
#[test]
fn w_53_a_dead_receive_right_is_one_on_each_node() {
    let mut w = World::new(&calm(2));
    let p = Places::new(&mut w);
    let port = p.port(&mut w, 0);
    give_up(&mut w, 0, port, RightKind::Send);
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    let right = ipc.extract(space, port, RightKind::Receive).unwrap();
    ipc.kill_port(right.port().unwrap(), Reason::NodeDied(7));
    let mut message = w.message(0, b"dead");
    message.push_right(right).unwrap();
    must(w.send(0, p.threads[0], p.way(0, 1), message));
    let message = p.take_message(&mut w, 1);
    let kinds: Vec<_> = message.rights().iter().map(|right| right.kind()).collect();
    assert_eq!(kinds, [RightKind::Receive]);
    w.discard(1, message).unwrap();
    p.close(&mut w);
    drained(&mut w);
}

/// A message brings a send-once right home to where its port has gone, and another right that is
/// new there: it is looked at twice, and each right is taken once.
#[test]
fn w_128_a_right_that_comes_home_beside_a_new_one_is_used_once() {
    for count in 1..4 {
        let mut w = World::new(&calm(2));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        let kept: Vec<_> = (0..count).map(|_| once(&mut w, 0, port)).collect();
        let moved = move_to(&mut w, &p, 0, port, 1);
        run(&mut w, MS(100));
        for name in kept {
            let new = p.port(&mut w, 0);
            let space = w.machine(0).space();
            let ipc = w.machine(0).node().ipc();
            let right = ipc.extract(space, name, RightKind::SendOnce).unwrap();
            let other = ipc.extract(space, new, RightKind::Send).unwrap();
            let mut message = w.message(0, b"home");
            message.push_right(right).unwrap();
            message.push_right(other).unwrap();
            must(w.send(0, p.threads[0], p.way(0, 1), message));
            let message = p.take_message(&mut w, 1);
            w.discard(1, message).unwrap();
            p.drop_receive(&mut w, 0, new);
        }
        run(&mut w, MS(100));
        for _ in 0..count {
            assert!(matches!(
                news_at(&mut w, 1, moved),
                Some(Notification::SendOnce(Reason::Unanswered))
            ));
        }
        assert_eq!(news_at(&mut w, 1, moved), None);
        give_up(&mut w, 0, port, RightKind::Send);
        p.drop_receive(&mut w, 1, moved);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// The same, and whoever has the right again sends it once more: the second time it arrives.
#[test]
fn w_133_a_right_that_came_back_can_go_again() {
    for wakes in [1200, 1350, 1500] {
        let mut w = mortal(2);
        let p = Places::new(&mut w);
        let (port, told) = returning(&mut w, &p);
        w.freeze(1, MS(wakes));
        p.give_receive(&mut w, 0, port, 1);
        let mut back = None;
        for _ in 0..200 {
            run(&mut w, MS(10));
            let Some(news) = news_at(&mut w, 0, told) else {
                continue;
            };
            let Notification::PortDestroyed(right) = news else {
                panic!("{news:?}")
            };
            back = Some(right);
            break;
        }
        let right = back.expect("it comes back");
        let way = w.look_up(0, p.threads[0], "inbox1").unwrap();
        let mut message = w.message(0, b"again");
        message.push_right(right).unwrap();
        must(w.send(0, p.threads[0], way, message));
        let first = p.take(&mut w, 1);
        assert!(is_dead(&mut w, 1, first), "{wakes}");
        give_up_all(&mut w, 1, first);
        let moved = p.take(&mut w, 1);
        assert!(!is_dead(&mut w, 1, moved), "{wakes}");
        run(&mut w, MS(100));
        send_by(&mut w, 0, port, b"there");
        run(&mut w, MS(100));
        assert_eq!(text_at(&mut w, 1, moved), Some(b"there".to_vec()));
        give_up_all(&mut w, 1, moved);
        for name in [port, told, way] {
            give_up_all(&mut w, 0, name);
        }
        p.close(&mut w);
        drained(&mut w);
    }
}

/// The new owner sends a right to the port home, to whom it still waits to hear from: that it is
/// released there does not end the move.
#[test]
fn w_135_a_right_may_come_home_before_the_port_has_left() {
    for step in 0..40 {
        let mut w = World::new(&calm(2));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        p.give(&mut w, 0, port, 1);
        let known = p.take(&mut w, 1);
        p.give_receive(&mut w, 0, port, 1);
        run(&mut w, std::time::Duration::from_micros(step * 5));
        p.give(&mut w, 1, known, 0);
        let moved = p.take(&mut w, 1);
        assert_eq!(moved, known);
        assert!(!is_dead(&mut w, 1, moved), "{step}");
        assert_eq!(p.take(&mut w, 0), port);
        run(&mut w, MS(50));
        send_by(&mut w, 0, port, b"there");
        run(&mut w, MS(50));
        assert_eq!(text_at(&mut w, 1, moved), Some(b"there".to_vec()));
        give_up_all(&mut w, 1, moved);
        give_up_all(&mut w, 0, port);
        p.close(&mut w);
        drained(&mut w);
    }
}

/// A port comes home, where send-once rights to it have stayed, and the node where it was dies:
/// each of these rights still comes to one thing.
#[test]
fn w_128_rights_that_are_home_again_do_not_die_with_the_node_between() {
    for step in 0..if cfg!(miri) { 2 } else { 80 } {
        let mut w = mortal(3);
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        let kept: Vec<_> = (0..2).map(|_| once(&mut w, 0, port)).collect();
        let moved = move_to(&mut w, &p, 0, port, 1);
        run(&mut w, MS(50));
        p.give_receive(&mut w, 1, moved, 0);
        run(&mut w, std::time::Duration::from_micros(step * 5));
        w.kill(1);
        run(&mut w, MS(3000));
        if let Some(back) = p.try_take(&mut w, 0) {
            if !is_dead(&mut w, 0, back) {
                for name in &kept {
                    assert_eq!(news_at(&mut w, 0, back), None, "{step}");
                    give_up(&mut w, 0, *name, RightKind::SendOnce);
                    let news = news_at(&mut w, 0, back);
                    assert_eq!(news, Some(Notification::SendOnce(Reason::Unanswered)));
                }
                assert_eq!(news_at(&mut w, 0, back), None, "{step}");
            }
            give_up_all(&mut w, 0, back);
        }
        let space = w.machine(0).space();
        for name in kept.into_iter().chain([port]) {
            let _ = w.machine(0).node().ipc().destroy(space, name);
            after(&mut w, 0);
        }
        p.close(&mut w);
        drained(&mut w);
    }
}

/// A name is looked up where a right to a port of the asker's own is checked in, which dies while
/// the answer is on its way: nothing is left of the right in it.
#[test]
fn w_91_an_answer_whose_right_has_died_is_released() {
    for step in 0..40 {
        let mut w = World::new(&calm(2));
        let p = Places::new(&mut w);
        let port = p.port(&mut w, 0);
        p.give(&mut w, 0, port, 1);
        let known = p.take(&mut w, 1);
        let (at, space) = (now(&w), w.machine(1).space());
        w.machine(1)
            .node()
            .check_in(at, space, known, "mine")
            .unwrap();
        after(&mut w, 1);
        let thread = p.threads[0];
        w.look_up(0, thread, "mine").unwrap();
        give_up(&mut w, 0, port, RightKind::Send);
        let at = now(&w);
        let asked = w.machine(0).node().look_up(at, thread, "mine", None);
        assert!(asked.is_ok());
        after(&mut w, 0);
        run(&mut w, std::time::Duration::from_micros(step * 5));
        p.drop_receive(&mut w, 0, port);
        run(&mut w, MS(3000));
        w.audit(0).unwrap();
        let end = w.machine(0).node().ipc().await_reply(thread);
        let Ok(Some(delivery)) = end else {
            panic!("{end:?} {step}")
        };
        w.machine(0).node().ipc().discard_delivery(delivery);
        w.audit(0).unwrap();
        give_up_all(&mut w, 0, port);
        give_up_all(&mut w, 1, known);
    }
}
