//! QEMU: whether it is there, new enough, and able to do what is asked of it.

use super::{Finding, Package, PackageManager, State, output};
use crate::qemu::PROGRAM;
use std::process::Command;

/// The oldest version that is known to have all: `-netdev stream` and `-netdev dgram` came with
/// 7.2.
const OLDEST: (u32, u32) = (7, 2);

/// The program and its version.
pub(super) fn program() -> Finding {
    let banner = output(Command::new(PROGRAM).arg("--version"));
    let state = judge(banner.as_deref());
    Finding {
        what: "QEMU",
        required: true,
        state,
    }
}

fn judge(banner: Option<&str>) -> State {
    let fix = || match PackageManager::find() {
        Some(manager) => manager.command_line(Package::Qemu),
        None => "install QEMU 7.2 or newer (https://www.qemu.org/download)".into(),
    };
    let Some(banner) = banner else {
        return State::Missing {
            found: format!("{PROGRAM} is not installed"),
            fix: fix(),
        };
    };
    match version(banner) {
        Some(version) if version >= OLDEST => {
            State::Found(banner.lines().next().unwrap_or_default().to_owned())
        }
        Some((major, minor)) => {
            let found = format!("{PROGRAM} is version {major}.{minor}; 7.2 or newer is needed");
            State::Missing { found, fix: fix() }
        }
        None => State::Missing {
            found: format!("{PROGRAM} --version says nothing that looks like a version"),
            fix: fix(),
        },
    }
}

fn version(banner: &str) -> Option<(u32, u32)> {
    let number = banner
        .split_whitespace()
        .skip_while(|word| *word != "version")
        .nth(1)?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The kinds of network device back end.
pub(super) fn links() -> Finding {
    // The list is printed by QEMU before it looks for anything else.
    let kinds =
        output(Command::new(PROGRAM).args(["-M", "none", "-netdev", "help"])).unwrap_or_default();
    let has = |kind: &str| kinds.lines().any(|line| line.trim() == kind);
    let state = if has("dgram") && has("stream") {
        State::Found("dgram and stream".into())
    } else {
        State::Missing {
            found: "QEMU does not offer -netdev dgram and stream".into(),
            fix: "install a QEMU of 7.2 or newer that has them".into(),
        }
    };
    Finding {
        what: "QEMU's links",
        required: true,
        state,
    }
}

/// TCG plugins, by which the benchmarks count instructions.
pub(super) fn plugins() -> Finding {
    let help = output(Command::new(PROGRAM).arg("--help")).unwrap_or_default();
    let state = if help
        .lines()
        .any(|line| line.trim_start().starts_with("-plugin"))
    {
        State::Found("the benchmarks can count guest instructions".into())
    } else {
        State::Missing {
            found: "QEMU was built without TCG plugins (only the counting pass of `cargo norma bench` needs them)".into(),
            fix: "install a QEMU that was configured with --enable-plugins".into(),
        }
    };
    Finding {
        what: "QEMU's plugins",
        required: false,
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"),
            Some((7, 2))
        );
        assert_eq!(version("QEMU emulator version 10.0.0"), Some((10, 0)));
        assert_eq!(version("QEMU emulator version 9.2.50-dirty"), Some((9, 2)));
        assert_eq!(version("nonsense"), None);
    }

    #[test]
    fn what_is_too_old_is_named() {
        assert!(matches!(
            judge(Some("QEMU emulator version 7.2.0")),
            State::Found(_)
        ));
        let State::Missing { found, .. } = judge(Some("QEMU emulator version 6.2.0")) else {
            panic!()
        };
        assert!(found.contains("6.2") && found.contains("7.2"), "{found}");
        assert!(matches!(judge(None), State::Missing { .. }));
    }
}
