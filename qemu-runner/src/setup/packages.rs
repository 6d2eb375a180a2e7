//! The system's package manager.
//!
//! Owns the names that QEMU, tshark and gdb have in the common ones, and the exact commands.

use super::which;
use std::ffi::OsStr;
use std::process::Command;

/// A package manager that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageManager {
    known: &'static Known,
    /// Prefix that makes the caller root.
    become_root: Option<&'static str>,
}

/// A package manager and what programs are called there.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    program: &'static str,
    refresh: Option<&'static [&'static str]>,
    install: &'static [&'static str],
    qemu: &'static str,
    tshark: &'static str,
    gdb: &'static str,
}

/// What can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// QEMU for x86-64.
    Qemu,
    /// Wireshark's twin for terminals.
    Tshark,
    /// The debugger.
    Gdb,
}

/// In the order of asking. Each installs the emulator of x86-64 and not of everything else.
const KNOWN: [Known; 5] = [
    Known {
        program: "apt-get",
        refresh: Some(&["update"]),
        install: &["install", "-y", "--no-install-recommends"],
        qemu: "qemu-system-x86",
        tshark: "tshark",
        gdb: "gdb",
    },
    Known {
        program: "dnf",
        refresh: None,
        install: &["install", "-y"],
        qemu: "qemu-system-x86-core",
        tshark: "wireshark-cli",
        gdb: "gdb",
    },
    Known {
        program: "pacman",
        refresh: None,
        install: &["-S", "--needed", "--noconfirm"],
        qemu: "qemu-system-x86",
        tshark: "wireshark-cli",
        gdb: "gdb",
    },
    Known {
        program: "zypper",
        refresh: None,
        install: &["--non-interactive", "install"],
        qemu: "qemu-x86",
        tshark: "wireshark",
        gdb: "gdb",
    },
    Known {
        program: "apk",
        refresh: None,
        install: &["add"],
        qemu: "qemu-system-x86_64",
        tshark: "tshark",
        gdb: "gdb",
    },
];

/// One command of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    words: Vec<&'static str>,
    /// Whether the installation has failed when this has.
    pub(super) required: bool,
}

impl PackageManager {
    /// The system's package manager, if it is one of the known.
    #[must_use]
    pub fn find() -> Option<Self> {
        let known = KNOWN.iter().find(|known| which(known.program).is_some())?;
        let become_root = if rustix::process::geteuid().is_root() {
            None
        } else {
            // Where there is neither, the command is printed for somebody who knows better.
            Some(if which("sudo").is_none() && which("doas").is_some() {
                "doas"
            } else {
                "sudo"
            })
        };
        Some(Self { known, become_root })
    }

    /// The commands, in their order.
    pub(super) fn steps(&self, package: Package) -> Vec<Step> {
        let mut words = self.words(self.known.install);
        words.push(match package {
            Package::Qemu => self.known.qemu,
            Package::Tshark => self.known.tshark,
            Package::Gdb => self.known.gdb,
        });
        let install = Step {
            words,
            required: true,
        };
        self.refresh().into_iter().chain([install]).collect()
    }

    /// The commands that install other packages, whose names are Debian's; `None` elsewhere.
    pub(super) fn debian(&self, packages: &[&'static str]) -> Option<Vec<Step>> {
        if self.known.program != "apt-get" {
            return None;
        }
        let mut words = self.words(&["install", "-y", "--no-install-recommends"]);
        words.extend(packages);
        let install = Step {
            words,
            required: true,
        };
        Some(self.refresh().into_iter().chain([install]).collect())
    }

    /// The command that fetches the lists of packages anew, where there is one.
    pub(super) fn refresh(&self) -> Option<Step> {
        let arguments = self.known.refresh?;
        Some(Step {
            words: self.words(arguments),
            required: false,
        })
    }

    fn words(&self, arguments: &[&'static str]) -> Vec<&'static str> {
        self.become_root
            .into_iter()
            .chain([self.known.program])
            .chain(arguments.iter().copied())
            .collect()
    }

    /// The commands as one line for a shell.
    #[must_use]
    pub fn command_line(&self, package: Package) -> String {
        self.steps(package)
            .iter()
            .map(Step::line)
            .collect::<Vec<_>>()
            .join(" && ")
    }
}

impl Step {
    /// The command as a line for a shell.
    pub(super) fn line(&self) -> String {
        self.words.join(" ")
    }

    pub(super) fn command(&self) -> Command {
        let mut words = self.words.iter().map(OsStr::new);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &str, become_root: Option<&'static str>, package: Package) -> String {
        let known = KNOWN.iter().find(|known| known.program == program).unwrap();
        PackageManager { known, become_root }.command_line(package)
    }

    #[test]
    fn commands_are_exact() {
        assert_eq!(
            line("apt-get", Some("sudo"), Package::Qemu),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86"
        );
        assert_eq!(
            line("apk", None, Package::Qemu),
            "apk add qemu-system-x86_64"
        );
        assert_eq!(
            line("dnf", None, Package::Tshark),
            "dnf install -y wireshark-cli"
        );
        assert_eq!(
            line("apt-get", None, Package::Gdb),
            "apt-get update && apt-get install -y --no-install-recommends gdb"
        );
        let known = &KNOWN[0];
        let manager = PackageManager {
            known,
            become_root: None,
        };
        let steps = manager.debian(&["one", "other"]).unwrap();
        let lines: Vec<_> = steps.iter().map(Step::line).collect();
        let install = "apt-get install -y --no-install-recommends one other";
        assert_eq!(lines, ["apt-get update", install]);
    }
}
