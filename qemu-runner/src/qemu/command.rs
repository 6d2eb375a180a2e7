//! QEMU's command line.
//!
//! Owns every option that a norma image or a Linux guest is started with, and why. The same ELF
//! starts on both machines through its PVH note.
//!
//! - `-nodefaults -no-user-config`: what the host's owner configured must not change a result.
//! - `-no-reboot`: a triple fault ends QEMU (status 0, a failure) where it would loop.
//! - microvm without option ROMs, PIT and PIC, and for norma without ACPI and RTC: nothing of it
//!   is used, and firmware that probes it costs start-up time.
//! - `virtio-mmio.force-legacy=off`: QEMU presents those devices as legacy ones otherwise.
//! - `mrg_rxbuf=off`: norma's driver splits a frame over its own chain of a head and pages.

use super::{Accelerator, PROGRAM};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The machine that QEMU emulates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// A minimal machine with virtio over MMIO.
    #[default]
    Microvm,
    /// A PC with PCI Express.
    Q35,
}

impl Machine {
    /// The word that users write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Microvm => "microvm",
            Self::Q35 => "q35",
        }
    }
}

/// What the guest is, as far as QEMU's options follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Guest {
    /// An image of norma.
    #[default]
    Norma,
    /// A Linux kernel, which finds a microvm's devices by ACPI, and whose network driver is given
    /// all that the device offers.
    Linux,
}

/// What a network device is joined to: a socket that QEMU inherits under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netdev {
    /// A unix datagram socket, a frame in each datagram.
    Dgram(i32),
    /// A unix stream socket, a 32-bit big-endian length before each frame.
    Stream(i32),
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// The MTU that the device offers.
    pub mtu: u16,
    /// The link's end.
    pub netdev: Netdev,
}

