//! Fuzz: every parser of norma-wire, on any bytes.
//!
//! None may panic. What a parser accepts, and then writes out, it must read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use norma_wire::{context, control, descriptor, ethernet, flip, hello, layout, session};

fuzz_target!(|input: (u32, &[u8])| {
    let (length, bytes) = input;
    if let Some(Ok(repr)) = bytes.first_chunk().map(ethernet::Repr::parse) {
        let mut again = [0; ethernet::LENGTH];
        repr.emit(&mut again);
        assert_eq!(ethernet::Repr::parse(&again), Ok(repr));
    }
    if let Ok(packet) = flip::Packet::new_checked(bytes) {
        let _ = packet.check_length(length as usize);
        let repr = flip::Repr::parse(&packet);
        let mut again = [0; flip::LENGTH];
        repr.emit(&mut again);
        let packet = flip::Packet::new_checked(&again).expect("it was written by us");
        assert_eq!(flip::Repr::parse(&packet), repr);
    }
    if let Ok(header) = session::Header::new_checked(bytes) {
        session(&header, length as usize);
    }
    if let Ok(body) = hello::Body::new_checked(bytes) {
        let repr = hello::Repr::parse(&body);
        let mut again = [0; hello::LENGTH];
        repr.emit(&mut again);
        let body = hello::Body::new_checked(&again).expect("it was written by us");
        assert_eq!(hello::Repr::parse(&body), repr);
    }
    if let Ok(view) = descriptor::Descriptor::new_checked(bytes) {
        let repr = descriptor::Repr::parse(&view);
        let mut again = [0; descriptor::LENGTH];
        repr.emit(&mut again);
        let view = descriptor::Descriptor::new_checked(&again).expect("it was written by us");
        assert_eq!(descriptor::Repr::parse(&view), repr);
    }
    if let Ok(view) = context::Context::new_checked(bytes) {
        let repr = context::Repr::parse(&view);
        let mut again = [0; context::LENGTH];
        repr.emit(&mut again);
        assert_eq!(
            context::Repr::parse(&context::Context::from_array(&again)),
            repr
        );
    }
});

fn session(header: &session::Header<'_>, length: usize) {
    let repr = session::Repr::parse(header);
    let mut again = [0; session::LENGTH];
    repr.emit(&mut again);
    let view = session::Header::new_checked(&again).expect("it was written by us");
    assert_eq!(session::Repr::parse(&view), repr);
    let _ = layout::check_fixed(header.kind(), length);
    if let Ok(parts) = layout::MessageLayout::parse(header, length) {
        assert_eq!(parts.payload_length(), length);
        assert_eq!(parts.in_head() + parts.trailer, parts.stream);
        assert!(parts.in_head() <= layout::HEAD_BODY);
    }
    if let Ok(control) = control::Control::parse(header) {
        let mut repr = session::Repr::new(session::Kind::Control);
        control.emit(&mut repr);
        let fields =
            control::Control::from_fields(repr.destination, repr.reply, repr.id, repr.memory);
        assert_eq!(fields, Ok(control));
    }
}
