//! Stretches: what a node counts and marks between the beginning and the end of one.

use core::fmt;
use norma_boot::{Counts, Node};

/// What a node had counted when a stretch began.
pub struct Stretch(Counts);

/// The totals of a stretch on one node, as JSON.
pub struct Totals {
    from: Counts,
    to: Counts,
}

impl Stretch {
    /// The counts from here on. Not compiled into each benchmark, nor is their end.
    #[inline(never)]
    pub fn begin(node: &Node) -> Self {
        Stretch(node.counts())
    }

    /// The counts until here.
    #[inline(never)]
    pub fn end(self, node: &Node) -> Totals {
        Totals {
            from: self.0,
            to: node.counts(),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { from, to } = self;
        let platform = to.platform.since(&from.platform);
        let net = |counts: &Counts| counts.net.inline_copies + counts.net.page_copies;
        let copies = |counts: &Counts| net(counts) + counts.platform.frames_copied;
        write!(
            f,
            "{{\"frames\":{},\"notifications\":{},\"interrupts\":{},\"timer\":{},\"copies\":{},\
             \"allocations\":{}}}",
            to.card.frames_sent - from.card.frames_sent,
            to.card.notifications - from.card.notifications,
            platform.interrupts,
            platform.timer_programmings,
            copies(to) - copies(from),
            platform.heap_allocations,
        )
    }
}

/// The instruction that the counting plugin looks for: `nopl 0x7eac00ID(%rax)`. It does nothing.
macro_rules! marker {
    ($id:literal) => {
        // SAFETY: a no-operation with an operand that is not accessed.
        unsafe {
            core::arch::asm!(
                concat!(".byte 0x0f, 0x1f, 0x80, ", $id, ", 0x00, 0xac, 0x7e"),
                options(nostack, preserves_flags)
            )
        }
    };
}

/// Opens a measured stretch on the calling node.
#[inline(always)]
pub fn open_calling() {
    marker!("0x01");
}

/// Closes it.
#[inline(always)]
pub fn close_calling() {
    marker!("0x02");
}

/// Opens a measured stretch on the serving node.
#[inline(always)]
pub fn open_serving() {
    marker!("0x11");
}

/// Closes it.
#[inline(always)]
pub fn close_serving() {
    marker!("0x12");
}
