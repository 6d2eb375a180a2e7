//! The driver against the model device: what goes in comes out, and lies do no harm.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::error::DevicePlace;
use super::find::AnyTransport;
use super::limits::{FRAME_CAPACITY, FRAME_PAGES, HEAD, HEADER, PAGE_SIZE};
use super::model::{Arena, LARGEST, ModelState, ModelTransport, TestPage, write};
use super::*;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// A driver, its device, and the count of pages.
struct Pair {
    net: NetDevice<TestPage>,
    state: Rc<RefCell<ModelState>>,
    live: Rc<Cell<usize>>,
}

fn found(model: &ModelTransport) -> FoundNetworkDevice {
    FoundNetworkDevice {
        transport: AnyTransport::Model(model.clone()),
        interrupt: Interrupt::Message,
        place: DevicePlace::Mmio(0),
    }
}

fn start(
    model: &ModelTransport,
    buffers: usize,
    live: &Rc<Cell<usize>>,
) -> Result<NetDevice<TestPage>, InitError> {
    let region = Arena::new(NetDevice::<TestPage>::dma_bytes(buffers, buffers)).region();
    let options = NetOptions {
        receive_buffers: buffers,
        transmit_slots: buffers,
        ..NetOptions::default()
    };
    NetDevice::new(found(model), region, options, &mut || {
        Some(TestPage::new(live))
    })
}

impl Pair {
    fn new(buffers: usize) -> Self {
        let model = ModelTransport::new();
        let live = Rc::default();
        let net = start(&model, buffers, &live).expect("a good device starts");
        let pair = Self {
            net,
            state: model.0,
            live,
        };
        assert!(pair.state.borrow_mut().rung(0), "buffers were announced");
        pair
    }

    fn deliver(&self, frame: &[u8]) -> bool {
        let mut state = self.state.borrow_mut();
        state.queue(RECEIVE).deliver(frame).expect("a buffer")
    }

    fn sent(&self) -> Option<Vec<u8>> {
        self.state.borrow_mut().queue(TRANSMIT).send()
    }

    fn received(&mut self) -> Option<Vec<u8>> {
        self.net.receive(|head, length, pages| {
            assert_eq!(head.len(), length.min(HEAD));
            assert_eq!(pages.len(), length.saturating_sub(HEAD).div_ceil(PAGE_SIZE));
            let mut frame = head.to_vec();
            for page in pages.iter() {
                frame.extend(page.bytes());
            }
            frame.truncate(length);
            frame
        })
    }

