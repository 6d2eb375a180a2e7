//! Traces: what every node did, on one line of time, for Perfetto and whatever else reads Chrome's
//! trace format.
//!
//! Owns: the memory in which a traced node runs, taking its ring of events out of it when the
//! node has ended, however that was, and the file. Leaves to others: the events (`norma-trace`),
//! building images that note them (`images`), whose clock is how far ahead (`align`), who runs
//! when and which message went where (`story`), the words of the format (`chrome`).
//!
//! Why the memory is a file of the runner's: nothing has to be asked of a guest that has
//! panicked, nor of a QEMU that was killed. It has no name and is gone with the runner.
//! docs/traces.md tells how to use it.

mod align;
mod chrome;
mod ring;
mod story;
#[cfg(test)]
mod tests;

use crate::ui::Ui;
pub(crate) use ring::Ring;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The rings of all nodes that this process has run, and the file that is made of them.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    /// Where it goes; nothing if the rings themselves are wanted.
    path: Option<PathBuf>,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runs: u64,
    nodes: Vec<Taken>,
}

/// What was found in the memory of a node.
struct Taken {
    /// What the node is called in the file.
    name: String,
    /// Nanoseconds from the trace's begin to the start of the node's QEMU.
    started: u64,
    ring: Result<Ring, String>,
}

impl core::fmt::Debug for Trace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Trace")
    }
}

impl Trace {
    /// A trace that goes to this file. The file is made, or emptied, at once: better now than
    /// when the run is over.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        File::create(path)?;
        Ok(Self::new(Some(path.into())))
    }

    /// A trace that goes to no file: what it has taken is asked for.
    pub(crate) fn gather() -> Self {
        Self::new(None)
    }

    fn new(path: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            path,
            begun: Instant::now(),
            state: Mutex::default(),
        }))
    }

    /// The rings that were taken since this was last asked, with the names of their nodes; or why
    /// there is none.
    pub(crate) fn take(&self) -> Vec<(String, Result<Ring, String>)> {
        let nodes = std::mem::take(&mut self.state().nodes);
        nodes
            .into_iter()
            .map(|taken| (taken.name, taken.ring))
            .collect()
    }

    /// The number of a new run of nodes, from 1.
    #[must_use]
    pub fn new_run(&self) -> u64 {
        let mut state = self.state();
        state.runs += 1;
        state.runs
    }

    /// Memory for a node that is about to be started.
    ///
    /// # Errors
    /// The host has none left.
    pub fn memory(&self, run: u64, node: &str, mib: u32) -> std::io::Result<Memory> {
        let file = File::from(memfd_create("norma", MemfdFlags::CLOEXEC)?);
        file.set_len(u64::from(mib) << 20)?;
        Ok(Memory {
            trace: self.clone(),
            // The first run is the only one, mostly.
            name: match run {
                1 => node.to_owned(),
                _ => format!("run {run}: {node}"),
            },
            started: Instant::now(),
            file,
        })
    }

    /// Writes the file, and says what is in it and what is not.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&self, ui: &Ui) -> std::io::Result<()> {
        let Some(path) = &self.0.path else {
            return Ok(());
        };
        let nodes = std::mem::take(&mut self.state().nodes);
        let mut rings = Vec::new();
        for Taken {
            name,
            started,
            ring,
        } in nodes
        {
            match ring {
                Ok(ring) => {
                    let (kept, lost) = (ring.events.len(), ring.lost);
                    let lost = match lost {
                        0 => String::new(),
                        _ => format!("; {lost} older ones were overwritten"),
                    };
                    ui.progress(&format!("trace: node {name}: {kept} events{lost}"));
                    rings.push((name, started, ring));
                }
                Err(error) => ui.progress(&format!("trace: node {name}: {error}")),
            }
        }
        let clocks = align::align(&rings);
        let stories = rings
            .iter()
            .map(|(_, _, ring)| story::tell(ring))
            .collect::<Vec<_>>();
        let text = chrome::write(&rings, &clocks, &stories);
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        let path = path.display();
        ui.progress(&format!(
            "trace: wrote {path}; open it at https://ui.perfetto.dev"
        ));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of one traced node. When this is dropped, which must be after its QEMU has ended,
/// the events are taken out of it.
#[derive(Debug)]
pub struct Memory {
    trace: Trace,
    name: String,
    started: Instant,
    file: File,
}

impl Memory {
    /// Another descriptor of it, for QEMU to inherit.
    ///
    /// # Errors
    /// The host has none left.
    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let ring = Ring::find(&self.file);
        let begun = self.trace.0.begun;
        let started = self.started.saturating_duration_since(begun);
        self.trace.state().nodes.push(Taken {
            name: std::mem::take(&mut self.name),
            started: started.as_nanos() as u64,
            ring,
        });
    }
}
