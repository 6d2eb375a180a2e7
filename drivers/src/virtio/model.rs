//! A network device in software, for tests: it walks the rings in memory as QEMU would.
//!
//! Owns: memory for tests, pages that count their lives, a device that can also lie, and a
//! model of PCI configuration space. Leaves to others: what is expected ([`super::tests`]).
//! Why this way: "physical" addresses are the addresses of the test's own memory, so that the
//! driver under test runs unchanged, also under Miri.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Mutex;

use super::dma::DmaRegion;
use super::error::InitError;
use super::limits::{HEADER, PAGE_SIZE};
use super::pci::{ConfigSpace, Function};
use super::queue::QueueAddresses;
use super::registers::{Doorbell, Registers, WordRegister};
use super::transport::Transport;
use super::{DmaPage, limits};

/// Memory that lives to the end of the test run.
pub(super) struct Arena {
    base: *mut u8,
    length: usize,
}

/// All arenas, so that memory which only a model device knows does not count as lost.
static ARENAS: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

struct Kept(#[expect(dead_code)] *mut u8);
// SAFETY: the pointer is kept and never used.
unsafe impl Send for Kept {}

impl Arena {
    pub(super) fn new(length: usize) -> Self {
        let layout = Layout::from_size_align(length, PAGE_SIZE).expect("a layout");
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) };
        assert!(!base.is_null());
        ARENAS.lock().expect("no test panics here").push(Kept(base));
        Self { base, length }
    }

    pub(super) fn region(self) -> DmaRegion {
        let physical = self.base.expose_provenance() as u64;
        // SAFETY: the memory was allocated just so, for good, and is given away whole.
        unsafe { DmaRegion::new(self.base, physical, self.length) }
    }

    /// Its address.
    pub(super) fn address(&self) -> u64 {
        self.base.expose_provenance() as u64
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        self.base
    }
}

fn read<const N: usize>(address: u64) -> [u8; N] {
    let pointer = core::ptr::with_exposed_provenance::<[u8; N]>(address as usize);
    // SAFETY: the driver described this memory to the device; that it did so rightly is what
    // Miri checks here.
    unsafe { pointer.read_unaligned() }
}

fn read16(address: u64) -> u16 {
    u16::from_le_bytes(read(address))
}

pub(super) fn read32(address: u64) -> u32 {
    u32::from_le_bytes(read(address))
}

fn read64(address: u64) -> u64 {
    u64::from_le_bytes(read(address))
}

pub(super) fn write(address: u64, bytes: &[u8]) {
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: as in `read`.
    unsafe { pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
}

/// A page that counts how many of its kind live.
pub(super) struct TestPage(Rc<TestMemory>);

struct TestMemory {
    base: *mut u8,
    live: Rc<Cell<usize>>,
}

const PAGE_LAYOUT: Layout = match Layout::from_size_align(PAGE_SIZE, PAGE_SIZE) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

impl TestPage {
    pub(super) fn new(live: &Rc<Cell<usize>>) -> Self {
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(PAGE_LAYOUT) };
        live.set(live.get() + 1);
        let live = live.clone();
        Self(Rc::new(TestMemory { base, live }))
    }

    pub(super) fn filled(live: &Rc<Cell<usize>>, byte: u8) -> Self {
        let page = Self::new(live);
        write(page.physical_address(), &[byte; PAGE_SIZE]);
        page
    }

    pub(super) fn share(&self) -> Self {
        Self(self.0.clone())
    }

    pub(super) fn bytes(&self) -> [u8; PAGE_SIZE] {
        read(self.physical_address())
    }
}

impl Drop for TestMemory {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
        // SAFETY: allocated with this layout, and nobody else frees it.
        unsafe { dealloc(self.base, PAGE_LAYOUT) };
    }
}

// SAFETY: the memory is allocated with the page, aligned, and freed with its last holder;
// tests write to it only through the model device or before it is shared.
unsafe impl DmaPage for TestPage {
    fn physical_address(&self) -> u64 {
        self.0.base.expose_provenance() as u64
    }

