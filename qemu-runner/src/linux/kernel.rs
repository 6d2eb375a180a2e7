//! Debian's kernel for virtual machines in a cloud.
//!
//! Owns: finding its newest package, downloading it by Debian's own tools (which check its
//! signature), taking out of it the kernel and the drivers of virtio-net, and keeping these.
//! Leaves to others: asking before package lists are refreshed (`setup`), the order of drivers
//! (`modules`).
//! Why this way: nothing is installed on the host, and root is not needed: a package is an
//! archive that `dpkg-deb -x` unpacks anywhere.

use super::modules::{self, Module};
use crate::context::Context;
use crate::qemu::Machine;
use crate::setup;
use crate::status::{Ended, Status};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The package that always depends on the newest kernel.
pub const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// How long it is not asked whether there is a newer one: to ask takes a second or two.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// In the kept folder: the kernel, the package's file name, what is built in, the drivers.
const KERNEL: &str = "vmlinuz";
const PACKAGE: &str = "package";
const BUILT_IN: &str = "modules.builtin";
const MODULES: &str = "modules";

/// A kernel that was fetched.
#[derive(Clone, Debug)]
pub struct Kernel {
    folder: PathBuf,
}

/// The drivers that a guest needs on a machine.
fn drivers(machine: Machine) -> [&'static str; 2] {
    match machine {
        Machine::Microvm => ["virtio_mmio", "virtio_net"],
        Machine::Q35 => ["virtio_pci", "virtio_net"],
    }
}

impl Kernel {
    /// Where it will be.
    pub(super) fn expected(context: &Context) -> Self {
        Self {
            folder: context.workspace.target.join("linux").join("kernel"),
        }
    }

    /// The newest one that the host's package lists know; downloads it where it is not kept yet.
    ///
    /// # Errors
    /// The host has no Debian tools, no such package or no archive; the error names the command.
    pub fn fetch(context: &Context) -> Result<Self> {
        let this = Self::expected(context);
        let path = std::env::var_os("PATH").unwrap_or_default();
        this.bring(
            &path,
            |text| context.ui.progress(text),
            |found| setup::refresh_packages(context, found),
        )?;
        Ok(this)
    }

    /// As [`Kernel::fetch`], with the tools of that `PATH`.
    fn bring(
        &self,
        path: &OsStr,
        progress: impl Fn(&str),
        refresh: impl FnOnce(&str) -> Result<()>,
    ) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        let Some(tools) = Tools::find(path) else {
            // One that was fetched elsewhere will do.
            if self.package().is_ok() {
                return Ok(());
            }
            let folder = self.folder.parent().unwrap_or(&self.folder).display();
            let text = format!(
                "a Linux guest needs Debian's kernel, the package {META_PACKAGE}; this host has no \
                 `apt-get`, `apt-cache` and `dpkg-deb` to fetch it with. One that was fetched on a \
                 Debian host (`cargo norma bench compare --quick --only linux-raw` does) will do: \
                 `mkdir -p {folder} && scp -r HOST:norma/target/linux/kernel {folder}`"
            );
            return Err(Ended::new(Status::Failed, text).into());
        };
        let name = tools.newest(refresh)?;
        let file = tools.file_name(&name)?;
        if self.package().is_ok_and(|kept| kept == file) {
            return self.note(&file);
        }
        progress(&format!(
            "fetching Debian's kernel: apt-get download {name}"
        ));
        let parent = self
            .folder
            .parent()
            .context("the target folder has no parent")?;
        std::fs::create_dir_all(parent)?;
        // Beside its place, so that it can be moved there whole.
        let work = tempfile::tempdir_in(parent).context("cannot make a folder for the kernel")?;
        let package = tools.download(&name, work.path())?;
        let unpacked = work.path().join("unpacked");
        run(Command::new(&tools.dpkg_deb)
            .arg("-x")
            .args([&package, &unpacked]))?;
        let kept = work.path().join("kept");
        keep(&unpacked, &kept).with_context(|| format!("the package {file}"))?;
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        std::fs::rename(&kept, &self.folder).context("cannot keep the kernel")?;
        self.note(&file)
    }

    /// Notes that this package is the newest now. Written last: what lies here is whole.
    fn note(&self, package: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(PACKAGE), package)?)
    }

    /// Whether it was the newest within the last day.
    fn is_fresh(&self) -> bool {
        let noted = std::fs::metadata(self.folder.join(PACKAGE)).and_then(|file| file.modified());
        noted.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < FRESH))
    }

    /// The file name of its package, which has the version in it.
    ///
    /// # Errors
    /// Nothing was fetched.
    pub fn package(&self) -> Result<String> {
        let file = self.folder.join(PACKAGE);
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// The kernel itself.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// The drivers of a machine, in the order of loading.
    pub(super) fn modules(&self, machine: Machine) -> Result<Vec<Module>> {
        let built_in = std::fs::read_to_string(self.folder.join(BUILT_IN))?;
        let built_in: BTreeSet<_> = built_in.lines().filter_map(modules::name_of).collect();
        modules::in_order(&drivers(machine), |name| {
            if built_in.contains(name) {
                return Ok(None);
            }
            let file = self.folder.join(MODULES).join(format!("{name}.ko"));
            Ok(Some(std::fs::read(file)?))
        })
    }
}

