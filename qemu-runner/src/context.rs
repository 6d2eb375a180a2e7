//! What every command works with.

use crate::link::{Capture, LinkKind};
use crate::qemu::accelerator::advice;
use crate::qemu::{Accelerator, Machine};
use crate::trace::Trace;
use crate::ui::Ui;
use crate::workspace::{Workspace, cargo};
use std::process::Command;

/// The choices of the command line and the place where they are carried out.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where progress goes.
    pub ui: Ui,
    /// The workspace.
    pub workspace: Workspace,
    /// The accelerator that was chosen.
    pub accelerator: Accelerator,
    /// Why that one, for printing.
    pub accelerator_reason: String,
    /// The machine that nodes are given unless a cluster file says otherwise.
    pub machine: Machine,
    /// How two nodes are joined directly.
    pub link: LinkKind,
    /// Where all frames between nodes are written to.
    pub capture: Option<Capture>,
    /// Where the events of all nodes are written to.
    pub trace: Option<Trace>,
    /// Print QEMU's commands and start none.
    pub dry_run: bool,
    /// Install what is missing without asking.
    pub yes: bool,
}

impl Context {
    /// Says which accelerator is used and why. Printed before nodes are started.
    pub fn say_accelerator(&self) {
        self.ui.progress(&format!(
            "accelerator: {} ({})",
            self.accelerator.word(),
            self.accelerator_reason
        ));
        if let Some(advice) = advice(self.accelerator) {
            self.ui.warn(&advice);
        }
    }

    /// A cargo that runs in the workspace.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.workspace.root);
        command
    }
}
