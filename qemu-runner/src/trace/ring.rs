//! The ring of a node, found in its memory.

use norma_trace::{ALIGN, EVENT, EVENTS, EVENTS_AT, Error, Event, HEADER, Header, NAME, RING};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// How much of a machine's memory is searched: an image is loaded at 2 MiB, and its ring lies
/// with its variables.
const SEARCHED: u64 = 64 << 20;

/// The events of a node, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    /// The node's own name.
    pub(crate) node: String,
    /// Nanoseconds per tick, times 2^32; 0 if the node never knew.
    pub(crate) rate: u64,
    /// Events that were overwritten, or only half written when the node ended.
    pub(crate) lost: u64,
    /// The names of its threads, by their numbers; empty for those that there never were.
    pub(crate) names: Vec<String>,
    pub(crate) events: Vec<Event>,
}

impl Ring {
    /// Finds and reads the ring in a machine's memory.
    pub(super) fn find(memory: &File) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("its memory cannot be read: {error}");
        let end = memory.metadata().map_err(text)?.len().min(SEARCHED);
        for address in (0..end).step_by(ALIGN) {
            let mut head = [0; HEADER];
            memory.read_exact_at(&mut head, address).map_err(text)?;
            match Header::parse(&head) {
                // It may be a copy: of a ring that lay elsewhere.
                Ok(header) if header.address != address => {}
                Ok(header) => {
                    let mut bytes = vec![0; RING];
                    memory.read_exact_at(&mut bytes, address).map_err(text)?;
                    return Ok(Self::read(&header, &bytes));
                }
                Err(Error::NoRing) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(
            "there is no ring of events in its memory: it ended before its kernel began, or its \
             image was not built for `--trace` (only images of this workspace are)"
                .into(),
        )
    }

    /// Reads a whole ring, which begins with this header.
    pub(super) fn read(header: &Header, bytes: &[u8]) -> Self {
        let (names, events) = bytes[HEADER..].split_at(EVENTS_AT - HEADER);
        let text = |name: &[u8; NAME]| norma_trace::text(name).to_owned();
        let names = names.as_chunks::<NAME>().0.iter().map(text).collect();
        let (events, _) = events.as_chunks::<EVENT>();
        let first = header.lost();
        let mut kept: Vec<Event> = Vec::new();
        for number in first..header.count() {
            let event = Event::parse(&events[number as usize % EVENTS]);
            // The last one may not be complete: its node was ended while it wrote.
            let follows = kept.last().is_none_or(|last| last.ticks <= event.ticks);
            if event.kind().is_some() && follows {
                kept.push(event);
            }
        }
        Self {
            node: norma_trace::text(&header.node).to_owned(),
            rate: header.rate,
            lost: header.count() - kept.len() as u64,
            names,
            events: kept,
        }
    }

    /// What a thread is called.
    pub(crate) fn thread_name(&self, thread: u16) -> String {
        match self.names.get(usize::from(thread)) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("thread {thread}"),
        }
    }
}
