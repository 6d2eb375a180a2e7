//! A network card that a task drives: for a network server in ring 3.
//!
//! Owns: the card, the memory that is shared with the task, and what a task is told. Leaves to
//! others: what lies where in that memory (`norma_abi::card`), and every protocol: the node
//! itself does not know of this card.
//!
//! The right to use it is a send right to a port of this module's. Whoever has it in its task can
//! take the card into use, one at a time; who does so later takes it over. Frames are copied
//! between the memory and the card's own, but for pages that the task sends from where they lie:
//! the card reads those as they are. So a task can only ever spoil the contents of its own frames.
//! Nothing that it writes to the memory is believed: see there.

use super::calls::{Outcome, Refusal, afford};
use super::life::TaskRef;
use super::ports::{name, send_right};
use super::run::Context;
use crate::arch::layout::direct;
use crate::face::{Failure, Message, ReceiveRight, SendRight};
use crate::limits::{RECEIVE_BUFFERS, SETTLE_PATIENCE, SETTLE_STEP};
use crate::memory::{FRAME, Frame};
use crate::node::{self, NodeError};
use crate::sync::IrqLock;
use crate::{thread, timer, trace};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use norma_abi::Code;
use norma_abi::card::{Count, HEAD, Info, Layout, RECEIVE_SLOTS, Ring};
use norma_drivers::virtio::{DmaPage, FoundNetworkDevice, NetDevice};
use norma_ipc::{Page, PortId, SpaceId};

const _: () = assert!(RECEIVE_SLOTS as usize == RECEIVE_BUFFERS && HEAD == norma_flip::HEAD);

/// A card for a task, as whoever started the machine has it.
#[derive(Debug)]
pub struct NetworkCard {
    port: ReceiveRight,
}

impl NetworkCard {
    /// Starts a card that the node does not use. Only one: the one before is given up.
    ///
    /// # Errors
    /// The card lacks something, or there is no memory for it.
    pub fn start(found: FoundNetworkDevice) -> Result<Self, NodeError> {
        let port = ReceiveRight::new().map_err(|_| NodeError::NoMemory)?;
        let right = port.make_send().map_err(|_| NodeError::NoMemory)?;
        let id = node::port_of(&right).ok_or(NodeError::NoMemory)?;
        let device = node::open_card(found, RECEIVE_BUFFERS, on_interrupt)?;
        let before = CARD.lock().replace(Card {
            id,
            _right: right,
            device,
            user: None,
        });
        drop(before);
        Ok(Self { port })
    }

    /// A right to use it, for a task.
    ///
    /// # Errors
    /// [`Failure::NoMemory`].
    pub fn right(&self) -> Result<SendRight, Failure> {
        self.port.make_send()
    }
}

impl Drop for NetworkCard {
    /// Waits until what the task has written has left, two seconds at most: the machine may end
    /// now, and with it all that its card still had to send.
    fn drop(&mut self) {
        let patience = timer::now() + SETTLE_PATIENCE.as_nanos() as u64;
        while is_sending() && timer::now() < patience {
            let _ = thread::sleep(SETTLE_STEP.as_nanos() as u64);
        }
    }
}

/// Whether frames of the task's have yet to leave.
fn is_sending() -> bool {
    CARD.lock().as_mut().is_some_and(|card| {
        let more = card.exchange();
        more || card.device.under_way() > 0
    })
}

static CARD: IrqLock<Option<Card>> = IrqLock::new(None);

struct Card {
    /// The port that stands for it.
    id: PortId,
    _right: SendRight,
    device: NetDevice<Frame>,
    user: Option<User>,
}

/// The task that uses it.
struct User {
    space: SpaceId,
    /// Where it is told that there is something new.
    bell: SendRight,
    memory: Shared,
    /// Whose pages it has sent from where they lie.
    task: TaskRef,
}

/// The card has frames for us, or room for ours.
fn on_interrupt() {
    let mut card = CARD.lock_in_handler();
    if let Some(card) = &mut *card {
        card.device.acknowledge_interrupt();
        if card.exchange() {
            card.tell();
        }
    }
}

impl Card {
    /// Moves frames both ways; whether there is something new for the task.
    fn exchange(&mut self) -> bool {
        let Some(user) = &mut self.user else {
            // Frames stay where they are, and no more interrupts come.
            return false;
        };
        let sent = user.memory.send(&mut self.device, &user.task);
        let came = user.memory.receive(&mut self.device);
        sent || came
    }

