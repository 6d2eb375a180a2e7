//! The node: the pure core joined to network cards, a clock and threads.
//!
//! Owns: the one place where the core, the card and the scheduler meet, under one lock. Leaves
//! to others: every rule of ports and protocol (`norma-net`), the card's rings (`drivers`), what
//! is done about several cards ([`cards`]), and the types that services use ([`crate::face`]).
//!
//! After every call into the core its consequences are carried out before the lock is given
//! up: threads woken, frames handed to the card, the card notified once, the timer told when it
//! is needed next. A frame that arrives is taken from the card in the interrupt, and the thread
//! for which it is becomes ready there and then.

mod cards;

use crate::face::SendRight;
use crate::limits::{
    LOOK_AGAIN_NS, RECEIVE_AGAIN_NS, RECEIVE_BUDGET, RECEIVE_BUFFERS, RECEIVE_BUFFERS_SMALL,
    SMALL_MACHINE,
};
use crate::memory::{self, DmaRegion, Frame, Frames, device};
use crate::sync::{IrqGuard, IrqLock};
use crate::thread;
use crate::{interrupt, timer, trace};
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::time::Duration;
use norma_drivers::interrupts::{Polarity, Trigger};
use norma_drivers::virtio::{
    FoundNetworkDevice, FoundNetworkDevices, InitError, Interrupt, MessageInterrupt, MmioCandidate,
    NetCounters, NetDevice, NetOptions, find_network_devices,
};
use norma_flip::{Incoming, Instant, Outgoing};
use norma_ipc::{PortId, SpaceId, ThreadId};
use norma_net::{Config, StartError};

/// The core with everything that it needs to run on a machine.
pub(crate) struct Engine {
    pub(crate) core: norma_net::Node<Frames>,
    /// The card of a node on one network.
    card: Option<NetDevice<Frame>>,
    /// Those of a node on several.
    cards: Vec<NetDevice<Frame>>,
    /// The thread that uses the card bare ([`crate::face::RawCard`]).
    diverted: Option<ThreadId>,
    /// When to look for frames of which no interrupt may tell.
    look_again: u64,
    /// The space of the kernel's own task: all threads of an image share it.
    pub(crate) space: SpaceId,
}

/// Where the engine is. Not an `Option`: the compiler writes `None` as something else than zeros,
/// and all of them would be stored in the image.
struct Place {
    started: bool,
    /// Written when that is so, and never taken away.
    engine: MaybeUninit<Engine>,
}

static ENGINE: IrqLock<Place> = IrqLock::new(Place {
    started: false,
    engine: MaybeUninit::uninit(),
});

/// Why a node could not be started.
#[derive(Debug)]
pub enum NodeError {
    /// There is no usable network card.
    Card(InitError),
    /// The core refused.
    Core(StartError),
    /// There is no memory for the card's rings.
    NoMemory,
    /// All interrupt vectors are taken, or the card's line leads nowhere.
    NoInterrupt(Interrupt),
    /// The network of a card that is not there is said not to be trusted.
    NoSuchCard,
}

impl core::fmt::Display for NodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NodeError::Card(error) => error.fmt(f),
            NodeError::Core(StartError::NoMemory) | NodeError::NoMemory => f.write_str(
                "not enough memory for the network card's buffers: start QEMU with `-m 16` or more",
            ),
            NodeError::Core(error) => write!(f, "{error}: give the device `host_mtu=65535`"),
            NodeError::NoSuchCard => f.write_str(
                "command line: `untrusted=` names no network card of this machine; \
                 expected hardware addresses such as 52:54:00:00:00:01, with commas between them",
            ),
            NodeError::NoInterrupt(interrupt) => {
                write!(
                    f,
                    "the network card's interrupt ({interrupt:?}) cannot be delivered"
                )
            }
        }
    }
}

impl core::error::Error for NodeError {}

/// What a node is started with.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Its name, up to 16 bytes.
    pub name: &'a str,
    /// Its cluster's name.
    pub cluster: &'a str,
    /// Where its random numbers come from.
    pub seed: [u8; 32],
    /// The hardware addresses of its cards whose networks are not trusted, as text, with commas.
    pub untrusted: &'a str,
    /// Whether what it sends must stay on trusted networks.
    pub secure: bool,
}

/// Finds network cards, in the order in which the machine lists them.
///
/// # Errors
/// What was looked for, what was found, and what mends it.
pub fn find_cards(places: &[MmioCandidate]) -> Result<FoundNetworkDevices, NodeError> {
    let mut map = |physical, length| {
        device::map(physical, length).map_or(core::ptr::null_mut(), |pointer| pointer.as_ptr())
    };
    find_network_devices(places, places.is_empty(), &mut map).map_err(NodeError::Card)
}