    fn transmit(&mut self, frame: &[u8]) -> Result<(), FrameRefused> {
        let live = self.live.clone();
        let slot = self.net.transmit_slot().expect("room");
        let (head, rest) = frame.split_at(frame.len().min(HEAD));
        slot.head[..head.len()].copy_from_slice(head);
        for chunk in rest.chunks(PAGE_SIZE) {
            let page = TestPage::new(&live);
            write(page.physical_address(), chunk);
            assert!(slot.pages.push(page).is_ok());
        }
        slot.commit(frame.len())
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

const LENGTHS: [usize; 9] = [1, 14, 179, 180, 181, 4276, 4277, 20_000, LARGEST];

#[test]
fn received_frames_are_split_into_head_and_pages() {
    let mut pair = Pair::new(4);
    for length in LENGTHS {
        let frame = pattern(length);
        pair.deliver(&frame);
        assert!(pair.net.frames_waiting());
        assert!(pair.received() == Some(frame), "{length}");
        assert!(pair.received().is_none());
    }
    assert_eq!(pair.net.counters().frames_received, LENGTHS.len() as u64);
}

#[test]
fn sent_frames_are_gathered_from_head_and_pages() {
    let mut pair = Pair::new(4);
    for length in LENGTHS.into_iter().skip(1).chain([60, LARGEST, 15]) {
        let frame = pattern(length);
        pair.transmit(&frame).expect("it fits");
        assert!(pair.sent() == Some(frame), "{length}");
    }
    pair.net.reclaim();
    assert_eq!(pair.live.get(), 4 * FRAME_PAGES, "only receive pages live");
}

#[test]
fn swapped_pages_are_the_handlers_and_their_successors_are_used() {
    let mut pair = Pair::new(2);
    let mut kept = Vec::new();
    for round in 0..20u8 {
        let frame = vec![round; HEAD + 3 * PAGE_SIZE];
        pair.deliver(&frame);
        let live = pair.live.clone();
        pair.net
            .receive(|_, _, pages| {
                let fresh = TestPage::filled(&live, 0xee);
                kept.push((round, core::mem::replace(&mut pages[1], fresh)));
                pages.swap(0, 2);
            })
            .expect("a frame");
    }
    for (round, page) in &kept {
        assert!(page.bytes() == [*round; PAGE_SIZE], "nobody wrote into it");
    }
    assert_eq!(pair.live.get(), 2 * FRAME_PAGES + kept.len());
    drop(kept);
    let live = pair.live.clone();
    drop(pair);
    assert_eq!(live.get(), 0);
}

#[test]
#[should_panic(expected = "a page in a receive buffer is shared")]
fn a_shared_page_is_not_given_to_the_device() {
    let mut pair = Pair::new(2);
    pair.deliver(&pattern(HEAD + 1));
    let mut shared = Vec::new();
    pair.net
        .receive(|_, _, pages| shared.push(pages[0].share()));
}

#[test]
fn one_interrupt_comes_for_each_time_it_is_asked_for() {
    let mut pair = Pair::new(8);
    assert!(!pair.deliver(&[1; 20]), "not asked for yet");
    assert!(pair.net.enable_receive_interrupt(), "one is waiting");
    pair.received().expect("the first");
    assert!(!pair.net.enable_receive_interrupt());
    assert!(pair.deliver(&[2; 20]));
    assert!(!pair.deliver(&[3; 20]), "one was enough");
    pair.received().expect("the second");
    pair.received().expect("the third");
    assert!(!pair.net.enable_receive_interrupt());
    pair.net.disable_receive_interrupt();
    assert!(!pair.deliver(&[4; 20]));
}

#[test]
fn an_interrupt_waits_for_as_many_frames_as_it_may() {
    let mut pair = Pair::new(8);
    assert!(!pair.net.enable_receive_interrupt_behind(2));
    assert!(!pair.deliver(&[1; 20]) && !pair.deliver(&[2; 20]));
    assert!(pair.deliver(&[3; 20]), "the one behind them");
    assert!(pair.net.enable_receive_interrupt_behind(2), "it is here");
    for _ in 0..3 {
        pair.received().expect("a frame");
    }
    // Never for so many that the device could run out of buffers first.
    assert!(!pair.net.enable_receive_interrupt_behind(u16::MAX));
    let interrupts = (0..8).filter(|_| pair.deliver(&[4; 20])).count();
    assert_eq!(interrupts, 1);
}

#[test]
fn indices_wrap_around() {
    let mut pair = Pair::new(2);
    let rounds = if cfg!(miri) { 200 } else { 70_000u32 };
    for round in 0..rounds {
        let frame = round.to_le_bytes().repeat(5);
        let asked = round % 3 == 0;
        if asked {
            assert!(!pair.net.enable_receive_interrupt());
        } else {
            pair.net.disable_receive_interrupt();
        }
        assert_eq!(pair.deliver(&frame), asked, "{round}");
        assert!(pair.received().as_ref() == Some(&frame));
        pair.transmit(&frame).expect("it fits");
        assert!(pair.sent().as_ref() == Some(&frame));
        pair.net.notify();
    }
    assert_eq!(pair.net.counters().frames_sent, u64::from(rounds));
    assert_eq!(pair.net.fault(), None);
    assert_eq!(pair.net.counters().bad_tokens, 0);
}

#[test]
fn the_device_is_told_only_when_it_wants_to_be() {
    let mut pair = Pair::new(8);
    let told = |pair: &Pair| pair.state.borrow_mut().rung(1);
    pair.transmit(&[1; 20]).expect("it fits");
    pair.net.notify();
    assert!(told(&pair), "an idle device wants to know of the first");
    pair.transmit(&[2; 20]).expect("it fits");
    pair.transmit(&[3; 20]).expect("it fits");
    pair.net.notify();
    assert!(!told(&pair), "it has not looked yet, so it will see these");
    while pair.sent().is_some() {}
    pair.transmit(&[4; 20]).expect("it fits");
    pair.net.notify();
    pair.net.notify();
    assert!(told(&pair), "it had seen all");
    assert_eq!(pair.net.counters().notifications, 3);
}

#[test]
fn a_device_that_ran_dry_is_told_of_new_buffers() {
    for poll_only in [false, true] {
        let mut pair = Pair::new(4);
        for _ in 0..4 {
            pair.deliver(&[9; 20]);
        }
        let none = pair.state.borrow_mut().queue(RECEIVE).deliver(&[9; 20]);
        assert_eq!(none, None);
        while pair.received().is_some() {}
        if !poll_only {
            pair.net.enable_receive_interrupt();
        }
        assert!(pair.state.borrow_mut().rung(0));
    }
}

#[test]
fn a_full_ring_says_so_and_asks_for_an_interrupt() {
    let mut pair = Pair::new(4);
    for i in 0..4 {
        pair.transmit(&[i; 200]).expect("it fits");
    }
    assert!(pair.net.transmit_slot().is_none());
    assert_eq!(pair.net.counters().ring_full, 1);
    assert!(!pair.net.request_transmit_interrupt());
    let mut state = pair.state.borrow_mut();
    let queue = state.queue(TRANSMIT);
    let interrupts: Vec<bool> = (0..4u8)
        .map(|i| {
            let (slot, frame) = queue.collect().expect("a frame");
            assert_eq!(frame, [i; 200]);
            queue.push(u32::from(slot), 0)
        })
        .collect();
    assert_eq!(interrupts, [false, true, false, false]);
    drop(state);
    assert!(pair.net.request_transmit_interrupt(), "room already");
    assert!(pair.net.transmit_slot().is_some());
    assert_eq!(pair.live.get(), 4 * FRAME_PAGES, "pages were freed");
}

#[test]
fn a_frame_is_under_way_until_the_device_is_done_with_it() {
    let mut pair = Pair::new(4);
    for i in 0..3 {
        pair.transmit(&[i; 200]).expect("it fits");
    }
    for left in (0..3).rev() {
        let taken = pair.state.borrow_mut().queue(TRANSMIT).collect();
        let (slot, _) = taken.expect("a frame");
        assert_eq!(pair.net.under_way(), left + 1, "taken, and not yet sent");
        pair.state
            .borrow_mut()
            .queue(TRANSMIT)
            .push(u32::from(slot), 0);
        assert_eq!(pair.net.under_way(), left);
    }
}

#[test]
fn transmit_asks_for_no_interrupt_otherwise() {
    let mut pair = Pair::new(2);
    let rounds = if cfg!(miri) { 100 } else { 140_000 };
    for _ in 0..rounds {
        pair.transmit(&[5; 20]).expect("it fits");
        let mut state = pair.state.borrow_mut();
        let (slot, _) = state.queue(TRANSMIT).collect().expect("a frame");
        assert!(!state.queue(TRANSMIT).push(u32::from(slot), 0));
    }
}

#[test]
fn frames_that_cannot_be_sent_are_refused_with_their_pages() {
    let mut pair = Pair::new(2);
    for (length, pages) in [(13, 0), (181, 0), (HEAD + 4097, 1), (LARGEST + 1, 16)] {
        let slot = pair.net.transmit_slot().expect("room");
        for _ in 0..pages {
            assert!(slot.pages.push(TestPage::new(&pair.live)).is_ok());
        }
        assert!(slot.commit(length).is_err(), "{length}");
    }
    assert!(pair.sent().is_none());
    assert_eq!(pair.net.counters().refused, 4);
    let slot = pair.net.transmit_slot().expect("room");
    assert!(slot.pages.is_empty());
    assert_eq!(pair.live.get(), 2 * FRAME_PAGES);
}

#[test]
fn slots_that_the_device_does_not_have_are_not_taken_back() {
    let mut pair = Pair::new(4);
    let mut state = pair.state.borrow_mut();
    let queue = state.queue(RECEIVE);
    let (slot, _) = queue.pop().expect("a buffer");
    queue.push(4, 100);
    queue.push(u32::MAX, 100);
    drop(state);
    assert!(pair.received().is_none());
    assert_eq!(pair.net.counters().bad_tokens, 2);
    // Both of these are within what it was given, but the second is a repetition.
    let mut state = pair.state.borrow_mut();
    state.queue(RECEIVE).push(u32::from(slot), 100);
    drop(state);
    pair.received().expect("that one was right");
    assert_eq!(pair.net.fault(), None);
}

#[test]
fn a_slot_is_not_taken_back_twice() {
    let mut pair = Pair::new(4);
    for i in 0..3 {
        pair.transmit(&[i; 5000]).expect("it fits");
    }
    let mut state = pair.state.borrow_mut();
    let queue = state.queue(TRANSMIT);
    queue.push(0, 0);
    queue.push(0, 0);
    drop(state);
    assert_eq!(pair.net.reclaim(), 1);
    assert_eq!(pair.net.counters().bad_tokens, 1);
    assert_eq!(pair.live.get(), 4 * FRAME_PAGES + 2 * 2);
}

#[test]
fn wrong_lengths_are_counted_and_the_buffer_goes_back() {
    let mut pair = Pair::new(2);
    let lengths = [0, 11, 12, (HEADER + FRAME_CAPACITY) as u32 + 1, u32::MAX];
    for length in lengths {
        let mut state = pair.state.borrow_mut();
        let (slot, _) = state.queue(RECEIVE).pop().expect("a buffer");
        state.queue(RECEIVE).push(u32::from(slot), length);
        drop(state);
        assert!(pair.received().is_none());
    }
    assert_eq!(pair.net.counters().bad_lengths, lengths.len() as u64);
    pair.deliver(&pattern(5000));
    assert!(pair.received() == Some(pattern(5000)));
}

#[test]
fn a_wild_used_index_ends_the_conversation() {
    for queue in [RECEIVE, TRANSMIT] {
        let mut pair = Pair::new(2);
        pair.transmit(&[1; 20]).expect("it fits");
        pair.state.borrow_mut().queue(queue).jump(0x1234);
        assert!(pair.received().is_none());
        assert_eq!(pair.net.reclaim(), 0);
        assert!(!pair.net.enable_receive_interrupt(), "no endless loop");
        let fault = pair.net.fault().expect("it was noticed");
        assert!(fault.to_string().contains("4660"), "{fault}");
    }
}

#[test]
fn random_answers_of_a_device_do_no_harm() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..if cfg!(miri) { 3 } else { 300 } {
        let mut pair = Pair::new(4);
        for _ in 0..40 {
            let word = random();
            let queue = word as usize & 1;
            let mut state = pair.state.borrow_mut();
            let (id, length) = ((word >> 1) as u32 % 6, (word >> 8) as u32 % 70_000);
            match word >> 60 {
                0 => drop(state.queue(queue).jump((word >> 32) as u16)),
                1..8 => drop(state.queue(queue).push(id, length)),
                _ => drop(state.queue(queue).pop()),
            }
            drop(state);
            pair.received();
            if let Some(slot) = pair.net.transmit_slot() {
                let _ = slot.commit(word as usize % 300);
            }
            pair.net.notify();
        }
        let live = pair.live.clone();
        drop(pair);
        assert_eq!(live.get(), 0);
    }
}

#[test]
fn what_a_device_lacks_is_said() {
    type Change = fn(&mut ModelState);
    let cases: [(Change, &str); 6] = [
        (|s| s.features &= !(1 << 29), "`event_idx=on`"),
        (|s| s.features &= !(1 << 32), "disable-modern=off"),
        (|s| s.features |= 1 << 33, "iommu_platform=off"),
        (|s| s.mtu = 500, "host_mtu=65535"),
        (|s| s.limit = 1, "rx_queue_size=256"),
        (|s| s.accepts_features = false, "refused to use just these"),
    ];
    for (change, text) in cases {
        let model = ModelTransport::new();
        change(&mut model.0.borrow_mut());
        let error = start(&model, 2, &Rc::default()).err().expect(text);
        assert!(error.to_string().contains(text), "{error}");
        assert_ne!(model.0.borrow().status & 128, 0, "the device is given up");
    }
}

#[test]
fn only_known_features_are_taken_and_the_mtu_is_optional() {
    let model = ModelTransport::new();
    model.0.borrow_mut().features &= !(1 << 3);
    let net = start(&model, 2, &Rc::default()).expect("it starts");
    assert_eq!(net.mtu(), 1500);
    assert_eq!(net.mac(), [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    let accepted = model.0.borrow().accepted;
    assert_eq!(accepted, 1 << 32 | 1 << 29 | 1 << 28 | 1 << 5);
}

#[test]
fn too_little_memory_gives_everything_back() {
    let model = ModelTransport::new();
    let live: Rc<Cell<usize>> = Rc::default();
    let region = Arena::new(NetDevice::<TestPage>::dma_bytes(4, 4)).region();
    let options = NetOptions {
        receive_buffers: 4,
        transmit_slots: 4,
        ..NetOptions::default()
    };
    let mut left = 20;
    let result = NetDevice::new(found(&model), region, options, &mut || {
        left -= 1;
        (left > 0).then(|| TestPage::new(&live))
    });
    assert!(matches!(result, Err(InitError::OutOfMemory { buffers: 4 })));
    assert_eq!(live.get(), 0);
    drop(result);
    for (receive_buffers, length) in [(3, 1 << 20), (512, 1 << 20), (4, 64)] {
        let options = NetOptions {
            receive_buffers,
            ..options
        };
        let region = Arena::new(length).region();
        let page = &mut || Some(TestPage::new(&live));
        assert!(NetDevice::new(found(&model), region, options, page).is_err());
    }
}
