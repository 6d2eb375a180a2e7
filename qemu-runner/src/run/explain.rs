//! What a failure means, and what to do about it.
//!
//! Owns: recognising it, from how a node ended and from what QEMU and the node said. Leaves to
//! others: showing it, behind the node's last lines. Each of these is provoked by a test
//! (`tests/vm/messages.rs`), or its words are QEMU's own, quoted in the tests below.

use crate::qemu::{Accelerator, Outcome, QemuCommand};

/// What is known of a node that failed.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// How it ended; nothing if it is still running.
    pub(super) outcome: Option<Outcome>,
    /// What QEMU and the node said, the oldest perhaps forgotten.
    pub(super) lines: Vec<&'a str>,
    /// What it was started with.
    pub(super) command: &'a QemuCommand,
}

/// The line with which a node says that it is there.
const READY: &str = "norma: ready";

impl Facts<'_> {
    fn says(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }

    /// What QEMU itself said.
    fn qemu_says(&self, words: &str) -> bool {
        let mut said = self
            .lines
            .iter()
            .filter_map(|line| line.strip_prefix("qemu: "));
        said.any(|line| line.contains(words))
    }

    /// Whether the guest said anything.
    fn is_silent(&self) -> bool {
        self.lines.iter().all(|line| line.starts_with("qemu: "))
    }

    /// What happened, in a sentence or two, with the way out; nothing where the node itself has
    /// said all.
    pub(super) fn explain(&self) -> Option<String> {
        let image = self.command.kernel.display();
        let memory = self.command.memory_mib;
        let text = match self.outcome {
            Some(Outcome::Pass | Outcome::Crashed | Outcome::Fail) => return None,
            _ if self.qemu_says("without PVH ELF Note")
                || self.qemu_says("invalid kernel header") =>
            {
                format!(
                    "QEMU cannot start {image}: it is no image of norma (an ELF file with a PVH note). \
                     `cargo norma build` builds images and prints where they are"
                )
            }
            _ if self.qemu_says("could not load kernel") || self.qemu_says("could not open kernel") => {
                format!("QEMU cannot read {image}: `cargo norma build` builds images")
            }
            _ if self.qemu_says("cannot set up guest memory")
                || self.qemu_says("cannot allocate memory")
                || self.qemu_says("Cannot allocate memory") =>
            {
                format!(
                    "this host has not the {memory} MiB that the node is given: lower `memory` in \
                     the cluster file, or end other programs"
                )
            }
            _ if self.qemu_says("dgram") && self.qemu_says("Invalid parameter")
                || self.qemu_says("Parameter 'type' expects a netdev backend type") =>
            {
                "this QEMU is too old, or was built without `-netdev dgram` and `stream`: 7.2 or \
                 newer is needed. `cargo norma doctor` says what is there and how to get it"
                    .into()
            }
            _ if self.qemu_says("failed to initialize kvm") || self.qemu_says("Could not access KVM") => {
                "KVM was asked for, and this host does not let QEMU use it: `--accel tcg`, or leave \
                 `--accel` away"
                    .into()
            }
            _ if self.says("out of memory") || self.says("memory allocation of") => format!(
                "the node has used up its {memory} MiB: give it more by `memory = {}` in the cluster \
                 file. `cargo norma memory NODE` and `rights NODE` show, while it runs, what takes it",
                memory * 2
            ),
            _ if self.says("not enough memory: start QEMU with") => format!(
                "the node's {memory} MiB are not enough to start: give it `memory = 16` or more in the \
                 cluster file"
            ),
            Some(Outcome::Reset) => {
                "the guest reset its machine: a triple fault, an exception that came while the \
                 processor could not deal with one before it. Its last instructions are told by \
                 QEMU: add `qemu = [\"-d\", \"int,cpu_reset\"]` to the node in the cluster file"
                    .into()
            }
            Some(Outcome::Other(1)) => {
                "QEMU did not accept its command line; its own words are above. `cargo norma doctor` \
                 says whether this QEMU has all that is needed"
                    .into()
            }
            Some(Outcome::Signal(9)) => {
                "somebody killed QEMU: perhaps the host, for want of memory (`dmesg` would say so)"
                    .into()
            }
            Some(_) => return None,
            None if self.is_silent() => self.no_output(),
            None if !self.says(READY) => format!(
                "the node began to start and did not get to `{READY}`: its last line says how far it \
                 came.{}",
                self.slow()
            ),
            None => return None,
        };
        Some(text)
    }

    /// What may keep a node from starting in time.
    fn slow(&self) -> &'static str {
        match self.command.accelerator {
            Accelerator::Kvm => {
                " With KVM on a host without hardware virtualization that takes minutes: \
                 `--accel tcg` then."
            }
            Accelerator::Tcg => "",
        }
    }

    /// A machine that runs and says nothing.
    fn no_output(&self) -> String {
        let image = self.command.kernel.display();
        let slow = self.slow();
        format!(
            "the node has printed nothing: QEMU runs, and {image} has not come to its first line. \
             Either its processor was told not to start (`-S` among `qemu = [...]`), or what is \
             started is another kernel than an image of norma, or the host is too busy to let it \
             run.{slow}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::{Guest, Machine};

    fn command(accelerator: Accelerator) -> QemuCommand {
        QemuCommand {
            guest: Guest::Norma,
            machine: Machine::Microvm,
            accelerator,
            cpu: "max".into(),
            memory_mib: 64,
            kernel: "/images/demo".into(),
            module: None,
            append: String::new(),
            nics: Vec::new(),
            legacy_devices: false,
            memory_file: None,
            extra: Vec::new(),
        }
    }

    fn explained(outcome: Option<Outcome>, lines: &[&str]) -> Option<String> {
        explained_with(Accelerator::Kvm, outcome, lines)
    }

    fn explained_with(
        accelerator: Accelerator,
        outcome: Option<Outcome>,
        lines: &[&str],
    ) -> Option<String> {
        let command = command(accelerator);
        Facts {
            outcome,
            lines: lines.to_vec(),
            command: &command,
        }
        .explain()
    }

    /// Words of QEMU for what no test can bring about on every host.
    #[test]
    fn what_qemu_says_is_understood() {
        for (line, word) in [
            (
                "qemu: qemu-system-x86_64: cannot set up guest memory 'microvm.ram': Cannot allocate memory",
                "64 MiB",
            ),
            (
                "qemu: Could not access KVM kernel module: Permission denied",
                "--accel tcg",
            ),
            (
                "qemu: qemu-system-x86_64: failed to initialize kvm: No such file or directory",
                "--accel tcg",
            ),
            (
                "qemu: qemu-system-x86_64: -netdev dgram,id=n0: Parameter 'type' expects a netdev backend type",
                "cargo norma doctor",
            ),
        ] {
            let text = explained(Some(Outcome::Other(1)), &[line]).unwrap();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_guest_cannot_speak_for_qemu() {
        let text = explained(None, &["norma: ready", "Error loading"]);
        assert_eq!(text, None);
    }

    #[test]
    fn silence_under_a_forced_kvm_has_its_own_reason() {
        let text = explained(None, &[]).unwrap();
        assert!(
            text.contains("printed nothing") && text.contains("--accel tcg"),
            "{text}"
        );
    }

    #[test]
    fn a_slow_start_under_a_forced_kvm_has_the_same_reason() {
        let lines = ["norma: memory 64 MiB"];
        let text = explained(None, &lines).unwrap();
        assert!(
            text.contains("norma: ready") && text.contains("--accel tcg"),
            "{text}"
        );
        let text = explained_with(Accelerator::Tcg, None, &lines).unwrap();
        assert!(text.ends_with("how far it came."), "{text}");
        assert_eq!(explained(None, &["norma: ready", "hello"]), None);
    }

    #[test]
    fn who_passed_needs_no_explanation() {
        assert_eq!(explained(Some(Outcome::Pass), &["out of memory"]), None);
    }
}