/// A hardware address in the usual writing.
#[must_use]
pub fn mac_text(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// All that makes up a command line.
#[derive(Clone, Debug)]
pub struct QemuCommand {
    /// What is started.
    pub guest: Guest,
    /// The machine.
    pub machine: Machine,
    /// The accelerator.
    pub accelerator: Accelerator,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The image.
    pub kernel: PathBuf,
    /// A file that the image finds as its first module.
    pub module: Option<PathBuf>,
    /// The image's command line.
    pub append: String,
    /// Network devices.
    pub nics: Vec<Nic>,
    /// Whether virtio devices are of the old kind, which norma's drivers refuse: for tests.
    pub legacy_devices: bool,
    /// The descriptor of a file that is the guest's memory, where it has to be read from outside.
    pub memory_file: Option<i32>,
    /// Further arguments, verbatim.
    pub extra: Vec<OsString>,
}

impl QemuCommand {
    /// The arguments, without the program.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        self.add_machine(&mut arguments);
        arguments.add(["-accel", self.accelerator.word(), "-cpu", &self.cpu]);
        arguments.add(["-m", &self.memory_mib.to_string()]);
        if let Some(fd) = self.memory_file {
            let (size, file) = (self.memory_mib, format!("/proc/self/fd/{fd}"));
            let object =
                format!("memory-backend-file,id=ram,size={size}M,mem-path={file},share=on");
            arguments.add(["-object", &object, "-machine", "memory-backend=ram"]);
        }
        arguments.add([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ]);
        arguments.add([
            "-serial",
            "stdio",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=0x4",
        ]);
        arguments.add([OsStr::new("-kernel"), self.kernel.as_os_str()]);
        if let Some(module) = &self.module {
            arguments.add([OsStr::new("-initrd"), module.as_os_str()]);
        }
        arguments.add(["-append", &self.append]);
        for (i, nic) in self.nics.iter().enumerate() {
            self.add_nic(&mut arguments, i, nic);
        }
        arguments.0.extend(self.extra.iter().cloned());
        arguments.0
    }

    fn add_machine(&self, arguments: &mut Arguments) {
        match self.machine {
            Machine::Microvm => {
                // Who reads ACPI's tables need not be told of devices on the command line; and
                // Linux waits a second for a clock that is not there.
                let found = match self.guest {
                    Guest::Norma => "acpi=off,rtc=off,auto-kernel-cmdline=on",
                    Guest::Linux => "acpi=on,rtc=on,auto-kernel-cmdline=off",
                };
                let options = format!("x-option-roms=off,pit=off,pic=off,{found}");
                let legacy = if self.legacy_devices { "on" } else { "off" };
                arguments.add(["-M", &format!("microvm,{options}")]);
                arguments.add(["-global", &format!("virtio-mmio.force-legacy={legacy}")]);
            }
            Machine::Q35 => arguments.add(["-M", "q35"]),
        }
    }

    fn add_nic(&self, arguments: &mut Arguments, i: usize, nic: &Nic) {
        let netdev = match nic.netdev {
            Netdev::Dgram(fd) => format!("dgram,id=n{i},local.type=fd,local.str={fd}"),
            Netdev::Stream(fd) => format!("stream,id=n{i},server=off,addr.type=fd,addr.str={fd}"),
        };
        let device = match (self.machine, self.legacy_devices) {
            (Machine::Microvm, _) => "virtio-net-device",
            (Machine::Q35, false) => "virtio-net-pci,disable-legacy=on",
            (Machine::Q35, true) => "virtio-net-pci,disable-modern=on,disable-legacy=off",
        };
        let mac = mac_text(nic.mac);
        let buffers = match self.guest {
            Guest::Norma => ",mrg_rxbuf=off",
            Guest::Linux => "",
        };
        let device = format!(
            "{device},netdev=n{i},mac={mac},host_mtu={}{buffers}",
            nic.mtu
        );
        arguments.add(["-netdev", &netdev, "-device", &device]);
    }

    /// Has QEMU offer what `option` is for on a unix socket, which it makes.
    pub fn listen(&mut self, option: &str, socket: &Path) {
        // QEMU takes a comma for the end of the path, and two for one.
        let path = socket.to_string_lossy().replace(',', ",,");
        self.extra.push(option.into());
        self.extra
            .push(format!("unix:{path},server=on,wait=off").into());
    }

    /// The whole command as one line that a shell understands.
    #[must_use]
    pub fn to_shell(&self) -> String {
        let words = std::iter::once(OsString::from(PROGRAM)).chain(self.arguments());
        let quote = |word: OsString| {
            let word = word.to_string_lossy().into_owned();
            // Quoting fails only on a NUL byte, which no argument can hold anyway.
            shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned())
        };
        words.map(quote).collect::<Vec<_>>().join(" ")
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize, S: AsRef<OsStr>>(&mut self, words: [S; N]) {
        self.0
            .extend(words.iter().map(|word| word.as_ref().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> QemuCommand {
        QemuCommand {
            guest: Guest::Norma,
            machine: Machine::Microvm,
            accelerator: Accelerator::Tcg,
            cpu: "max".into(),
            memory_mib: 64,
            kernel: "/images/demo".into(),
            module: Some("/a file".into()),
            append: "node=a cluster=demo".into(),
            nics: vec![Nic {
                mac: [0x52, 0x54, 0, 0, 0, 1],
                mtu: 65535,
                netdev: Netdev::Dgram(3),
            }],
            legacy_devices: false,
            memory_file: None,
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_shell_reads_back_the_same_arguments() {
        let command = command();
        let words = shlex::split(&command.to_shell()).unwrap();
        let arguments: Vec<_> = command
            .arguments()
            .into_iter()
            .map(|a| a.into_string().unwrap())
            .collect();
        assert_eq!(words[0], PROGRAM);
        assert_eq!(words[1..], arguments);
    }

    #[test]
    fn both_machines_have_their_device() {
        let line = command().to_shell();
        assert!(line.contains("virtio-mmio.force-legacy=off"), "{line}");
        assert!(line.contains(
            "virtio-net-device,netdev=n0,mac=52:54:00:00:00:01,host_mtu=65535,mrg_rxbuf=off"
        ));
        assert!(line.contains("dgram,id=n0,local.type=fd,local.str=3"));
        let line = QemuCommand {
            machine: Machine::Q35,
            ..command()
        }
        .to_shell();
        assert!(
            line.contains("-M q35") && line.contains("virtio-net-pci,disable-legacy=on"),
            "{line}"
        );
    }
}