    /// Tells the task, if it wants to be told.
    fn tell(&self) {
        let Some(user) = &self.user else {
            return;
        };
        let wanted = user.memory.count(Count::Wanted);
        if wanted.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let told = Message::new().is_ok_and(|message| user.bell.try_send(message).is_ok());
        if !told {
            // For want of memory: the next frame tries again.
            wanted.store(1, Ordering::Relaxed);
        }
    }
}

/// The memory that a card's task and the kernel share.
struct Shared {
    pages: Vec<Frame>,
    layout: Layout,
    /// The kernel's counts, as it knows them and not as the memory says.
    taken: u32,
    come: u32,
}

impl Shared {
    fn new(layout: Layout) -> Option<Self> {
        let mut pages = Vec::new();
        pages.try_reserve_exact(layout.all()).ok()?;
        for _ in 0..layout.all() {
            pages.push(Frame::allocate_zeroed()?);
        }
        Some(Self {
            pages,
            layout,
            taken: 0,
            come: 0,
        })
    }

    /// Where the kernel sees a byte.
    fn at(&self, offset: usize) -> *mut u8 {
        let page = &self.pages[offset / FRAME];
        direct(page.physical_address() + (offset % FRAME) as u64)
    }

    fn number(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: RAM that stays while this value lives, at an address that is divisible by 4;
        // kernel and task use it only as whole numbers.
        unsafe { AtomicU32::from_ptr(self.at(offset).cast()) }
    }

    fn count(&self, count: Count) -> &AtomicU32 {
        self.number(count.at())
    }

    /// Gives the card what the task has written; whether any.
    fn send(&mut self, device: &mut NetDevice<Frame>, task: &TaskRef) -> bool {
        let put = self.count(Count::Sent).load(Ordering::Acquire);
        let waiting = Ring::Send.waiting(put, self.taken);
        let mut sent = 0;
        while sent < waiting {
            let Some(slot) = device.transmit_slot() else {
                // The interrupt that says that there is room brings us back here.
                if device.request_transmit_interrupt() {
                    continue;
                }
                break;
            };
            let length = self.copy_out(self.taken, task, slot.head, slot.pages);
            trace::frame_out(slot.head, length);
            // A frame that is none is lost, as on any network.
            let _ = slot.commit(length);
            self.taken = self.taken.wrapping_add(1);
            sent += 1;
        }
        if sent > 0 {
            self.count(Count::Taken)
                .store(self.taken, Ordering::Release);
            device.notify();
        }
        sent > 0
    }

    /// Copies a frame of the task's; its length, or 0.
    fn copy_out(
        &self,
        count: u32,
        task: &TaskRef,
        head: &mut [u8; HEAD],
        pages: &mut heapless::Vec<Frame, { norma_flip::FRAME_PAGES }>,
    ) -> usize {
        // Read once: the task may change it meanwhile.
        let length = self.number(Ring::Send.length_at(count));
        let length = length.load(Ordering::Relaxed) as usize;
        let Some(filled) = self.layout.filled(length) else {
            return 0;
        };
        let from = self.at(Ring::Send.head_at(count));
        // SAFETY: a head lies in one page, which is RAM; whatever the task does to it is bytes.
        unsafe { from.copy_to_nonoverlapping(head.as_mut_ptr(), HEAD) };
        let mut left = length.saturating_sub(HEAD);
        for page in 0..filled {
            let used = left.min(FRAME);
            left -= used;
            let frame = match self.address(count, page) {
                0 => self.copy_page(count, page, used),
                address => lent_page(task, address),
            };
            if frame.is_none_or(|frame| pages.push(frame).is_err()) {
                return 0;
            }
        }
        length
    }

    /// Where the task has a page of a frame that it sends, or 0 if that is in the slot.
    fn address(&self, count: u32, page: usize) -> u64 {
        let place = self.at(Ring::Send.page_at(count, page));
        // SAFETY: RAM that stays while this value lives, at an address that is divisible by 8.
        // Read once: the task may change it meanwhile.
        unsafe { AtomicU64::from_ptr(place.cast()) }.load(Ordering::Relaxed)
    }

