//! A machine of the other byte order: compiler, libraries and emulator of s390x.
//!
//! Only the test of byte orders needs them, so nothing looks for them unless it is asked for.

use super::packages::Step;
use super::{PackageManager, ensure_rust_target, may_install, run, rust, which};
use crate::big_endian::{EMULATOR, LINKER, TARGET};
use crate::context::Context;
use crate::status::{Ended, Status};

/// Debian's packages: the compiler, whose linker is used, the C library, and the emulator.
const PACKAGES: [&str; 3] = ["gcc-s390x-linux-gnu", "libc6-dev-s390x-cross", "qemu-user"];

/// Makes sure that programs for a big-endian machine can be built and run.
///
/// # Errors
/// Something is missing and was not installed; the error names the command.
pub fn ensure_big_endian(context: &Context) -> anyhow::Result<()> {
    ensure_rust_target(context, TARGET, |context| {
        rust::target(context, TARGET, "big-endian target", true)
    })?;
    let missing = || {
        [LINKER, EMULATOR]
            .into_iter()
            .find(|name| which(name).is_none())
    };
    let Some(name) = missing() else {
        return Ok(());
    };
    let found = format!("{name} is not installed");
    let steps = PackageManager::find().and_then(|manager| manager.debian(&PACKAGES));
    let Some(steps) = steps else {
        let text = format!(
            "{found}: install what Debian has in the packages {}",
            PACKAGES.join(", ")
        );
        return Err(Ended::new(Status::Failed, text).into());
    };
    let line = steps
        .iter()
        .map(Step::line)
        .collect::<Vec<_>>()
        .join(" && ");
    if !may_install(context, &found, &line)? {
        let text = format!("{found}. To install it, run\n  {line}\nor give --yes");
        return Err(Ended::new(Status::Failed, text).into());
    }
    context
        .ui
        .progress(&format!("installing a big-endian machine: {line}"));
    for step in steps {
        let result = run(&mut step.command());
        // A package list that cannot be refreshed may still do.
        if step.required {
            result?;
        }
    }
    match missing() {
        None => Ok(()),
        Some(name) => {
            let text = format!("{name} is not installed, still, after `{line}`");
            Err(Ended::new(Status::Failed, text).into())
        }
    }
}
