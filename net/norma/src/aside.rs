//! Messages that were set aside: their port had no room, or was elsewhere, and they wait in the
//! order of sending.
//!
//! A list through the messages themselves, so that setting one aside needs no memory: its sender
//! was told that it is on its way, and a port that moves opens only when all that was queued has
//! come. A message that waits here has been sent whole, or was never begun, so nothing is lined
//! up behind it, and [`Outbound::successor`] is free for that.

use crate::outbound::Outbound;
use crate::slots::Slots;
use crate::window::before;

/// The messages of one import, by their slots.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// The first and the last.
    ends: Option<(u32, u32)>,
}

impl Aside {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Behind all others.
    pub(crate) fn push<P>(&mut self, messages: &mut Slots<Outbound<P>>, slot: u32) {
        self.ends = match self.ends {
            Some((first, last)) => {
                link(messages, last, Some(slot));
                Some((first, slot))
            }
            None => Some((slot, slot)),
        };
    }

    /// Where it belongs by the order of sending.
    pub(crate) fn insert<P>(&mut self, messages: &mut Slots<Outbound<P>>, slot: u32) {
        let Some(sequence) = messages.get(slot).map(|outbound| outbound.sequence) else {
            return;
        };
        let mut ahead = None;
        let mut next = self.first();
        // Mostly behind all of them.
        if let Some((_, last)) = self.ends
            && is_ahead(messages, last, sequence)
        {
            (ahead, next) = (Some(last), None);
        }
        while let Some(other) = next.filter(|other| is_ahead(messages, *other, sequence)) {
            (ahead, next) = (Some(other), successor(messages, other));
        }
        if next.is_none() {
            return self.push(messages, slot);
        }
        link(messages, slot, next);
        match (ahead, &mut self.ends) {
            (Some(ahead), _) => link(messages, ahead, Some(slot)),
            (None, Some((first, _))) => *first = slot,
            (None, None) => {}
        }
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.ends.map(|(first, _)| first)
    }

    /// Takes the first out.
    pub(crate) fn pop<P>(&mut self, messages: &mut Slots<Outbound<P>>) -> Option<u32> {
        let (first, last) = self.ends?;
        let next = messages.get_mut(first)?.successor.take();
        self.ends = next.map(|next| (next, last));
        Some(first)
    }
}

/// Whether the message in a slot was sent before the one of that number. Those that were never
/// sent come last.
fn is_ahead<P>(messages: &Slots<Outbound<P>>, slot: u32, sequence: u32) -> bool {
    let other = messages.get(slot);
    other.is_some_and(|other| other.started && !before(sequence, other.sequence))
}

fn successor<P>(messages: &Slots<Outbound<P>>, slot: u32) -> Option<u32> {
    messages.get(slot)?.successor
}

fn link<P>(messages: &mut Slots<Outbound<P>>, slot: u32, next: Option<u32>) {
    if let Some(outbound) = messages.get_mut(slot) {
        outbound.successor = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use norma_ipc::{HeapPage, Ipc};
    use norma_wire::session::Flags;

    use crate::rights::NO_EXPORT;

    /// Messages in slots of these numbers; `None` was never sent.
    fn slots(numbers: &[Option<u32>]) -> Slots<Outbound<HeapPage>> {
        let mut ipc = Ipc::<HeapPage>::new();
        let mut messages = Slots::new(100);
        for number in numbers {
            let message = ipc.new_message().unwrap();
            let flags = Flags::empty();
            let mut outbound = Outbound::new(message, 1, None, flags, NO_EXPORT, Vec::new());
            outbound.started = number.is_some();
            outbound.sequence = number.unwrap_or_default();
            messages.insert(outbound).unwrap();
        }
        messages
    }

    fn all(aside: &mut Aside, messages: &mut Slots<Outbound<HeapPage>>) -> Vec<u32> {
        core::iter::from_fn(|| aside.pop(messages)).collect()
    }

    /// W-48: what was refused goes again in its old order, whichever refusal was read first, and
    /// what was never sent behind it; over the end of the numbers too.
    #[test]
    fn they_wait_in_the_order_of_sending() {
        for first in [10, u32::MAX - 1] {
            let number = |count: u32| Some(first.wrapping_add(count));
            let sent = [number(0), number(1), number(2), number(3), None, None];
            for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
                for late in 0..=4 {
                    let mut messages = slots(&sent);
                    let mut aside = Aside::default();
                    for slot in &order[..late] {
                        aside.insert(&mut messages, *slot);
                    }
                    aside.push(&mut messages, 4);
                    for slot in &order[late..] {
                        aside.insert(&mut messages, *slot);
                    }
                    aside.push(&mut messages, 5);
                    assert_eq!(aside.first(), Some(0));
                    assert_eq!(all(&mut aside, &mut messages), [0, 1, 2, 3, 4, 5]);
                    assert!(aside.is_empty() && aside.first().is_none());
                    let mut left = messages.iter();
                    assert!(left.all(|(_, outbound)| outbound.successor.is_none()));
                }
            }
        }
    }
}