    fn is_exclusive(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// A piece of a buffer: address, length, and whether the device may write.
type Piece = (u64, u32, bool);

/// The device's view of one queue.
pub(super) struct ModelQueue {
    addresses: QueueAddresses,
    slots: u16,
    pub(super) last_available: u16,
    pub(super) used: u16,
    signalled: u16,
}

impl ModelQueue {
    fn new(addresses: QueueAddresses, slots: u16) -> Self {
        Self {
            addresses,
            slots,
            last_available: 0,
            used: 0,
            signalled: 0,
        }
    }

    pub(super) fn available(&self) -> u16 {
        read16(self.addresses.driver + 2).wrapping_sub(self.last_available)
    }

    /// Takes the next slot: its number and its pieces.
    pub(super) fn pop(&mut self) -> Option<(u16, Vec<Piece>)> {
        if self.available() == 0 {
            return None;
        }
        let at = 4 + 2 * u64::from(self.last_available % self.slots);
        let slot = read16(self.addresses.driver + at);
        self.last_available = self.last_available.wrapping_add(1);
        let event = self.addresses.device + 4 + 8 * u64::from(self.slots);
        write(event, &self.last_available.to_le_bytes());
        let descriptor = self.addresses.descriptors + 16 * u64::from(slot);
        let flags = read16(descriptor + 12);
        if flags & 4 == 0 {
            assert_eq!(flags & 1, 0, "a slot stands alone");
            let piece = (read64(descriptor), read32(descriptor + 8), flags & 2 != 0);
            return Some((slot, vec![piece]));
        }
        let (table, length) = (read64(descriptor), read32(descriptor + 8));
        Some((slot, Self::walk(table, length / 16)))
    }

    fn walk(table: u64, entries: u32) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut index = 0;
        loop {
            assert!(index < entries, "a chain stays in its table");
            let descriptor = table + 16 * u64::from(index);
            let flags = read16(descriptor + 12);
            pieces.push((read64(descriptor), read32(descriptor + 8), flags & 2 != 0));
            if flags & 1 == 0 {
                assert_eq!(
                    pieces.len(),
                    entries as usize,
                    "the table is as long as told"
                );
                return pieces;
            }
            index = u32::from(read16(descriptor + 14));
        }
    }

    /// Gives a slot back; true if the driver wants an interrupt.
    pub(super) fn push(&mut self, id: u32, length: u32) -> bool {
        let at = self.addresses.device + 4 + 8 * u64::from(self.used % self.slots);
        write(at, &id.to_le_bytes());
        write(at + 4, &length.to_le_bytes());
        self.jump(self.used.wrapping_add(1))
    }

    /// Sets the used index, whatever it was.
    pub(super) fn jump(&mut self, used: u16) -> bool {
        self.used = used;
        write(self.addresses.device + 2, &used.to_le_bytes());
        let event = read16(self.addresses.driver + 4 + 2 * u64::from(self.slots));
        let old = core::mem::replace(&mut self.signalled, used);
        used.wrapping_sub(event).wrapping_sub(1) < used.wrapping_sub(old)
    }

    /// Receives: writes a frame into the next buffer. None if there is no buffer, otherwise
    /// whether an interrupt is wanted.
    pub(super) fn deliver(&mut self, frame: &[u8]) -> Option<bool> {
        let (slot, pieces) = self.pop()?;
        let mut bytes = vec![0; HEADER];
        bytes.extend_from_slice(frame);
        let mut rest = &bytes[..];
        for (address, length, writable) in pieces {
            assert!(writable);
            let (now, later) = rest.split_at(rest.len().min(length as usize));
            write(address, now);
            rest = later;
        }
        assert!(rest.is_empty(), "the buffer holds the frame");
        Some(self.push(u32::from(slot), bytes.len() as u32))
    }

    /// Transmits: takes the next frame, without its header.
    pub(super) fn collect(&mut self) -> Option<(u16, Vec<u8>)> {
        let (slot, pieces) = self.pop()?;
        let mut frame = Vec::new();
        for (address, length, writable) in pieces {
            assert!(!writable);
            frame.extend((0..u64::from(length)).map(|i| read::<1>(address + i)[0]));
        }
        assert_eq!(frame[..HEADER], [0; HEADER]);
        Some((slot, frame.split_off(HEADER)))
    }

    /// Takes the next frame and gives its slot back.
    pub(super) fn send(&mut self) -> Option<Vec<u8>> {
        let (slot, frame) = self.collect()?;
        self.push(u32::from(slot), 0);
        Some(frame)
    }
}

/// What the model offers and what it was told.
pub(super) struct ModelState {
    pub(super) features: u64,
    pub(super) accepted: u64,
    pub(super) accepts_features: bool,
    pub(super) status: u8,
    pub(super) mtu: u16,
    pub(super) limit: u16,
    pub(super) queues: [Option<ModelQueue>; 2],
    doorbells: Arena,
}

/// A value that no doorbell is rung with.
const SILENT: [u8; 4] = [0xff; 4];

impl ModelState {
    pub(super) fn queue(&mut self, number: usize) -> &mut ModelQueue {
        self.queues[number].as_mut().expect("the queue is set up")
    }

    /// Whether the doorbell of a queue was rung since it was last asked.
    pub(super) fn rung(&mut self, number: u64) -> bool {
        let address = self.doorbells.address() + 4 * number;
        let value = read::<4>(address);
        write(address, &SILENT);
        assert!(value == SILENT || u64::from(u32::from_le_bytes(value)) == number);
        value != SILENT
    }
}

/// A transport to a model device.
#[derive(Clone)]
pub(super) struct ModelTransport(pub(super) Rc<RefCell<ModelState>>);

impl core::fmt::Debug for ModelTransport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ModelTransport")
    }
}

