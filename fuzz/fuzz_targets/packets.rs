//! Fuzz: packets between programs and `netmsgd`, from either side.
//!
//! Reading may never panic, and what is read says everything: written again and read again it is
//! the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use norma_client::protocol::{MessageView, Reply, Request, emit_right};

/// The message in the rest of a packet, if it is one.
fn message(tail: &[u8]) {
    let Some(view) = MessageView::parse(tail) else {
        return;
    };
    assert_eq!(view.rights().count(), usize::from(view.head.rights));
    assert_eq!(view.data.len(), view.head.data as usize);
    let mut again = Vec::new();
    view.head.emit(view.context, &mut again);
    for (name, what) in view.rights() {
        emit_right(name, what, &mut again);
    }
    again.extend_from_slice(view.data);
    let other = MessageView::parse(&again).unwrap();
    assert_eq!((other.head, other.context), (view.head, view.context));
    assert_eq!(other.data, view.data);
    assert!(other.rights().eq(view.rights()));
}

fuzz_target!(|packet: &[u8]| {
    message(packet);
    let mut again = Vec::new();
    if let Some((request, tail)) = Request::parse(packet) {
        request.emit(&mut again);
        again.extend_from_slice(tail);
        assert_eq!(Request::parse(&again), Some((request, tail)));
        message(tail);
    }
    again.clear();
    if let Some((reply, text, tail)) = Reply::parse(packet) {
        reply.emit(&mut again);
        again.extend_from_slice(text);
        again.extend_from_slice(tail);
        assert_eq!(Reply::parse(&again), Some((reply, text, tail)));
        message(tail);
    }
});
