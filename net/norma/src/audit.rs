//! The audit: looks at all that a node believes about rights of others, and compares.
//!
//! Tests call it after every step. It walks everything and allocates, so no kernel calls it.
//! What it checks are the rules W-102 to W-104 of `docs/wire.md`, on each node by itself; what
//! nodes believe of each other is in `audit_network`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use norma_ipc::{PageSource, PortId, Sink};

use crate::node::Node;
use crate::rights::{Destination, token};

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Looks at all `nodes` of a network, those that live; of a part of them, at what they share.
///
/// # Errors
/// The first thing that must not be.
pub fn audit<'a, S: PageSource + 'a>(
    nodes: impl IntoIterator<Item = &'a Node<S>>,
) -> Result<(), String> {
    let nodes: Vec<&Node<S>> = nodes.into_iter().collect();
    for node in &nodes {
        node.audit_stand_ins()
            .map_err(|what| format!("node {}: {what}", node.name()))?;
    }
    crate::audit_network::audit(&nodes)
}

impl<S: PageSource> Node<S> {
    /// Compares imports, stand-ins and what is known by identity.
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn audit_stand_ins(&self) -> Result<(), String> {
        for (identity, known) in self.directory.iter() {
            let Ok(sink) = self.ipc.sink(known.port) else {
                // Its death is about to be told.
                continue;
            };
            let label = self.ipc.label(known.port);
            ensure(label.identity == identity, || {
                format!("{known:?} is known by {identity:#x} and labelled {label:?}")
            })?;
            match sink {
                Sink::Queue => ensure(known.next.is_none(), || {
                    format!("{known:?} is here and yet to hang on an import")
                })?,
                // It hangs on nothing, or on what it hung on before.
                Sink::Remote(_) if self.ipc.is_arriving(known.port) => {
                    ensure(known.next.is_none(), || {
                        format!("{known:?} arrives here and is yet to hang on an import")
                    })?;
                }
                Sink::Remote(active) => {
                    for token in [Some(active), known.next].into_iter().flatten() {
                        let import = self.import_at(token);
                        ensure(import.is_some_and(|(_, i)| i.port == known.port), || {
                            format!("{known:?} hangs on {token:?}, which is {import:?}")
                        })?;
                    }
                }
            }
        }
        self.audit_imports()?;
        self.audit_acquisitions()
    }

    fn audit_imports(&self) -> Result<(), String> {
        for (place, session) in self.sessions.iter() {
            for (at, import) in session.imports.iter() {
                let token = token(place, session.generation, Destination::Import(at));
                let known = self.known(import.port);
                let next = known.and_then(|known| known.next);
                let sink = self.ipc.sink(import.port);
                ensure(
                    sink == Ok(Sink::Remote(token)) || next == Some(token),
                    || format!("nothing hangs on {import:?}: {sink:?}, {known:?}"),
                )?;
                let identity = self.ipc.label(import.port).identity;
                ensure(identity == 0 || known.is_some(), || {
                    format!("{import:?} is not known by {identity:#x}")
                })?;
            }
        }
        Ok(())
    }

    fn audit_acquisitions(&self) -> Result<(), String> {
        for (identity, port) in self.acquisitions.iter() {
            let known = self.known(port);
            ensure(
                known.is_some() && self.ipc.label(port).identity == identity,
                || format!("{port:?} is being acquired and yet not known by {identity:#x}"),
            )?;
            ensure(self.ipc.is_full(port) == Ok(true), || {
                format!("{port:?} is being acquired, and messages go through it")
            })?;
        }
        Ok(())
    }

    fn known(&self, port: PortId) -> Option<&crate::directory::Known> {
        let known = self.directory.get(self.ipc.label(port).identity);
        known.filter(|known| known.port == port)
    }
}