/// Debian's tools.
struct Tools {
    apt_cache: PathBuf,
    apt_get: PathBuf,
    dpkg_deb: PathBuf,
}

impl Tools {
    fn find(path: &OsStr) -> Option<Self> {
        Some(Self {
            apt_cache: setup::which_in(path, "apt-cache")?,
            apt_get: setup::which_in(path, "apt-get")?,
            dpkg_deb: setup::which_in(path, "dpkg-deb")?,
        })
    }

    /// The package that the meta package depends on.
    fn newest(&self, refresh: impl FnOnce(&str) -> Result<()>) -> Result<String> {
        if let Some(name) = self.dependency()? {
            return Ok(name);
        }
        refresh(&format!(
            "the package lists of this host do not know {META_PACKAGE}"
        ))?;
        match self.dependency()? {
            Some(name) => Ok(name),
            None => bail!(
                "there is no package {META_PACKAGE} in this host's archives, also after `apt-get \
                 update`: they have to be Debian's, for amd64"
            ),
        }
    }

    fn dependency(&self) -> Result<Option<String>> {
        let output = said(Command::new(&self.apt_cache).args(["depends", META_PACKAGE]))?;
        Ok(read_dependency(&output))
    }

    /// What the package's file will be called, without downloading it.
    fn file_name(&self, package: &str) -> Result<String> {
        let mut command = Command::new(&self.apt_get);
        let text = said(command.args(["download", "--print-uris", package]))?;
        let name = text.split_whitespace().find(|word| word.ends_with(".deb"));
        let name = name.with_context(|| {
            format!(
                "`apt-get download {package}` finds no archive that has it; try `apt-get update`"
            )
        })?;
        Ok(name.to_owned())
    }

    fn download(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        let mut command = Command::new(&self.apt_get);
        command
            .current_dir(folder)
            .args(["download", "--quiet", package]);
        run(&mut command)
            .context("try `apt-get update`: the package lists may be older than the archive")?;
        entry(folder, |name| name.ends_with(".deb"))
            .context("`apt-get download` has left no package")
    }
}

/// What a tool prints, whether or not it succeeds.
fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run `{name}`"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read_dependency(text: &str) -> Option<String> {
    let depends = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut images = depends.filter(|name| name.starts_with("linux-image-"));
    images.next().map(str::to_owned)
}