/// Starts the node, on a card, on several, or without a network.
///
/// # Errors
/// [`NodeError`].
pub fn start(identity: Identity<'_>, found: FoundNetworkDevices) -> Result<(), NodeError> {
    // Locked, and so without interrupts, until there is somebody to take them.
    let mut place = ENGINE.lock();
    let receive_buffers = receive_buffers(found.len());
    let mut cards = Vec::new();
    cards
        .try_reserve_exact(found.len())
        .map_err(|_| NodeError::NoMemory)?;
    for found in found {
        cards.push(open_card(found, receive_buffers, on_interrupt)?);
    }
    let first = cards.first();
    let name = norma_net::NodeName::new(identity.name).unwrap_or_default();
    let config = Config {
        name,
        cluster: Config::cluster_identity(identity.cluster),
        mac: first.map_or([0; 6], NetDevice::mac),
        mtu: first.map_or(u16::MAX, NetDevice::mtu),
        receive_buffers: receive_buffers as u16,
        seed: identity.seed,
    };
    let mut core = norma_net::Node::new(config, Frames).map_err(NodeError::Core)?;
    cards::attach(&mut core, &cards, receive_buffers, &identity)?;
    let card = if cards.len() == 1 { cards.pop() } else { None };
    let space = core
        .ipc()
        .create_space(norma_ipc::limits::DEFAULT_NAMES)
        .map_err(|_| NodeError::NoMemory)?;
    core.ipc()
        .register_thread(thread::current())
        .map_err(|_| NodeError::NoMemory)?;
    let engine = place.engine.write(Engine {
        core,
        card,
        cards,
        diverted: None,
        look_again: u64::MAX,
        space,
    });
    engine.receive_otherwise(now());
    place.started = true;
    drop(place);
    timer::set_network_callback(on_timeout);
    Ok(())
}

/// How many receive buffers this machine can afford for each of its cards.
fn receive_buffers(cards: usize) -> usize {
    if memory::free_frames() < SMALL_MACHINE * cards.max(1) {
        RECEIVE_BUFFERS_SMALL
    } else {
        RECEIVE_BUFFERS
    }
}

/// Takes a card into use, its interrupt included, which `on_interrupt` is called for.
pub(crate) fn open_card(
    found: FoundNetworkDevice,
    receive_buffers: usize,
    on_interrupt: fn(),
) -> Result<NetDevice<Frame>, NodeError> {
    let source = found.interrupt();
    let vector = interrupt::allocate_vector().ok_or(NodeError::NoInterrupt(source))?;
    let message = interrupt::message(vector);
    let options = NetOptions {
        receive_buffers,
        message: MessageInterrupt {
            address: message.address,
            data: message.data,
        },
        ..NetOptions::default()
    };
    let bytes = NetDevice::<Frame>::dma_bytes(options.receive_buffers, options.transmit_slots);
    let (pointer, physical, length) = DmaRegion::allocate(bytes)
        .map_err(|_| NodeError::NoMemory)?
        .leak();
    // SAFETY: the region is contiguous, zeroed, used for nothing else, and kept for ever.
    let region =
        unsafe { norma_drivers::virtio::DmaRegion::new(pointer.as_ptr(), physical, length) };
    // Before the card runs, so that its first edge is not missed.
    interrupt::set_handler(vector, on_interrupt);
    // The card's line falls when the interrupt is acknowledged, so that its edges are enough,
    // and the I/O controller need not hear of the end of each.
    if let Interrupt::Line(line) = source
        && !interrupt::route_line(line, vector, Trigger::Edge, Polarity::High)
    {
        return Err(NodeError::NoInterrupt(source));
    }
    NetDevice::new(found, region, options, &mut Frame::allocate).map_err(NodeError::Card)
}

/// The port to which a right of the kernel's own leads.
pub(crate) fn port_of(right: &SendRight) -> Option<PortId> {
    let mut engine = lock();
    let space = engine.space;
    engine.core.ipc().send_target(space, right.name())
}

/// The node, locked. Interrupts are off until it is given up.
#[inline(always)]
pub(crate) fn lock() -> EngineGuard {
    EngineGuard::new(ENGINE.lock())
}

/// The same in a thread that is going to wait.
#[inline(always)]
pub(crate) fn lock_in_thread() -> EngineGuard {
    EngineGuard::new(ENGINE.lock_in_thread())
}

/// The same in an interrupt.
#[inline(always)]
fn lock_in_handler() -> EngineGuard {
    EngineGuard::new(ENGINE.lock_in_handler())
}

