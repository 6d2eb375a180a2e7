//! What the machine says about itself at the start.
//!
//! Owns: reading the PVH start information, and [`BootInfo`], in which it reaches `main`.
//! Source: Xen, x86/HVM direct boot ABI (`hvm_start_info`), by the `pvh` crate.

use crate::command_line::CommandLine;
use crate::devices;
use heapless::Vec;
use norma_drivers::virtio::MmioCandidate;
use norma_kernel::arch::layout::direct;
use norma_kernel::limits::{MEMORY_REGIONS, PHYSICAL_LIMIT};
use norma_kernel::memory::{Region, carve::Regions};
use pvh::start_info::{MemmapTableEntry, MemmapType, ModlistEntry, StartInfo};

/// Modules that are kept: one input file is what the runner gives, the rest is room.
pub const MODULES: usize = 4;

/// Longest command line: that of Linux on x86.
const COMMAND_LINE: usize = 2048;

/// What an image is given.
pub struct BootInfo {
    pub(crate) command_line: CommandLine<'static>,
    pub(crate) modules: Vec<&'static [u8], MODULES>,
    pub(crate) seed: [u8; 32],
}

impl BootInfo {
    /// The command line.
    pub fn command_line(&self) -> CommandLine<'static> {
        self.command_line
    }

    /// The node's name: `node=` on the command line.
    pub fn node(&self) -> &'static str {
        self.command_line.get("node").unwrap_or("node")
    }

    /// The name of the cluster that the node belongs to: `cluster=` on the command line.
    pub fn cluster(&self) -> &'static str {
        self.command_line.get("cluster").unwrap_or("default")
    }

    /// The first file that was given with `-initrd`.
    pub fn module(&self) -> Option<&'static [u8]> {
        self.modules.first().copied()
    }

    /// All files that were given.
    pub fn modules(&self) -> &[&'static [u8]] {
        &self.modules
    }

    /// The memory-mapped virtio devices that the command line lists, as QEMU's microvm does.
    pub fn mmio_devices(&self) -> Vec<MmioCandidate, { devices::LIMIT }> {
        devices::listed(&self.command_line)
    }

    /// 32 random bytes, new at each start.
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }
}

/// The start information as the loader left it, in low memory.
pub struct Start {
    raw: &'static StartInfo,
}

impl Start {
    /// The start information at `physical`; `None` if there is none.
    ///
    /// # Safety
    /// The first GiB of memory must be mapped, and whatever the start information refers to
    /// must not be written to while it is in use.
    pub unsafe fn read(physical: u64) -> Option<Self> {
        // SAFETY: low memory is mapped; the magic number is checked before the rest is believed.
        let raw = unsafe { StartInfo::from_ptr(direct(physical).cast()) }?;
        Some(Self { raw })
    }

    /// All RAM that can be used at all.
    pub fn ram(&self) -> Regions {
        if self.raw.version < 1 {
            return Regions::new();
        }
        let table = direct(self.raw.memmap_paddr).cast::<MemmapTableEntry>();
        let count = (self.raw.memmap_entries as usize).min(4 * MEMORY_REGIONS);
        // SAFETY: the loader put a table of this length into low memory; any bits are valid.
        let table = unsafe { core::slice::from_raw_parts(table, count) };
        table
            .iter()
            .filter(|entry| entry.ty() == MemmapType::Ram)
            .map(|entry| Region::new(entry.addr, entry.size))
            .map(|region| Region {
                end: region.end.min(PHYSICAL_LIMIT),
                ..region
            })
            .filter(|region| !region.is_empty())
            .take(MEMORY_REGIONS)
            .collect()
    }

    /// Where the modules lie; two more regions have room in the list.
    pub fn modules(&self) -> Vec<Region, { MODULES + 2 }> {
        let table = direct(self.raw.modlist_paddr).cast::<ModlistEntry>();
        let count = (self.raw.nr_modules as usize).min(MODULES);
        // SAFETY: as in `ram`.
        let table = unsafe { core::slice::from_raw_parts(table, count) };
        table
            .iter()
            .map(|entry| Region::new(entry.paddr, entry.size))
            .filter(|module| module.end <= PHYSICAL_LIMIT && !module.is_empty())
            .collect()
    }

    /// The command line, which stays in low memory, where nobody writes.
    pub fn command_line(&self) -> CommandLine<'static> {
        if self.raw.cmdline_paddr == 0 {
            return CommandLine::default();
        }
        let bytes = direct(self.raw.cmdline_paddr).cast_const();
        // SAFETY: the loader put a string there that ends with a zero; it is not read further
        // than a command line is long.
        let bytes = unsafe { core::slice::from_raw_parts(bytes, COMMAND_LINE) };
        let end = bytes.iter().position(|&byte| byte == 0);
        CommandLine::new(&bytes[..end.unwrap_or(COMMAND_LINE)])
    }
}
