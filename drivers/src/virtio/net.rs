//! One network device: its two queues, what was agreed with it, and its counters.
//!
//! Owns: putting a device together and taking it down again, and the face that the kernel
//! uses. Leaves to others: interrupt routing and threads (the kernel's), the queues
//! ([`super::receive`], [`super::transmit`]).
//! Source: VIRTIO 1.2, section 5.1.

use super::DmaPage;
use super::dma::DmaRegion;
use super::error::{InitError, RingKind};
use super::find::{AnyTransport, FoundNetworkDevice};
use super::limits::{LEAST_SLOTS, MOST_SLOTS, RECEIVE_BUFFERS, TRANSMIT_SLOTS};
use super::mmio::ALL_INTERRUPTS;
use super::queue::{DeviceFault, Queue};
use super::receive::ReceiveQueue;
use super::registers::{Doorbell, WordRegister};
use super::transmit::{TransmitQueue, TransmitSlot};
use super::transport::{self, Transport};

/// A message that a device sends as its interrupt (MSI-X).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageInterrupt {
    /// Where it is written to: on x86, 0xfee00000 and the local APIC's number shifted by 12.
    pub address: u64,
    /// What is written: on x86, the vector.
    pub data: u32,
}

/// How a device interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Through this input of the interrupt controller, as long as it is not acknowledged.
    Line(u32),
    /// By the message that it is told, without being acknowledged.
    Message,
}

/// What a device is to be started with.
#[derive(Clone, Copy, Debug)]
pub struct NetOptions {
    /// Receive buffers, a power of two; each takes 16 pages.
    pub receive_buffers: usize,
    /// Frames that may be under way, a power of two.
    pub transmit_slots: usize,
    /// Its interrupt, if it is a PCI device.
    pub message: MessageInterrupt,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            receive_buffers: RECEIVE_BUFFERS,
            transmit_slots: TRANSMIT_SLOTS,
            message: MessageInterrupt::default(),
        }
    }
}

/// What has happened since the device was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Frames given to the handler.
    pub frames_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Frames given to the device.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Times that the device was told, each an exit from the virtual machine.
    pub notifications: u64,
    /// Slots that the device gave back without having them.
    pub bad_tokens: u64,
    /// Received frames without a byte, or longer than their buffer.
    pub bad_lengths: u64,
    /// Times that there was no slot for a frame.
    pub ring_full: u64,
    /// Frames that were too short or too long to be sent.
    pub refused: u64,
}

impl NetCounters {
    /// What two devices have counted together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            frames_received: self.frames_received + other.frames_received,
            bytes_received: self.bytes_received + other.bytes_received,
            frames_sent: self.frames_sent + other.frames_sent,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            notifications: self.notifications + other.notifications,
            bad_tokens: self.bad_tokens + other.bad_tokens,
            bad_lengths: self.bad_lengths + other.bad_lengths,
            ring_full: self.ring_full + other.ring_full,
            refused: self.refused + other.refused,
        }
    }
}

/// A network device that runs.
pub struct NetDevice<P: DmaPage> {
    receive: ReceiveQueue<P>,
    transmit: TransmitQueue<P>,
    counters: NetCounters,
    acknowledge: Option<WordRegister>,
    mac: [u8; 6],
    mtu: u16,
    interrupt: Interrupt,
    transport: AnyTransport,
}

impl<P: DmaPage> NetDevice<P> {
    /// Bytes of contiguous memory that a device with such queues needs.
    #[must_use]
    pub const fn dma_bytes(receive_buffers: usize, transmit_slots: usize) -> usize {
        Queue::bytes(receive_buffers)
            + Queue::bytes(transmit_slots)
            + ReceiveQueue::<P>::head_bytes(receive_buffers)
            + TransmitQueue::<P>::head_bytes(transmit_slots)
    }

    /// Starts a device. It takes `region` for its rings and heads, and 16 pages from
    /// `allocate` for each receive buffer. No interrupt comes before
    /// [`Self::enable_receive_interrupt`] is called.
    ///
    /// # Errors
    /// If the device lacks something, or memory does not suffice. The device is then marked
    /// as failed and does nothing.
    pub fn new(
        found: FoundNetworkDevice,
        mut region: DmaRegion,
        options: NetOptions,
        allocate: &mut dyn FnMut() -> Option<P>,
    ) -> Result<Self, InitError> {
        let mut found = found;
        check(&options, region.length(), Self::dma_bytes)?;
        let (buffers, slots) = (options.receive_buffers, options.transmit_slots);
        // Memory first: what the device has not heard of can simply be given back. And whatever
        // can fail comes before the queues are put together, in place, because moving them
        // about is many instructions, each of which an emulator must translate at boot.
        let buffer_list = ReceiveQueue::buffers(buffers, allocate)?;
        let slot_list = TransmitQueue::slots(slots)?;
        found.transport.set_message(options.message);
        let transport = found.transport.get();
        let agreement = transport::negotiate(transport)?;
        let mut part = |length| region.split_off(length).expect("`check` added them up");
        let receive_ring = part(Queue::bytes(buffers));
        let transmit_ring = part(Queue::bytes(slots));
        let receive_heads = part(ReceiveQueue::<P>::head_bytes(buffers));
        let transmit_heads = part(TransmitQueue::<P>::head_bytes(slots));
        let doorbells = start_queues(transport, [&receive_ring, &transmit_ring], &options);
        let [receive_bell, transmit_bell] = doorbells.inspect_err(|_| {
            // Before memory is given back the device must let go.
            transport::reset(transport);
            transport::fail(transport);
        })?;
        let receive = Queue::new(&receive_ring, buffers, receive_bell);
        let transmit = Queue::new(&transmit_ring, slots, transmit_bell);
        let receive = ReceiveQueue::new(receive, receive_heads, buffer_list);
        let transmit = TransmitQueue::new(transmit, transmit_heads, slot_list, agreement.mtu);
        transport::start(transport);
        let mut device = Self {
            receive,
            transmit,
            counters: NetCounters::default(),
            acknowledge: transport.acknowledge_register(),
            mac: agreement.mac,
            mtu: agreement.mtu,
            interrupt: found.interrupt,
            transport: found.transport,
        };
        device.receive.announce(&mut device.counters);
        Ok(device)
    }

