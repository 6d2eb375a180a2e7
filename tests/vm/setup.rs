//! Hosts that lack something: a `PATH` without QEMU, and a package manager that only pretends; a
//! QEMU that is started as on a host without KVM, with a slow one, or without memory.

use crate::Test;
use crate::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs of the host that the runner may need besides QEMU.
const TOOLS: [&str; 5] = ["rustc", "cargo", "rustup", "cc", "env"];

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("setup::names_the_command", names_the_command),
        Test::new("setup::installs_when_told_to", installs),
        Test::new(
            "setup::a_failed_installation_is_an_error",
            failed_installation,
        ),
        Test::new("setup::an_old_qemu_is_named", old_qemu),
        Test::new("setup::doctor_names_what_is_missing", doctor),
        Test::new("setup::kvm_that_is_refused_is_explained", refused_kvm),
        Test::new("setup::a_slow_accelerator_is_explained", slow_kvm),
        Test::new("setup::a_host_without_memory_is_explained", poor_host),
    ]
}

/// A host with a `PATH` of its own.
struct Host {
    folder: tempfile::TempDir,
    cluster: PathBuf,
}

impl Host {
    /// A host whose package manager runs these lines when it is told to install.
    fn new(lab: &Lab, install: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for tool in TOOLS {
            if let Some(path) = find(tool) {
                symlink(path, folder.path().join(tool))?;
            }
        }
        let manager = format!("case \"$1\" in\nupdate) ;;\ninstall)\n{install}\n;;\nesac");
        let host = Self {
            cluster: folder.path().join("one.toml"),
            folder,
        };
        host.script("apt-get", &manager)?;
        // Who is not root asks for it.
        host.script("sudo", "exec \"$@\"")?;
        let text = format!(
            "[[node]]\nname = \"a\"\nimage = \"{}\"\n",
            lab.image("hello")?.display()
        );
        std::fs::write(&host.cluster, text)?;
        Ok(host)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn script(&self, name: &str, text: &str) -> Result<()> {
        let file = self.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n"))?;
        Ok(std::fs::set_permissions(
            file,
            std::fs::Permissions::from_mode(0o755),
        )?)
    }

    fn norma(&self, ci: bool, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(crate::runner::program()?);
        command
            .args(arguments)
            .env("PATH", self.path())
            .env_remove("CI");
        if ci {
            command.env("CI", "true");
        }
        Ok(command.stdin(std::process::Stdio::null()).output()?)
    }

    fn up(&self, ci: bool) -> Result<Output> {
        self.up_with(ci, &[])
    }

    fn up_with(&self, ci: bool, options: &[&str]) -> Result<Output> {
        let cluster = self.cluster.to_str().context("a path in UTF-8")?;
        self.norma(ci, &[&["up", cluster], options].concat())
    }

    /// A QEMU that does this when it is to start a node: `$qemu` is the real one.
    fn qemu(&self, start: &str) -> Result<()> {
        let program = find("qemu-system-x86_64").context("no QEMU")?;
        let text = format!(
            "qemu={}\ncase \"$*\" in\n*-kernel*)\n{start}\n;;\n*) exec $qemu \"$@\" ;;\nesac",
            program.display()
        );
        self.script("qemu-system-x86_64", &text)
    }

    /// What makes QEMU appear.
    fn real_qemu() -> Result<String> {
        let program = find("qemu-system-x86_64").context("no QEMU")?;
        Ok(format!(
            "/bin/ln -s {} ${{0%/*}}/qemu-system-x86_64",
            program.display()
        ))
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn expect(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(
        output.status.code() == Some(code),
        "ended with {}, expected {code}:\n{text}",
        output.status
    );
    for word in words {
        ensure!(text.contains(word), "nothing says `{word}`:\n{text}");
    }
    Ok(())
}

fn names_the_command(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 1")?;
    let command = "apt-get install -y --no-install-recommends qemu-system-x86";
    expect(
        &host.up(false)?,
        1,
        &["qemu-system-x86_64 is not installed", command, "--yes"],
    )
}

fn installs(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, &Host::real_qemu()?)?;
    expect(&host.up(true)?, 0, &["installing QEMU", "node a passed"])
}

fn failed_installation(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 3")?;
    // By apt-get for root, by sudo for others.
    expect(&host.up(true)?, 1, &["` failed: exit status: 3"])
}

fn old_qemu(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 0")?;
    host.script("qemu-system-x86_64", "echo QEMU emulator version 6.2.0")?;
    expect(
        &host.up(true)?,
        1,
        &["version 6.2; 7.2 or newer is needed, still"],
    )
}

fn refused_kvm(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 1")?;
    let words = "Could not access KVM kernel module: Permission denied";
    host.qemu(&format!("echo '{words}' >&2\nexit 1"))?;
    expect(
        &host.up_with(false, &["--accel", "kvm"])?,
        1,
        &[words, "this host does not let QEMU use it: `--accel tcg`"],
    )
}

/// To who waits, KVM that interprets every instruction is a machine that stands still.
fn slow_kvm(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 1")?;
    // Of several accelerators QEMU takes the first that works.
    host.qemu("exec $qemu -accel tcg -S \"$@\"")?;
    expect(
        &host.up_with(false, &["--accel", "kvm", "--timeout", "2"])?,
        124,
        &[
            "the node has printed nothing",
            "With KVM on a host without hardware virtualization that takes minutes: `--accel tcg`",
        ],
    )
}

fn poor_host(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 1")?;
    let text = std::fs::read_to_string(&host.cluster)? + "memory = 6000\n";
    std::fs::write(&host.cluster, text)?;
    host.qemu("ulimit -v 4000000\nexec $qemu \"$@\"")?;
    expect(
        &host.up(false)?,
        1,
        &["this host has not the 6000 MiB that the node is given: lower `memory`"],
    )
}

fn doctor(lab: &Lab) -> Result<()> {
    let host = Host::new(lab, "exit 1")?;
    expect(
        &host.norma(false, &["doctor"])?,
        1,
        &[
            "missing  QEMU",
            "to mend it: ",
            "ok       Rust target",
            "tshark is not installed",
            "--no-install-recommends tshark",
        ],
    )
}
