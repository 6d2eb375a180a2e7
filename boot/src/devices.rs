//! Where virtio devices may be on a machine without PCI.
//!
//! Owns: the addresses and interrupt lines. Leaves to others: whether a device is there, and
//! which (the driver looks at its registers). QEMU's microvm lists each device on the command
//! line, unless `auto-kernel-cmdline=off` says not to: then none is found.
//! Source: Linux, `Documentation/admin-guide/kernel-parameters.txt`, `virtio_mmio.device`;
//! QEMU `include/hw/i386/microvm.h`.

use crate::command_line::{CommandLine, cut};
use heapless::Vec;
use norma_drivers::virtio::MmioCandidate;

/// Devices at most: microvm has eight places, or 24 with a second I/O APIC.
pub const LIMIT: usize = 32;

/// The devices that the command line lists, as `virtio_mmio.device=512@0xfeb00000:5`. What
/// cannot be understood is passed over.
#[inline(never)]
pub fn listed(line: &CommandLine<'_>) -> Vec<MmioCandidate, LIMIT> {
    let mut devices = Vec::new();
    for (key, value) in line.words() {
        if key == "virtio_mmio.device"
            && let Some(device) = parse(value)
        {
            // What is over the limit is passed over too.
            let _ = devices.push(device);
        }
    }
    devices
}

/// The size, in front of the address, is always the same.
fn parse(value: &str) -> Option<MmioCandidate> {
    let (_, rest) = cut(value, b'@')?;
    let (address, rest) = cut(rest, b':')?;
    let (line, _) = cut(rest, b':').unwrap_or((rest, ""));
    Some(MmioCandidate {
        base: number(address)?,
        interrupt: u32::try_from(number(line)?).ok()?,
    })
}

/// A number in decimal, or in hexadecimal behind `0x`.
#[inline(never)]
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for digit in digits.chars() {
        let digit = digit.to_digit(radix)?;
        number = number
            .checked_mul(u64::from(radix))?
            .checked_add(u64::from(digit))?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_qemu_writes() {
        let line = CommandLine::new(
            b"virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device=512@0xfeb00200:6 node=a",
        );
        let device = |base, interrupt| MmioCandidate { base, interrupt };
        assert_eq!(
            listed(&line),
            [device(0xfeb0_0000, 5), device(0xfeb0_0200, 6)]
        );
    }

    #[test]
    fn passes_over_nonsense() {
        for word in [
            "",
            "512",
            "512@",
            "512@x:5",
            "512@0x1000",
            "512@4096:-1",
            "512@é:1",
        ] {
            let text = format!("virtio_mmio.device={word}");
            assert!(
                listed(&CommandLine::new(text.as_bytes())).is_empty(),
                "{word}"
            );
        }
        let other = CommandLine::new(b"virtio_mmio.device=4K@4096:7:1");
        assert_eq!(
            listed(&other),
            [MmioCandidate {
                base: 4096,
                interrupt: 7
            }]
        );
    }
}