    /// The device's address.
    #[must_use]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Most bytes behind the Ethernet header of a frame.
    #[must_use]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// How the device interrupts.
    #[must_use]
    pub const fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counters(&self) -> NetCounters {
        self.counters
    }

    /// How the device broke the rules, if it did; then nothing is received or sent any more.
    #[must_use]
    pub fn fault(&self) -> Option<DeviceFault> {
        self.receive.fault().or(self.transmit.fault())
    }

    /// Takes the next frame and shows it to `handle`: its first bytes (at most 180), its
    /// length, and exactly the pages that it reaches into, all full but the last. The handler
    /// may put another page in the place of any; afterwards the buffer goes back to the
    /// device.
    ///
    /// # Panics
    /// If the handler put a page there that is shared.
    #[inline(always)]
    pub fn receive<R>(&mut self, handle: impl FnOnce(&[u8], usize, &mut [P]) -> R) -> Option<R> {
        self.receive.receive(&mut self.counters, handle)
    }

    /// Whether [`Self::receive`] would find something. One load, for polling.
    #[inline]
    #[must_use]
    pub fn frames_waiting(&self) -> bool {
        self.receive.queue.has_used()
    }

    /// To be called first when an interrupt came, before frames are looked for. The reason is
    /// not asked for: reading it would be another exit, and looking for frames tells as much.
    #[inline]
    pub fn acknowledge_interrupt(&mut self) {
        if let Some(register) = self.acknowledge {
            register.write(ALL_INTERRUPTS);
        }
    }

    /// Asks for one interrupt at the next frame. True if frames came meanwhile, for which no
    /// interrupt may come: go on receiving, and call it again.
    #[inline]
    pub fn enable_receive_interrupt(&mut self) -> bool {
        self.receive.enable_interrupt(0)
    }

    /// As [`Self::enable_receive_interrupt`], once `unhurried` frames and one more are here.
    /// Who asks for this looks again after some time, in case they do not come.
    #[inline]
    pub fn enable_receive_interrupt_behind(&mut self, unhurried: u16) -> bool {
        self.receive.enable_interrupt(unhurried)
    }

    /// Asks for no interrupt while frames are polled for. After an interrupt none comes
    /// anyway until the next is asked for.
    #[inline]
    pub fn disable_receive_interrupt(&mut self) {
        self.receive.queue.disable_interrupt();
    }

    /// A place to write a frame; none if the ring is full.
    #[inline]
    pub fn transmit_slot(&mut self) -> Option<TransmitSlot<'_, P>> {
        self.transmit.slot(&mut self.counters)
    }

    /// Tells the device about committed frames, if it is not looking for them by itself.
    #[inline]
    pub fn notify(&mut self) {
        self.transmit.notify(&mut self.counters);
    }

    /// Takes back the pages of frames that have been sent; returns the number of frames.
    pub fn reclaim(&mut self) -> usize {
        self.transmit.reclaim(&mut self.counters)
    }

    /// How many frames the device has yet to send. One that breaks the rules sends no more.
    pub fn under_way(&mut self) -> usize {
        self.reclaim();
        match self.transmit.fault() {
            None => usize::from(self.transmit.queue.given()),
            Some(_) => 0,
        }
    }

    /// Asks for one interrupt when there is room for frames again. True if there is already.
    pub fn request_transmit_interrupt(&mut self) -> bool {
        self.transmit.request_interrupt(&mut self.counters)
    }
}

impl<P: DmaPage> Drop for NetDevice<P> {
    fn drop(&mut self) {
        let stopped = transport::reset(self.transport.get());
        // Freeing pages that a device still writes to is worse than stopping here.
        assert!(stopped, "{}", InitError::NoReset);
    }
}

fn check(
    options: &NetOptions,
    length: usize,
    needed: fn(usize, usize) -> usize,
) -> Result<(), InitError> {
    let counts = [
        (
            options.receive_buffers,
            "a number of receive buffers that is no power of two from 2 to 256",
        ),
        (
            options.transmit_slots,
            "a number of transmit slots that is no power of two from 2 to 256",
        ),
    ];
    for (count, what) in counts {
        if !count.is_power_of_two() || !(LEAST_SLOTS..=MOST_SLOTS).contains(&count) {
            return Err(InitError::BadOptions { what });
        }
    }
    let wanted = needed(options.receive_buffers, options.transmit_slots);
    if length < wanted {
        return Err(InitError::RegionTooSmall {
            found: length,
            wanted,
        });
    }
    Ok(())
}

/// Tells the device where its two queues are, and asks it where it wants to be told of news.
fn start_queues(
    transport: &mut dyn Transport,
    [receive, transmit]: [&DmaRegion; 2],
    options: &NetOptions,
) -> Result<[Doorbell; 2], InitError> {
    let mut start = |kind, ring, slots| {
        transport::start_queue(transport, kind, slots, Queue::addresses(ring, slots))
    };
    Ok([
        start(RingKind::Receive, receive, options.receive_buffers)?,
        start(RingKind::Transmit, transmit, options.transmit_slots)?,
    ])
}
