//! Every format survives a round trip, and no bytes whatever can make a parser panic.

use norma_wire::{
    Address, Error, context, control, descriptor, ethernet, flip, hello, layout, session,
};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 1024 });
    if cfg!(miri) {
        config.failure_persistence = None; // Miri's isolation has no files
    }
    config
}

prop_compose! {
    fn flip_repr()(
        kind in 1u8..=6, flags: u8, hops: (u16, u16), addresses: (u64, u64),
        numbers: (u32, u32, u32, u32),
    ) -> flip::Repr {
        flip::Repr {
            kind: flip::Kind::from_u8(kind).unwrap(),
            flags: flip::Flags::from_bits_retain(flags),
            actual_hop: hops.0,
            maximum_hop: hops.1,
            destination: Address(addresses.0),
            source: Address(addresses.1),
            message_id: numbers.0,
            length: numbers.1,
            offset: numbers.2,
            total: numbers.3,
        }
    }
}

prop_compose! {
    fn session_repr()(
        kind in 1u8..=8, flags in 0u16..32, a: [u32; 4], b: [u32; 4], credit: u8, rights: u8,
        inline: u16, after: u16, key: u32, tag: [u8; 16],
    ) -> session::Repr {
        session::Repr {
            kind: session::Kind::from_u8(kind).unwrap(),
            flags: session::Flags::from_bits_truncate(flags),
            session: a[0], sequence: a[1], acknowledged: a[2], selective: a[3],
            destination: b[0], reply: b[1], id: b[2], memory: b[3],
            credit, rights, inline, after, key, tag,
        }
    }
}