/// The core for a report before the end, if nobody is in the middle of changing it.
///
/// # Safety
/// Interrupts must be off, and nothing may go on after the report.
pub(crate) unsafe fn core_at_the_end() -> Option<&'static norma_net::Node<Frames>> {
    if ENGINE.is_held() {
        return None;
    }
    // SAFETY: nobody holds the lock, and nobody takes it any more.
    let place = unsafe { &*ENGINE.peek() };
    // SAFETY: it has been written when that is so.
    place
        .started
        .then(|| unsafe { &place.engine.assume_init_ref().core })
}

/// Access to the node, which is there.
pub(crate) struct EngineGuard(IrqGuard<'static, Place>);

impl EngineGuard {
    #[inline(always)]
    fn new(guard: IrqGuard<'static, Place>) -> Self {
        if !guard.started {
            not_started();
        }
        Self(guard)
    }

    /// Gives the node up, makes `to` run at once, waits until this thread, `this`, is woken, and
    /// takes the node again. What the core has put off is not asked for: `to`, or whoever waits
    /// without a hand-over, does that, or the timer.
    #[inline(always)]
    pub(crate) fn hand_off(&mut self, this: ThreadId, to: ThreadId) {
        let _unlocked = self.0.unlocked();
        thread::hand_off_uninterrupted(this, to);
    }

    /// Gives the node up, waits until this thread is woken or `patience` ends, and takes the
    /// node again; with `to`, that thread runs at once.
    #[inline(always)]
    pub(crate) fn wait(&mut self, to: Option<ThreadId>, patience: Patience) {
        let deadline = match patience {
            Patience::None => Some(0),
            Patience::Until(deadline) => Some(deadline),
            Patience::Forever => None,
        };
        if self.core.is_behind() {
            self.act(now());
        }
        let _unlocked = self.0.unlocked();
        thread::wait_uninterrupted(to, deadline);
    }

    /// As [`EngineGuard::wait`]; mostly there is no end of patience.
    #[inline(always)]
    pub(crate) fn hand_off_within(&mut self, this: ThreadId, to: ThreadId, patience: Patience) {
        match patience {
            Patience::Forever => self.hand_off(this, to),
            _ => self.wait(Some(to), patience),
        }
    }
}

#[cold]
fn not_started() -> ! {
    panic!("the node is started before main")
}

/// How long an operation may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    /// Until that time ([`timer::now`]).
    Until(u64),
    Forever,
}

impl Patience {
    pub(crate) fn of(timeout: Duration) -> Self {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Patience::Until(timer::now().saturating_add(nanoseconds))
    }
}

impl core::ops::Deref for EngineGuard {
    type Target = Engine;

    #[inline(always)]
    fn deref(&self) -> &Engine {
        // SAFETY: it had been written when the guard was made, and nobody ever takes it away.
        unsafe { self.0.engine.assume_init_ref() }
    }
}

impl core::ops::DerefMut for EngineGuard {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Engine {
        // SAFETY: as above.
        unsafe { self.0.engine.assume_init_mut() }
    }
}

/// The time, as the protocol crates count it.
#[inline(always)]
pub(crate) fn now() -> Instant {
    Instant(timer::now())
}

impl Engine {
    /// Carries out the consequences of what was done to the core: frames first, for what
    /// follows overlaps with their flight.
    #[inline(never)]
    pub(crate) fn act(&mut self, now: Instant) {
        self.transmit(now, norma_net::Node::poll_transmit);
        self.wake();
        if self.core.wants_transmit(now) {
            self.transmit_more(now);
        }
        self.set_timer();
    }

    /// The same after what mostly has none: rights that come and go.
    #[inline]
    pub(crate) fn act_on_events(&mut self) {
        if self.core.ipc().has_events() {
            self.act(now());
        }
    }

    #[cold]
    fn transmit_more(&mut self, now: Instant) {
        self.transmit(now, norma_net::Node::poll_transmit_apart);
    }

    /// The same for frames that have just been received. If a thread for which a message came
    /// runs at once, it goes first: its own call of [`Engine::act`] does the rest, or its wait,
    /// or the timer.
    #[inline]
    fn act_on_received(&mut self, now: Instant) {
        let mut any = false;
        while let Some(thread) = self.core.poll_urgent_wake() {
            thread::wake_uninterrupted(thread);
            any = true;
        }
        if any && thread::makes_way() && !self.core.wants_transmit(now) {
            self.set_timer();
        } else {
            self.act(now);
        }
    }

    /// Has the timer call when the core, or the card, is to be looked after next.
    #[inline(always)]
    fn set_timer(&mut self) {
        let due = self.core.poll_timeout().map_or(u64::MAX, |due| due.0);
        let due = due.min(self.look_again);
        timer::set_network_deadline_uninterrupted((due != u64::MAX).then_some(due));
    }

