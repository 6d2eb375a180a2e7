//! A machine of the other byte order: compiler, libraries and emulator of s390x.
//!
//! Only the test of byte orders needs them, so nothing looks for them unless it is asked for.

use super::packages::Step;
use super::{PackageManager, ensure_rust_target, may_install, run, rust, which_in};
use crate::big_endian::{EMULATOR, LINKER, TARGET};
use crate::context::Context;
use crate::status::{Ended, Status};
use std::ffi::OsStr;

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
    let missing = || missing_in(&std::env::var_os("PATH").unwrap_or_default());
    let Some(name) = missing() else {
        return Ok(());
    };
    let steps = PackageManager::find().and_then(|manager| manager.debian(&PACKAGES));
    let Some(steps) = steps else {
        return Err(Ended::new(Status::Failed, refusal(name, None)).into());
    };
    let line = steps
        .iter()
        .map(Step::line)
        .collect::<Vec<_>>()
        .join(" && ");
    if !may_install(context, &format!("{name} is not installed"), &line)? {
        return Err(Ended::new(Status::Failed, refusal(name, Some(&line))).into());
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

/// What is missing in that `PATH`, if anything is.
fn missing_in(path: &OsStr) -> Option<&'static str> {
    [LINKER, EMULATOR]
        .into_iter()
        .find(|name| which_in(path, name).is_none())
}

/// What is said when it is not installed; `line` installs it, where Debian's tools are.
fn refusal(name: &str, line: Option<&str>) -> String {
    match line {
        Some(line) => {
            format!("{name} is not installed. To install it, run\n  {line}\nor give --yes")
        }
        None => format!(
            "{name} is not installed: install what Debian has in the packages {}",
            PACKAGES.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_compiler_or_an_emulator_the_command_that_installs_them_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = || missing_in(folder.path().as_os_str());
        assert_eq!(missing(), Some(LINKER));
        std::fs::write(folder.path().join(LINKER), "").unwrap();
        assert_eq!(missing(), Some(EMULATOR));
        std::fs::write(folder.path().join(EMULATOR), "").unwrap();
        assert_eq!(missing(), None);
        let text = refusal(EMULATOR, Some("apt-get install qemu-user"));
        assert!(text.contains(EMULATOR) && text.contains("run\n  apt-get install qemu-user"));
        let text = refusal(LINKER, None);
        assert!(text.contains(LINKER) && text.contains("qemu-user"));
    }
}