/// Takes what guests need out of an unpacked package.
fn keep(unpacked: &Path, kept: &Path) -> Result<()> {
    std::fs::create_dir_all(kept.join(MODULES))?;
    let boot = entry(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    std::fs::copy(boot, kept.join(KERNEL))?;
    let tree = entry(&unpacked.join("lib/modules"), |_| true)?;
    std::fs::copy(tree.join(BUILT_IN), kept.join(BUILT_IN)).context(BUILT_IN)?;
    let mut files = Vec::new();
    list(&tree.join("kernel"), &mut files)?;
    let built_in = std::fs::read_to_string(kept.join(BUILT_IN))?;
    let built_in: BTreeSet<_> = built_in.lines().filter_map(modules::name_of).collect();
    for machine in [Machine::Microvm, Machine::Q35] {
        let found = modules::in_order(&drivers(machine), |name| {
            if built_in.contains(name) {
                return Ok(None);
            }
            let named = |path: &&PathBuf| {
                modules::name_of(&path.to_string_lossy()).as_deref() == Some(name)
            };
            let path = files.iter().find(named).context("the package has none")?;
            Ok(Some(std::fs::read(path)?))
        })?;
        for module in found {
            let file = kept.join(MODULES).join(format!("{}.ko", module.name));
            std::fs::write(file, module.bytes)?;
        }
    }
    Ok(())
}

/// The only entry of a folder that is wanted.
fn entry(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("there is no {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            return Ok(entry.path());
        }
    }
    bail!("there is nothing of use in {}", folder.display())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Runs a tool; what it says is shown if it fails.
fn run(command: &mut Command) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run `{line}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{line}` failed: {}\n{}",
        output.status,
        said.trim_end()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host whose tools are these scripts.
    struct Host(tempfile::TempDir);

    /// A package's content: a kernel, and modules that need nothing but one.
    const CONTENT: &str = r#"
        tree="$3/lib/modules/1"; mkdir -p "$3/boot" "$tree/kernel/net"
        echo kernel > "$3/boot/vmlinuz-1"; echo kernel/virtio.ko > "$tree/modules.builtin"
        printf 'x\0depends=virtio,net_failover\0' > "$tree/kernel/net/virtio_net.ko"
        printf 'x\0depends=\0' > "$tree/kernel/net/net_failover.ko"
        printf 'x\0depends=virtio\0' > "$tree/kernel/virtio_mmio.ko"
        printf 'x\0depends=virtio\0' > "$tree/kernel/virtio_pci.ko""#;

    const KNOWN: &str = "echo '  Depends: linux-image-9-cloud-amd64'";
    const DOWNLOAD: &str = "case $2 in --print-uris) echo \"'http://x/y' k_9.deb 1 SHA256:0\";; \
                            *) echo package > k_9.deb;; esac";

    impl Host {
        fn new(apt_cache: &str, apt_get: &str, dpkg_deb: &str) -> Self {
            use std::os::unix::fs::PermissionsExt;
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in [
                ("apt-cache", apt_cache),
                ("apt-get", apt_get),
                ("dpkg-deb", dpkg_deb),
            ] {
                let file = folder.path().join(name);
                std::fs::write(&file, format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(file, mode).unwrap();
            }
            Self(folder)
        }

        fn fetch(&self) -> Result<Kernel> {
            let kernel = Kernel {
                folder: self.folder(),
            };
            kernel.bring(self.0.path().as_os_str(), |_| {}, |_| Ok(()))?;
            Ok(kernel)
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("target/linux/kernel")
        }

        fn error(&self) -> String {
            format!("{:#}", self.fetch().unwrap_err())
        }
    }

    #[test]
    fn a_kernel_and_its_drivers_are_taken_out_of_the_package() {
        let host = Host::new(KNOWN, DOWNLOAD, CONTENT);
        let kernel = host.fetch().unwrap();
        assert_eq!(kernel.package().unwrap(), "k_9.deb");
        assert_eq!(std::fs::read(kernel.file()).unwrap(), b"kernel\n");
        let names = |machine| {
            let modules = kernel.modules(machine).unwrap();
            modules
                .into_iter()
                .map(|module| module.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(Machine::Microvm),
            ["virtio_mmio", "net_failover", "virtio_net"]
        );
        assert_eq!(
            names(Machine::Q35),
            ["virtio_pci", "net_failover", "virtio_net"]
        );
        // What is kept will do, whatever becomes of the tools.
        std::fs::remove_file(host.0.path().join("apt-get")).unwrap();
        assert!(host.fetch().is_ok());
    }

    #[test]
    fn what_is_missing_is_named_with_what_mends_it() {
        let nothing = Host(tempfile::tempdir().unwrap());
        assert!(
            nothing.error().contains("linux-image-cloud-amd64"),
            "{}",
            nothing.error()
        );
        assert!(nothing.error().contains("apt-get"));
        let folder = nothing.0.path().join("target/linux");
        let command = format!(
            "scp -r HOST:norma/target/linux/kernel {}`",
            folder.display()
        );
        assert!(nothing.error().contains(&command), "{}", nothing.error());
        let unknown = Host::new("exit 100", DOWNLOAD, CONTENT).error();
        assert!(
            unknown.contains("no package linux-image-cloud-amd64"),
            "{unknown}"
        );
        assert!(unknown.contains("apt-get update"), "{unknown}");
        let gone = Host::new(KNOWN, "exit 100", CONTENT).error();
        assert!(gone.contains("try `apt-get update`"), "{gone}");
        let download =
            "case $2 in --print-uris) echo k_9.deb;; *) echo no space >&2; exit 7;; esac";
        let failed = Host::new(KNOWN, download, CONTENT).error();
        assert!(
            failed.contains("no space") && failed.contains("apt-get download"),
            "{failed}"
        );
        let other = CONTENT.replace("virtio_net.ko", "other.ko");
        let other = Host::new(KNOWN, DOWNLOAD, &other).error();
        assert!(
            other.contains("k_9.deb") && other.contains("virtio_net"),
            "{other}"
        );
    }

    #[test]
    fn the_newest_kernel_is_what_the_meta_package_depends_on() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(
            read_dependency(text).as_deref(),
            Some("linux-image-6.1.0-56-cloud-amd64")
        );
        assert_eq!(
            read_dependency("linux-image-cloud-amd64\n  Depends: x\n"),
            None
        );
        assert_eq!(read_dependency(""), None);
    }
}