    /// Wakes whom the core has to wake, when nothing else can have followed.
    #[inline(always)]
    pub(crate) fn wake(&mut self) {
        while let Some(thread) = self.core.poll_wake() {
            thread::wake_uninterrupted(thread);
        }
    }

    /// As [`Engine::wake`], where that need not be inlined.
    #[inline(never)]
    pub(crate) fn wake_apart(&mut self) {
        self.wake();
    }

    #[inline(always)]
    fn transmit(
        &mut self,
        now: Instant,
        poll: impl Fn(&mut norma_net::Node<Frames>, Instant, &mut Outgoing<'_, Frame>) -> bool,
    ) {
        let Some(card) = &mut self.card else {
            return self.transmit_otherwise(now);
        };
        while self.core.wants_transmit(now) {
            let Some(slot) = card.transmit_slot() else {
                // The interrupt that says that there is room brings us back here.
                if card.request_transmit_interrupt() {
                    continue;
                }
                break;
            };
            let mut frame = Outgoing {
                head: slot.head,
                pages: slot.pages,
                length: 0,
            };
            if !poll(&mut self.core, now, &mut frame) {
                break;
            }
            let length = frame.length;
            trace::frame_out(frame.head, length);
            // A frame that the card refuses is lost, as on any network, and counted there.
            let _ = slot.commit(length);
        }
        card.notify();
    }

    /// Takes every frame that has arrived, and asks for an interrupt at the next that need be
    /// looked at. After [`RECEIVE_BUDGET`] frames it is the threads' turn, and the timer's to
    /// bring us back: a flood of frames costs time, and never all of it.
    #[inline(always)]
    fn receive(&mut self, now: Instant) {
        let Some(card) = &mut self.card else {
            return self.receive_all(now);
        };
        let core = &mut self.core;
        for _ in 0..RECEIVE_BUDGET {
            let taken = card.receive(|head, length, pages| {
                trace::frame_in(head, length);
                core.handle_frame(
                    now,
                    &mut Incoming {
                        head,
                        length,
                        pages,
                    },
                );
            });
            if taken.is_none() || !card.frames_waiting() {
                let unhurried = core.take_unhurried();
                if !card.enable_receive_interrupt_behind(unhurried) {
                    self.look_again = match unhurried {
                        0 => u64::MAX,
                        _ => now.0 + LOOK_AGAIN_NS,
                    };
                    return;
                }
            }
        }
        self.look_again = now.0 + RECEIVE_AGAIN_NS;
    }

    /// As [`Engine::receive`], where no interrupt says that there are frames.
    #[cold]
    fn receive_otherwise(&mut self, now: Instant) {
        self.receive(now);
    }

    /// Its cards, in the order of its networks.
    pub(crate) fn all_cards(&self) -> impl Iterator<Item = &NetDevice<Frame>> {
        self.card.iter().chain(&self.cards)
    }

    /// What the card has counted.
    pub(crate) fn card_counters(&self) -> NetCounters {
        self.all_cards().fold(NetCounters::default(), |sum, card| {
            sum.plus(card.counters())
        })
    }

    /// The card, for a benchmark that uses it bare.
    pub(crate) fn card(&mut self) -> Option<&mut NetDevice<Frame>> {
        self.card.as_mut()
    }
}

/// The card has frames for us, or room for ours.
fn on_interrupt() {
    let mut guard = lock_in_handler();
    let engine = &mut *guard;
    match &mut engine.card {
        Some(card) => card.acknowledge_interrupt(),
        None => engine.acknowledge_all(),
    }
    if let Some(thread) = engine.diverted {
        return thread::wake_uninterrupted(thread);
    }
    let now = now();
    engine.receive(now);
    engine.act_on_received(now);
}

/// Gives the card to the calling thread, or back to the node. `false` if there is not just one, or
/// somebody else has it.
pub(crate) fn divert(away: bool) -> bool {
    let mut engine = lock();
    if engine.card.is_none() || away == engine.diverted.is_some() {
        return false;
    }
    engine.diverted = away.then(thread::current);
    if !away {
        let now = now();
        engine.receive_otherwise(now);
        engine.core.handle_timeout(now);
        engine.act(now);
    }
    true
}

/// Something that the core waits for is due.
fn on_timeout(now: u64) {
    let mut engine = lock_in_handler();
    if engine.diverted.is_some() {
        // What is due is done when the card is given back.
        return;
    }
    let now = Instant(now);
    engine.receive_otherwise(now);
    engine.core.handle_timeout(now);
    engine.act(now);
}
