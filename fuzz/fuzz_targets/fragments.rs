//! Fuzz: reassembly against a model.
//!
//! Pieces of one datagram come in any order, with any overlaps. The model knows which bytes
//! were accepted first. What is delivered must be these, and all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use norma_flip::{Config, DropReason, Flip, Incoming, Input, Instant, PREFIX};
use norma_ipc::{HeapPage, HeapPages, Page, PageSource};
use norma_wire::ethernet::EthernetAddress;
use norma_wire::{Address, ethernet, flip, layout};

const TOTAL: usize = 600;

fuzz_target!(|pieces: Vec<(u16, u8, u8)>| {
    let mac = [2, 0, 0, 0, 0, 1];
    let mut node: Flip<HeapPage> = Flip::new(Config { mac, mtu: 1500 }, [7; 32]);
    let private = node.draw_address(1);
    let own = node.register(private).unwrap();
    let mut model: [Option<u8>; TOTAL] = [None; TOTAL];
    for (offset, length, colour) in pieces {
        let offset = usize::from(offset) % TOTAL;
        let length = usize::from(length).min(TOTAL - offset);
        let range = offset..offset + length;
        let (new, known) = (
            model[range.clone()].contains(&None),
            model[range.clone()] != vec![None; length],
        );
        match take(&mut node, own, offset, length, colour) {
            Input::Absorbed if new => {
                assert!(!known, "a part that overlaps was taken");
                model[range].fill(Some(colour));
            }
            Input::Absorbed => {}
            Input::Reassembled {
                length: whole,
                mut datagram,
                ..
            } => {
                model[range]
                    .iter_mut()
                    .for_each(|byte| *byte = byte.or(Some(colour)));
                let mut bytes = vec![0; whole];
                assert!(datagram.incoming().copy_to(PREFIX, &mut bytes));
                assert!(bytes.iter().map(|byte| Some(*byte)).eq(model));
                model.fill(None);
            }
            Input::Dropped(DropReason::Wire(_)) => {
                assert_eq!(length, 0);
            }
            Input::Dropped(reason) => {
                assert!(matches!(
                    reason,
                    DropReason::Overlap | DropReason::TooManyRanges
                ));
                model.fill(None);
            }
            Input::Deliver { .. } => assert_eq!(length, TOTAL),
            Input::Multicast { .. } => panic!("it was sent to one"),
        }
    }
});

fn take(
    node: &mut Flip<HeapPage>,
    own: Address,
    offset: usize,
    length: usize,
    colour: u8,
) -> Input<HeapPage> {
    let header = flip::Repr {
        kind: flip::Kind::UniData,
        flags: flip::Flags::empty(),
        actual_hop: 1,
        maximum_hop: 25,
        destination: own,
        source: Address(9),
        message_id: 1,
        length: length as u32,
        offset: offset as u32,
        total: TOTAL as u32,
    };
    let stations = ethernet::Repr {
        destination: EthernetAddress([2, 0, 0, 0, 0, 1]),
        source: EthernetAddress([2, 0, 0, 0, 0, 2]),
    };
    let mut head = [colour; layout::HEAD];
    stations.emit(layout::ethernet_mut(&mut head));
    header.emit(layout::flip_mut(&mut head));
    let mut page = HeapPages::default().allocate().unwrap();
    page.bytes_mut().unwrap().fill(colour);
    let mut frame = Incoming {
        head: &head,
        length: PREFIX + length,
        pages: &mut [page],
    };
    node.handle_frame(
        Instant::ZERO,
        norma_flip::NetworkId::FIRST,
        &mut frame,
        &mut HeapPages::default(),
    )
}
