//! Other things of the host.

use super::{Finding, State, which};
use crate::qemu::accelerator::{Wanted, choose};

/// A C linker, with which Rust links programs of the host.
pub(super) fn linker() -> Finding {
    let state = match which("cc") {
        Some(path) => State::Found(path.display().to_string()),
        None => State::Missing {
            found: "there is no `cc`".into(),
            fix: "install a C linker (Debian: apt-get install gcc libc6-dev)".into(),
        },
    };
    Finding {
        what: "C linker",
        required: true,
        state,
    }
}

/// What would accelerate QEMU. Never missing: TCG is always there.
pub(super) fn accelerator() -> Finding {
    let (accelerator, why) = choose(Wanted::Auto);
    Finding {
        what: "accelerator",
        required: false,
        state: State::Found(format!("{}: {why}", accelerator.word())),
    }
}
