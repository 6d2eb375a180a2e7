//! Interrupts of devices: who handles which.
//!
//! Owns: the table of handlers, the two interrupt controllers, and the decision to run another
//! thread on the way out. Leaves to others: what a handler does. Handlers run with interrupts
//! off, on the stack of whatever they interrupted, and must not block; to wake a thread is what
//! they are for.

use crate::counters::count;
use crate::memory::device;
use crate::sync::IrqLock;
use crate::{arch, thread, trace};
use core::cell::Cell;
use norma_drivers::interrupts::{
    self, FIRST_VECTOR, IoApic, LocalApic, MsiMessage, Polarity, Trigger, VECTORS, VectorAllocator,
};
use spin::Once;

struct Handlers([Cell<fn()>; VECTORS]);

// SAFETY: a cell is changed with interrupts off, by the one processor that also reads it.
unsafe impl Sync for Handlers {}

static HANDLERS: Handlers = Handlers([const { Cell::new(unexpected as fn()) }; VECTORS]);

static LOCAL: Once<LocalApic> = Once::new();

struct Shared {
    lines: Option<IoApic>,
    vectors: VectorAllocator,
}

static SHARED: IrqLock<Shared> = IrqLock::new(Shared {
    lines: None,
    vectors: VectorAllocator::new(),
});

/// Finds and sets up the controllers. Interrupts stay off.
///
/// # Errors
/// If there is no local APIC.
pub fn initialise() -> Result<(), interrupts::Error> {
    interrupts::mask_legacy_controllers();
    let local = LocalApic::initialise(device::map_page)?;
    LOCAL.call_once(|| local);
    SHARED.lock().lines = IoApic::initialise(device::map_page);
    Ok(())
}

/// The local APIC.
///
/// # Panics
/// Before [`initialise`].
#[inline(always)]
pub fn local() -> &'static LocalApic {
    LOCAL.get().expect("interrupts are set up at boot")
}

/// Takes a vector that nobody has; `None` when all are taken.
pub fn allocate_vector() -> Option<u8> {
    SHARED.lock().vectors.allocate()
}

/// Has `handler` called at each interrupt of `vector`, which comes from [`allocate_vector`].
///
/// # Panics
/// For a vector that does not.
pub fn set_handler(vector: u8, handler: fn()) {
    let index = usize::from(vector.wrapping_sub(FIRST_VECTOR));
    let were_on = arch::interrupts_off();
    HANDLERS.0[index].set(handler);
    if were_on {
        thread::interrupts_on();
    }
}

/// Has interrupt line `line` raise `vector` on this processor. Returns false if the machine has
/// no such line.
#[must_use]
pub fn route_line(line: u32, vector: u8, trigger: Trigger, polarity: Polarity) -> bool {
    let processor = local().id();
    match &mut SHARED.lock().lines {
        Some(lines) => lines.route(line, vector, processor, trigger, polarity),
        None => false,
    }
}

/// What a device has to write to raise `vector` on this processor.
pub fn message(vector: u8) -> MsiMessage {
    MsiMessage::new(local().id(), vector)
}

/// Called by the entry stubs.
pub(crate) extern "C" fn dispatch(vector: u32) {
    count(|counters| counters.interrupts += 1);
    trace::interrupt(vector);
    if let Some(handler) = HANDLERS.0.get((vector - u32::from(FIRST_VECTOR)) as usize) {
        (handler.get())();
    }
    local().end_of_interrupt();
    trace::interrupt_ends();
    thread::leave_interrupt();
}

fn unexpected() {
    count(|counters| counters.unexpected_interrupts += 1);
}
