//! How what a receive right left behind comes to its end: rights at the old node when the port
//! dies at the new one, or when nobody can send any more.

mod common;

use common::moves::*;
use common::{Places, drained};
use norma_ipc::{Notification, Reason, RightKind};
use norma_sim::World;

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
