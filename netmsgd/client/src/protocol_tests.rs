//! Tests of the protocol's layout: what one end writes the other reads, and nothing panics.

use super::*;

fn message() -> Vec<u8> {
    let head = MessageHead {
        id: 7,
        format: 0x21,
        rights: 2,
        data: 3,
        port: 9,
        sequence: 4,
        reply: 11,
        memory: 1 << 33,
    };
    let context = Context {
        deadline: 5,
        trace: [3; 16],
        priority: 6,
    };
    let mut out = Vec::new();
    head.emit(context, &mut out);
    assert_eq!(out.len(), MESSAGE + CONTEXT);
    emit_right(20, kind_number(RightKind::Send), &mut out);
    emit_right(21, kind_number(RightKind::Receive), &mut out);
    out.extend_from_slice(b"abc");
    let view = MessageView::parse(&out).unwrap();
    assert_eq!(
        (view.head, view.context, view.data),
        (head, context, &b"abc"[..])
    );
    assert_eq!(view.rights().collect::<Vec<_>>(), [(20, 2), (21, 1)]);
    out
}

#[test]
fn heads_are_read_as_they_were_written() {
    let request = Request {
        operation: Operation::NotifyNoSenders,
        kind: RightKind::SendOnce,
        name: 1,
        other: 2,
        value: 3,
        patience: 4,
    };
    let mut out = Vec::new();
    request.emit(&mut out);
    assert_eq!(out.len(), HEAD);
    out.extend_from_slice(b"tail");
    assert_eq!(Request::parse(&out), Some((request, &b"tail"[..])));
    let reply = Reply {
        answer: Answer::Failed,
        what: Cause::NodeDied as u8,
        flags: RETURNED,
        cause: 2,
        name: 3,
        value: 4,
        text: 2,
    };
    let mut out = Vec::new();
    reply.emit(&mut out);
    assert_eq!(out.len(), HEAD);
    out.extend_from_slice(b"abrest");
    assert_eq!(Reply::parse(&out), Some((reply, &b"ab"[..], &b"rest"[..])));
}

#[test]
fn the_largest_packet_is_as_the_specification_says() {
    assert_eq!(crate::limits::MAX_PACKET, 10_336);
}

#[test]
fn what_is_cut_short_or_too_long_is_no_message() {
    let whole = message();
    for length in 0..whole.len() {
        assert!(MessageView::parse(&whole[..length]).is_none());
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(MessageView::parse(&longer).is_none());
}

#[test]
fn no_packet_panics() {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for length in 0..300 {
        let packet: Vec<u8> = (0..length).map(|_| random()).collect();
        let _ = Request::parse(&packet);
        let _ = Reply::parse(&packet);
        if let Some(view) = MessageView::parse(&packet) {
            let _ = view.rights().count();
        }
        // With a number that is known in front.
        let mut packet = packet;
        for number in 0..=32 {
            if let Some(first) = packet.first_mut() {
                *first = number;
            }
            let _ = Request::parse(&packet);
        }
    }
}

#[test]
fn every_right_and_disposition_has_a_number() {
    for number in 0..=u8::MAX {
        if let Some(kind) = kind(number) {
            assert_eq!(kind_number(kind), number);
        }
        if let Some(disposition) = disposition(number) {
            assert_eq!(disposition_number(disposition), number);
        }
    }
}