prop_compose! {
    fn hello_repr()(
        versions: (u8, u8), features: u32, incarnation: u64, cluster: [u8; 16],
        numbers: [u32; 4], name in "[a-zé0-9-]{0,8}",
    ) -> hello::Repr {
        hello::Repr {
            lowest: versions.0.min(versions.1),
            highest: versions.0.max(versions.1),
            features, incarnation, cluster,
            session: numbers[0], echo: numbers[1], frame_limit: numbers[2], first_sequence: numbers[3],
            name: hello::NodeName::new(&name).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn ethernet_round_trip(destination: [u8; 6], source: [u8; 6]) {
        let repr = ethernet::Repr {
            destination: ethernet::EthernetAddress(destination),
            source: ethernet::EthernetAddress(source),
        };
        let mut bytes = [0; ethernet::LENGTH];
        repr.emit(&mut bytes);
        prop_assert_eq!(ethernet::Repr::parse(&bytes), Ok(repr));
        prop_assert_eq!(&bytes[12..], &[0x81, 0x46]);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
    }

    #[test]
    fn ethernet_never_panics(bytes: [u8; ethernet::LENGTH]) {
        let _ = ethernet::Repr::parse(&bytes);
    }

    #[test]
    fn flip_round_trip(repr in flip_repr()) {
        let mut bytes = [0xee; flip::LENGTH];
        repr.emit(&mut bytes);
        let packet = flip::Packet::new_checked(&bytes).unwrap();
        prop_assert_eq!(flip::Repr::parse(&packet), repr);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
    }

    #[test]
    fn flip_setters(from in flip_repr(), to in flip_repr()) {
        let mut bytes = [0; flip::LENGTH];
        from.emit(&mut bytes);
        let mut packet = flip::PacketMut::new(&mut bytes).unwrap();
        packet.set_kind(to.kind);
        packet.set_flags(to.flags);
        packet.set_actual_hop(to.actual_hop);
        packet.set_destination(to.destination);
        packet.set_fragment(to.offset, to.length);
        let changed = flip::Repr {
            kind: to.kind, flags: to.flags, actual_hop: to.actual_hop,
            destination: to.destination, offset: to.offset, length: to.length, ..from
        };
        prop_assert_eq!(flip::Repr::parse(&flip::Packet::new_checked(&bytes).unwrap()), changed);
    }

    #[test]
    fn flip_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), came: usize, valid: bool) {
        if valid && bytes.len() > 2 {
            bytes[0] = 1;
            bytes[1] %= 8;
        }
        match flip::Packet::new_checked(&bytes) {
            Ok(packet) => {
                let _ = (flip::Repr::parse(&packet), packet.check_length(came), packet.is_whole());
            }
            Err(Error::TooShort) => prop_assert!(bytes.len() < flip::LENGTH),
            Err(_) => prop_assert!(bytes.len() >= flip::LENGTH),
        }
        let _ = flip::PacketMut::new(&mut bytes);
    }

    #[test]
    fn session_round_trip(repr in session_repr()) {
        let mut bytes = [0xee; session::LENGTH];
        repr.emit(&mut bytes);
        let header = session::Header::new_checked(&bytes).unwrap();
        prop_assert_eq!(session::Repr::parse(&header), repr);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
        session::Repr::refresh(&mut bytes, 7, 8, 9);
        let header = session::Header::new_checked(&bytes).unwrap();
        let expected = session::Repr { acknowledged: 7, selective: 8, credit: 9, ..repr };
        prop_assert_eq!(session::Repr::parse(&header), expected);
    }

    #[test]
    fn session_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..130), length in 0usize..70_000) {
        if bytes.len() > 4 {
            bytes[0] = 1;
            bytes[1] %= 10;
            bytes[3] = 0;
        }
        if let Ok(header) = session::Header::new_checked(&bytes) {
            let _ = session::Repr::parse(&header);
            let _ = control::Control::parse(&header);
            let _ = layout::check_fixed(header.kind(), length);
            if let Ok(parts) = layout::MessageLayout::parse(&header, length) {
                prop_assert_eq!(parts.payload_length(), length);
                prop_assert_eq!(parts.in_head() + parts.trailer, parts.stream);
                prop_assert!(parts.in_head() <= layout::HEAD_BODY);
            }
        }
    }

    #[test]
    fn hello_round_trip(repr in hello_repr()) {
        let mut bytes = [0xee; hello::LENGTH];
        repr.emit(&mut bytes);
        let body = hello::Body::new_checked(&bytes).unwrap();
        prop_assert_eq!(hello::Repr::parse(&body), repr);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
    }

    #[test]
    fn hello_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), ascii: bool) {
        if ascii {
            bytes.iter_mut().skip(48).for_each(|byte| *byte &= 0x7f);
        }
        if let Ok(body) = hello::Body::new_checked(&bytes) {
            let repr = hello::Repr::parse(&body);
            prop_assert!(repr.name.as_str().len() <= 16);
        }
    }

    #[test]
    fn descriptor_round_trip(
        kind in 1u8..=5, origin in 1u8..=3, moves: u16, index: u32, port: u64, node: u64,
        session: u32, there: u32,
    ) {
        let repr = descriptor::Repr {
            kind: descriptor::Kind::from_u8(kind).unwrap(),
            origin: descriptor::Origin::from_u8(origin).unwrap(),
            moves, index, port, node: Address(node), session, there,
        };
        let mut bytes = [0xee; descriptor::LENGTH];
        repr.emit(&mut bytes);
        let view = descriptor::Descriptor::new_checked(&bytes).unwrap();
        prop_assert_eq!(descriptor::Repr::parse(&view), repr);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
    }

    #[test]
    fn descriptor_never_panics(bytes in proptest::collection::vec(0u8..7, 0..40)) {
        if let Ok(view) = descriptor::Descriptor::new_checked(&bytes) {
            let _ = descriptor::Repr::parse(&view);
        }
    }

    #[test]
    fn context_round_trip(deadline: u64, trace: [u8; 16], priority: u8) {
        let repr = context::Repr { deadline, trace, priority };
        let mut bytes = [0xee; context::LENGTH];
        repr.emit(&mut bytes);
        prop_assert_eq!(context::Repr::parse(&context::Context::from_array(&bytes)), repr);
        prop_assert_eq!(repr.buffer_len(), bytes.len());
    }

    #[test]
    fn context_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(view) = context::Context::new_checked(&bytes) {
            let _ = context::Repr::parse(&view);
        }
    }

    #[test]
    fn control_round_trip(operation in 0u32..8, reply: u32, id in prop_oneof![0u32..4, any::<u32>()], memory: u32) {
        if let Ok(control) = control::Control::from_fields(operation, reply, id, memory) {
            let mut repr = session::Repr::new(session::Kind::Control);
            control.emit(&mut repr);
            let mut bytes = [0; session::LENGTH];
            repr.emit(&mut bytes);
            let header = session::Header::new_checked(&bytes).unwrap();
            prop_assert_eq!(control::Control::parse(&header), Ok(control));
        }
    }

    /// What a sender plans is what a receiver finds.
    #[test]
    fn plan_and_parse_agree(
        inline in 0u16..9000, rights in 0u8..8, context: bool, memory in 0u32..120_000, pages in 0usize..16,
    ) {
        let in_frame = (pages * layout::PAGE).min(memory as usize);
        let plan = layout::MessageLayout::plan(inline.into(), rights.into(), context, in_frame);
        let mut repr = session::Repr { inline, rights, memory, ..session::Repr::new(session::Kind::Message) };
        repr.flags.set(session::Flags::CONTEXT, context);
        let mut bytes = [0; session::LENGTH];
        repr.emit(&mut bytes);
        let header = session::Header::new_checked(&bytes).unwrap();
        let parsed = layout::MessageLayout::parse(&header, plan.payload_length());
        prop_assert_eq!(parsed, Ok(plan));
    }
}