    fn copy_page(&self, count: u32, page: usize, used: usize) -> Option<Frame> {
        let from = self.at(self.layout.page(Ring::Send, count, page) * FRAME);
        let mut copy = Frame::allocate()?;
        let bytes = copy.bytes_mut()?;
        // SAFETY: no more than a page, and the copy is ours alone.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), used) };
        Some(copy)
    }

    /// Gives the task what has come, as far as there is room; whether any.
    fn receive(&mut self, device: &mut NetDevice<Frame>) -> bool {
        let read = self.count(Count::Read).load(Ordering::Acquire);
        let room = Ring::Receive.room(self.come, read);
        let stalled = self.count(Count::Stalled);
        let mut come = 0;
        loop {
            if come == room {
                // The task's next exchange brings us back here.
                stalled.store(1, Ordering::Relaxed);
                break;
            }
            let place = self.come.wrapping_add(come);
            let taken = device.receive(|head, length, pages| {
                trace::frame_in(head, length);
                self.copy_in(place, head, length, pages);
            });
            if taken.is_some() {
                come += 1;
            } else if !device.enable_receive_interrupt() {
                stalled.store(0, Ordering::Relaxed);
                break;
            }
        }
        self.come = self.come.wrapping_add(come);
        if come > 0 {
            self.count(Count::Come).store(self.come, Ordering::Release);
        }
        come > 0
    }

    /// Copies a frame that has come.
    fn copy_in(&self, count: u32, head: &[u8], length: usize, pages: &[Frame]) {
        // One that is longer than the card said that frames can be is none.
        let filled = self.layout.filled(length);
        let sound = filled.is_some_and(|filled| filled <= pages.len());
        let length = if sound { length } else { 0 };
        let number = self.number(Ring::Receive.length_at(count));
        number.store(length as u32, Ordering::Relaxed);
        let to = self.at(Ring::Receive.head_at(count));
        let first = head.len().min(length).min(HEAD);
        // SAFETY: a head lies in one page, which is RAM; whatever the task does to it is bytes.
        unsafe { to.copy_from_nonoverlapping(head.as_ptr(), first) };
        let mut left = length.saturating_sub(HEAD);
        for (page, from) in pages.iter().take(filled.unwrap_or(0)).enumerate() {
            let used = left.min(FRAME);
            left -= used;
            let to = self.at(self.layout.page(Ring::Receive, count, page) * FRAME);
            // SAFETY: no more than a page, and the source is the driver's.
            unsafe { to.copy_from_nonoverlapping(from.bytes().as_ptr(), used) };
        }
    }
}

/// A page of the task's own, for the card to read from. Whatever the task does to it meanwhile
/// spoils its own frame.
fn lent_page(task: &TaskRef, address: u64) -> Option<Frame> {
    let memory = task.memory_uninterrupted();
    memory.as_ref()?.lend_page(address)
}

/// `OPEN_CARD(card, bell, info)`: where the shared memory is.
pub(super) fn open(context: &Context, card: u64, bell: u64, at: u64) -> Outcome {
    let (port, bell) = (name(card)?, name(bell)?);
    afford()?;
    let space = context.task.space;
    let meant = node::lock().core.ipc().send_target(space, port);
    let bell = context.task.with_space(|space| send_right(space, bell))?;
    let mut card = CARD.lock();
    let card = card.as_mut().ok_or(Code::NotSupported)?;
    if meant != Some(card.id) {
        return Err(Code::InvalidRight.into());
    }
    let info = Info {
        mac: card.device.mac(),
        mtu: card.device.mtu(),
    };
    let shared = Shared::new(Layout::new(info.mtu)).ok_or(Code::NoMemory)?;
    let mut guard = context.task.memory();
    let memory = guard.as_mut().ok_or(Code::BadAddress)?;
    memory.write_value(at, &info)?;
    let address = memory.give_shared(&shared.pages)?;
    drop(guard);
    let before = card.user.replace(User {
        space,
        bell,
        memory: shared,
        task: context.task.share(),
    });
    drop(before);
    card.exchange();
    Ok(address)
}

/// `EXCHANGE_FRAMES()`: whether frames were moved.
pub(super) fn exchange(context: &Context) -> Outcome {
    let mut card = CARD.lock();
    let own = card.as_mut().filter(|card| {
        let user = card.user.as_ref();
        user.is_some_and(|user| user.space == context.task.space)
    });
    match own {
        Some(card) => Ok(u64::from(card.exchange())),
        None => Err(Refusal::from(Code::InvalidRight)),
    }
}
