//! Nodes that have no pages left for a while.
//!
//! A message with out-of-line memory that comes there meanwhile is refused, and lost with its
//! rights; whoever waits for an answer is told. Nothing else may come of it.

use core::time::Duration;

use super::Abilities;
use super::books::Books;
use super::entries::{Note, Phase};
use super::rover::{Rover, who};
use crate::actor::Context;

impl Rover {
    /// The node has next to no pages from now on.
    pub(super) fn run_short(&mut self, cx: &mut Context<'_>) {
        if !self.may(Abilities::SHORT) {
            return;
        }
        let until = cx.now + Duration::from_millis(cx.random.below(200));
        cx.node.source().left = cx.random.below(4) as usize;
        cx.books.short.insert(cx.machine, until);
        let text = "has next to no memory from now on";
        cx.books.note(who(cx), text, Note::default());
    }

    /// The time without pages is over.
    pub(super) fn find_pages(&mut self, cx: &mut Context<'_>) {
        let until = cx.books.short.get(&cx.machine).copied();
        let over = |until| cx.now >= until || cx.books.phase != Phase::Play;
        if until.is_some_and(over) {
            cx.node.source().left = usize::MAX;
            cx.books.end_shortage(cx.machine);
            cx.books.note(who(cx), "has memory again", Note::default());
        }
    }
}

impl Books {
    pub(super) fn end_shortage(&mut self, node: usize) {
        if self.short.remove(&node).is_some() {
            self.last_short = Some(self.now);
        }
    }

    /// Whether any node was without pages at that time or later.
    pub(super) fn was_short(&self, since: Duration) -> bool {
        !self.short.is_empty() || self.last_short.is_some_and(|last| last >= since)
    }
}