impl ModelTransport {
    /// A device as QEMU makes it, with an MTU of 65,535 bytes.
    pub(super) fn new() -> Self {
        let doorbells = Arena::new(8);
        write(doorbells.address(), &[0xff; 8]);
        Self(Rc::new(RefCell::new(ModelState {
            features: 1 << 32 | 0x39bf_ffff,
            accepted: 0,
            accepts_features: true,
            status: 0xff,
            mtu: u16::MAX,
            limit: 256,
            queues: [None, None],
            doorbells,
        })))
    }
}

impl Transport for ModelTransport {
    fn status(&self) -> u8 {
        self.0.borrow().status
    }

    fn set_status(&mut self, status: u8) {
        let mut state = self.0.borrow_mut();
        state.status = status;
        if status == 0 {
            state.queues = [None, None];
        }
        if status & 8 != 0 && !state.accepts_features {
            state.status &= !8;
        }
    }

    fn device_features(&mut self) -> u64 {
        self.0.borrow().features
    }

    fn set_driver_features(&mut self, features: u64) {
        self.0.borrow_mut().accepted = features;
    }

    fn queue_limit(&mut self, _queue: u16) -> u16 {
        self.0.borrow().limit
    }

    fn enable_queue(&mut self, queue: u16, slots: u16, addresses: QueueAddresses) -> bool {
        let model = ModelQueue::new(addresses, slots);
        self.0.borrow_mut().queues[usize::from(queue)] = Some(model);
        true
    }

    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, InitError> {
        let state = self.0.borrow();
        // SAFETY: the arena has eight bytes and lives to the end.
        let registers = unsafe { Registers::new(state.doorbells.pointer(), 8) };
        let registers = registers.expect("an arena is no null");
        Ok(registers.wide_doorbell(4 * usize::from(queue), queue))
    }

    fn config(&self, offset: usize) -> u8 {
        let mtu = self.0.borrow().mtu.to_le_bytes();
        let mut bytes = [0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0];
        bytes[10..].copy_from_slice(&mtu);
        bytes[offset]
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn acknowledge_register(&self) -> Option<WordRegister> {
        None
    }
}

/// PCI configuration space in memory.
pub(super) struct ModelConfig {
    functions: HashMap<(u8, u8, u8), [u8; 256]>,
    sizes: HashMap<((u8, u8, u8), u8), u32>,
}

const fn key(function: Function) -> (u8, u8, u8) {
    (function.bus, function.device, function.function)
}

impl ModelConfig {
    pub(super) fn new() -> Self {
        Self {
            functions: HashMap::new(),
            sizes: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, function: Function, vendor: u16, device: u16) {
        let mut space = [0; 256];
        space[..2].copy_from_slice(&vendor.to_le_bytes());
        space[2..4].copy_from_slice(&device.to_le_bytes());
        space[6] = 0x10;
        space[10..12].copy_from_slice(&0x0200u16.to_le_bytes());
        space[0x34] = 0x40;
        self.functions.insert(key(function), space);
    }

    pub(super) fn add_bridge(&mut self, function: Function, secondary: u8) {
        self.add(function, 0x1b36, 0x000c);
        let space = self.functions.get_mut(&key(function)).expect("just added");
        space[0x0e] = 1;
        space[0x19] = secondary;
        space[10..12].copy_from_slice(&0x0604u16.to_le_bytes());
    }

    pub(super) fn base_address(
        &mut self,
        function: Function,
        index: u8,
        address: u32,
        size: u32,
        wide: bool,
    ) {
        let offset = 0x10 + 4 * index;
        self.sizes.insert((key(function), offset), size);
        let value = address | if wide { 4 } else { 0 };
        let space = self.functions.get_mut(&key(function)).expect("added");
        space[usize::from(offset)..][..4].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn capability(&mut self, function: Function, at: u8, id: u8, next: u8, rest: &[u8]) {
        let space = self.functions.get_mut(&key(function)).expect("added");
        let bytes = &mut space[usize::from(at)..];
        bytes[..2].copy_from_slice(&[id, next]);
        bytes[2..2 + rest.len()].copy_from_slice(rest);
    }
}

impl ConfigSpace for ModelConfig {
    fn read(&mut self, function: Function, offset: u8) -> u32 {
        let Some(space) = self.functions.get(&key(function)) else {
            return u32::MAX;
        };
        let bytes = &space[usize::from(offset & 0xfc)..][..4];
        u32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    fn write(&mut self, function: Function, offset: u8, value: u32) {
        let size = self.sizes.get(&(key(function), offset)).copied();
        let Some(space) = self.functions.get_mut(&key(function)) else {
            return;
        };
        let bytes = &mut space[usize::from(offset)..][..4];
        let low = bytes[0] & 0xf;
        let value = match size {
            Some(size) => value & !(size - 1) | u32::from(low),
            // A base address register that the device does not have.
            None if (0x10..0x28).contains(&offset) => 0,
            None => value,
        };
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

/// The largest frame that a device with an MTU of 65,535 bytes carries.
pub(super) const LARGEST: usize = 65_535 + limits::ETHERNET_HEADER;