/// Whatever a message has besides its header shows, and what only concerns the session does not.
#[test]
fn a_message_is_bare_when_it_is_nothing_but_its_header() {
    let is_bare = |repr: session::Repr| {
        let mut bytes = [0; session::LENGTH];
        repr.emit(&mut bytes);
        session::Header::new_checked(&bytes).unwrap().is_bare()
    };
    let mut bare = session::Repr {
        flags: session::Flags::all() - session::Flags::CONTEXT,
        sequence: u32::MAX,
        selective: u32::MAX,
        credit: u8::MAX,
        destination: u32::MAX,
        reply: u32::MAX,
        id: u32::MAX,
        after: u16::MAX,
        ..session::Repr::new(session::Kind::Message)
    };
    assert!(is_bare(bare));
    for bit in 0..8 {
        assert!(!is_bare(session::Repr {
            rights: 1 << bit,
            ..bare
        }));
    }
    for bit in 0..16 {
        assert!(!is_bare(session::Repr {
            inline: 1 << bit,
            ..bare
        }));
    }
    for bit in 0..32 {
        assert!(!is_bare(session::Repr {
            memory: 1 << bit,
            ..bare
        }));
    }
    bare.flags |= session::Flags::CONTEXT;
    assert!(!is_bare(bare));
}

#[test]
fn layout_refuses_contradictions() {
    let parse = |repr: session::Repr, length| {
        let mut bytes = [0; session::LENGTH];
        repr.emit(&mut bytes);
        layout::MessageLayout::parse(&session::Header::new_checked(&bytes).unwrap(), length)
    };
    let message = session::Repr {
        inline: 40,
        ..session::Repr::new(session::Kind::Message)
    };
    assert_eq!(parse(message, 102).map(|parts| parts.stream), Ok(40));
    for wrong in [0, 61, 62, 101, 103, 126, 127, 126 + 4096] {
        assert_eq!(
            parse(message, wrong),
            Err(Error::WrongLength),
            "length {wrong}"
        );
    }
    // With a trailer the pages are whole.
    let trailing = session::Repr {
        inline: 100,
        memory: 5000,
        ..message
    };
    assert_eq!(
        parse(trailing, 126 + 36 + 8192).map(|parts| parts.pages),
        Ok(2)
    );
    assert_eq!(parse(trailing, 126 + 36 + 5000), Err(Error::WrongLength));
    assert_eq!(parse(trailing, 126 + 36 + 12288), Err(Error::WrongLength));
    // Without one the last page may be short, but no page that is not the last.
    let paged = session::Repr {
        memory: 5000,
        ..message
    };
    assert_eq!(parse(paged, 126 + 5000).map(|parts| parts.pages), Ok(2));
    assert_eq!(parse(paged, 126 + 4096).map(|parts| parts.pages), Ok(1));
    assert_eq!(parse(paged, 126 + 4095), Err(Error::WrongLength));
    // A PART carries pages and nothing else.
    let part = session::Repr::new(session::Kind::Part);
    assert_eq!(parse(part, 126 + 1).map(|parts| parts.pages), Ok(1));
    assert_eq!(parse(part, 126), Err(Error::WrongLength));
    assert_eq!(
        parse(session::Repr { inline: 1, ..part }, 126 + 1),
        Err(Error::BadField)
    );
    assert_eq!(
        parse(session::Repr::new(session::Kind::Ack), 62),
        Err(Error::WrongType)
    );
}

#[test]
fn fixed_kinds_have_one_length() {
    use session::Kind;
    assert_eq!(layout::check_fixed(Kind::Hello, 126), Ok(()));
    assert_eq!(
        layout::check_fixed(Kind::Hello, 62),
        Err(Error::WrongLength)
    );
    assert_eq!(layout::check_fixed(Kind::Ack, 62), Ok(()));
    assert_eq!(
        layout::check_fixed(Kind::Control, 63),
        Err(Error::WrongLength)
    );
    assert_eq!(
        layout::check_fixed(Kind::Message, 62),
        Err(Error::WrongType)
    );
}

#[test]
fn names_are_padded_utf8() {
    assert_eq!(hello::NodeName::new("node-a").unwrap().as_str(), "node-a");
    assert_eq!(
        hello::NodeName::new("sixteen-letters.").unwrap().as_str(),
        "sixteen-letters."
    );
    assert!(hello::NodeName::new("seventeen-letters").is_none());
    assert!(hello::NodeName::from_bytes(*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0").is_none());
    assert!(hello::NodeName::from_bytes([0xff; 16]).is_none());
}
