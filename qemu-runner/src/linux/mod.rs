//! Linux guests: the machines that norma is compared with.
//!
//! Owns: what a guest is started with ([`Kit`]): Debian's kernel, its network drivers, and a
//! memory file system with one program of ours.
//! Leaves to others: starting it (`run`), what the program does (`norma-peer`).
//! Why this way: the kernel that most people run in a cloud, unchanged, from the package archive
//! that signs it; and nothing beside the program, so that nothing else is measured.

mod cpio;
mod kernel;
mod modules;

pub use cpio::Archive;
pub use kernel::Kernel;

use crate::context::Context;
use crate::daemon;
use crate::link::mac;
use crate::qemu::{Machine, mac_text};
use crate::run::NodePlan;
use crate::setup;
use anyhow::{Context as _, Result, ensure};
use norma_peer::plan::{self, Plan};
use std::path::{Path, PathBuf};

/// The target of programs for Linux guests: static, so that a guest needs no libraries.
pub const TARGET: &str = "x86_64-unknown-linux-musl";

/// What makes Linux quick, as somebody would set it who runs it for that: no mitigations, no
/// audit, no security modules, no clearing of memory, no watchdog, no checks of copies, no accounts
/// of who waits for what and who has which memory.
const TUNING: &str = "mitigations=off tsc=reliable init_on_alloc=0 lsm= audit=0 nowatchdog \
                      randomize_kstack_offset=off hardened_usercopy=off psi=0 \
                      cgroup_disable=memory noautogroup";

/// `rep movsb` is slow in QEMU's emulator; without these two features Linux chooses better.
const CPU: &str = "max,-erms,-fsrm";

/// Memory of a guest in MiB: buffers of TCP are sized after it.
const MEMORY_MIB: u32 = 256;

/// What the two guests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers; the first node of its plan.
    Serving,
    /// Calls and measures; the second.
    Calling,
}

/// What Linux guests are started with.
#[derive(Clone, Debug)]
pub struct Kit {
    kernel: Kernel,
    program: PathBuf,
    daemon: PathBuf,
    /// Ticks of the time-stamp counter in a second, in thousands.
    counter_khz: u64,
}

impl Kit {
    /// Fetches the kernel and builds the program, where that was not done yet.
    ///
    /// # Errors
    /// The kernel's package or the compiler's target is missing; the error names the command.
    pub fn prepare(context: &Context) -> Result<Self> {
        setup::ensure_static_target(context)?;
        let kernel = Kernel::fetch(context)?;
        let program = build_static(context, "norma-peer")?;
        let daemon = build_static(context, daemon::PACKAGE)?;
        Ok(Self {
            kernel,
            program,
            daemon,
            counter_khz: norma_peer::clock::frequency_khz(),
        })
    }

    /// Where everything will be when it is there: for dry runs.
    #[must_use]
    pub fn expected(context: &Context) -> Self {
        Self {
            kernel: Kernel::expected(context),
            program: program_path(context, "norma-peer"),
            daemon: program_path(context, daemon::PACKAGE),
            counter_khz: norma_peer::clock::frequency_khz(),
        }
    }

    /// The package and version of the kernel.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Of the time-stamp counter.
    #[must_use]
    pub fn nanoseconds_per_tick(&self) -> f64 {
        1e6 / self.counter_khz as f64
    }

    /// The memory file system: the program as `/init`, the drivers in their order, the plan.
    ///
    /// # Errors
    /// A file cannot be read, or the kernel lacks a driver.
    pub fn archive(&self, machine: Machine, plan: &Plan) -> Result<Archive> {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.console("dev/console");
        archive.folder("modules");
        for (place, module) in self.kernel.modules(machine)?.iter().enumerate() {
            let name = format!("modules/{place:02}-{}.ko", module.name);
            archive.file(&name, 0o644, &module.bytes);
        }
        let mut program = |path: &str, from: &Path| -> Result<()> {
            let bytes = std::fs::read(from);
            let bytes = bytes.with_context(|| format!("cannot read {}", from.display()))?;
            archive.file(path.trim_start_matches('/'), 0o755, &bytes);
            Ok(())
        };
        program("/init", &self.program)?;
        if plan
            .items
            .iter()
            .any(|item| item.carrier == plan::Carrier::Relay)
        {
            program(plan::DAEMON, &self.daemon)?;
        }
        let text = plan.to_string();
        let path = plan::FILE.trim_start_matches('/');
        archive.file(path, 0o644, text.as_bytes());
        Ok(archive)
    }

    /// A guest of a pair, the serving one first. `archive` is the memory file system's file.
    #[must_use]
    pub fn node(&self, name: &str, role: Role, machine: Machine, archive: &Path) -> NodePlan {
        let (word, peer) = match role {
            Role::Serving => ("serving", 1),
            Role::Calling => ("calling", 0),
        };
        // No clock of this machine tells the kernel how fast the counter runs, under emulation.
        let append = format!(
            "console=ttyS0 quiet panic=-1 {TUNING} tsc_early_khz={} -- {word} {}",
            self.counter_khz,
            mac_text(mac(0, peer)),
        );
        NodePlan::linux(name, &self.kernel.file(), archive, &append)
            .machine(machine)
            .cpu(CPU)
            .memory(MEMORY_MIB)
    }
}

/// Where programs for Linux guests are built: their flags differ from those of others.
fn target_folder(context: &Context) -> PathBuf {
    context.workspace.target.join("linux").join("build")
}

/// Where a program of the workspace lies when it was built statically.
#[must_use]
pub fn program_path(context: &Context, name: &str) -> PathBuf {
    let folder = target_folder(context).join(TARGET).join("release");
    folder.join(name)
}

/// Builds a program of the workspace statically and tells where it lies.
///
/// # Errors
/// It does not compile, or cargo is not there.
pub fn build_static(context: &Context, package: &str) -> Result<PathBuf> {
    let mut cargo = context.cargo();
    cargo.args(["build", "--quiet", "--release", "--package", package]);
    cargo
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_folder(context));
    // The environment variable wins over every other source of flags; symbols would only make
    // the memory file system larger.
    cargo
        .env("RUSTFLAGS", "-Cstrip=symbols")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "{package} does not compile; cargo's messages are above"
    );
    Ok(program_path(context, package))
}
