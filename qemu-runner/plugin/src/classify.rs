//! Tells from its bytes what an x86-64 instruction is, as far as it is counted apart.
//!
//! Owns: prefixes, opcodes of the few instructions of interest, the marker's encoding.
//! Leaves to others: where the bytes come from and what is counted.
//! Why this way: QEMU hands over each instruction whole, so a look at prefixes and opcode is
//! enough; a disassembler would be a large dependency, and its text slow to compare.
//! Source: Intel SDM volume 2, chapter 2 (prefixes) and appendix A (opcode maps).

/// What an instruction is to the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Waits for an interrupt.
    Halt,
    /// Enters the kernel from ring 3 (`syscall`).
    SystemCall,
    /// Loads CR3: a change of address space.
    LoadCr3,
    /// Reads or writes an I/O port; each turn of a repeated one counts.
    PortAccess,
    /// Writes a model-specific register.
    WriteMsr,
    /// The marker with this identity: prints a line and is not counted itself.
    Marker(u8),
    /// Anything else.
    Other,
}

/// The marker `nopl 0x7eac00ID(%rax)` without its identity, which stands at index 3.
const MARKER: [u8; 7] = [0x0f, 0x1f, 0x80, 0x00, 0x00, 0xac, 0x7e];
const MARKER_ID_AT: usize = 3;

/// Tells what the instruction in `bytes` is. Bytes that form no instruction are `Other`.
pub fn classify(bytes: &[u8]) -> Kind {
    if let Some(id) = marker_id(bytes) {
        return Kind::Marker(id);
    }
    match after_prefixes(bytes) {
        [0xf4, ..] => Kind::Halt,
        [0xe4..=0xe7 | 0xec..=0xef | 0x6c..=0x6f, ..] => Kind::PortAccess,
        [0x0f, 0x05, ..] => Kind::SystemCall,
        [0x0f, 0x30, ..] => Kind::WriteMsr,
        [0x0f, 0x22, register, ..] if loads_cr3(*register, bytes) => Kind::LoadCr3,
        _ => Kind::Other,
    }
}

fn marker_id(bytes: &[u8]) -> Option<u8> {
    let bytes: &[u8; 7] = bytes.try_into().ok()?;
    let same = (0..MARKER.len()).all(|i| i == MARKER_ID_AT || bytes[i] == MARKER[i]);
    same.then_some(bytes[MARKER_ID_AT])
}

/// Skips legacy prefixes in any order and number, then one REX prefix.
///
/// In 16- and 32-bit code the REX values are one-byte instructions (`inc`, `dec`): what is
/// left is then empty and classified as `Other`, which is right.
fn after_prefixes(bytes: &[u8]) -> &[u8] {
    let rest = skip_legacy(bytes);
    match rest {
        [0x40..=0x4f, opcode @ ..] => opcode,
        _ => rest,
    }
}

fn skip_legacy(bytes: &[u8]) -> &[u8] {
    let is_prefix = |b: &u8| {
        matches!(
            b,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
        )
    };
    let length = bytes.iter().take_while(|b| is_prefix(b)).count();
    &bytes[length..]
}

/// Is the register field 3, without REX.R (which would make it CR11)?
fn loads_cr3(register: u8, bytes: &[u8]) -> bool {
    let rex_r = matches!(skip_legacy(bytes), [rex @ 0x40..=0x4f, ..] if rex & 0x4 != 0);
    (register >> 3) & 7 == 3 && !rex_r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_forms() {
        assert_eq!(classify(&[0xf4]), Kind::Halt);
        assert_eq!(classify(&[0x0f, 0x05]), Kind::SystemCall);
        assert_eq!(classify(&[0x0f, 0x30]), Kind::WriteMsr);
        for port in [
            &[0xe4, 0x60][..],
            &[0xe5, 0x60],
            &[0xe6, 0xf4],
            &[0xe7, 0xf4],
            &[0xec],
            &[0xed],
            &[0xee],
            &[0xef],
            &[0x6c],
            &[0x6f],
        ] {
            assert_eq!(classify(port), Kind::PortAccess, "{port:02x?}");
        }
    }

    #[test]
    fn prefixes_are_skipped() {
        assert_eq!(classify(&[0x66, 0xef]), Kind::PortAccess); // out %ax,(%dx)
        assert_eq!(classify(&[0xf3, 0x6e]), Kind::PortAccess); // rep outsb
        assert_eq!(classify(&[0xf3, 0x48, 0x6d]), Kind::PortAccess); // rep rex.w insl
        assert_eq!(classify(&[0x48, 0x0f, 0x05]), Kind::SystemCall);
        assert_eq!(classify(&[0x2e, 0x66, 0xf4]), Kind::Halt);
    }

    #[test]
    fn control_registers() {
        assert_eq!(classify(&[0x0f, 0x22, 0xd8]), Kind::LoadCr3); // mov %rax,%cr3
        assert_eq!(classify(&[0x0f, 0x22, 0xdf]), Kind::LoadCr3); // mov %rdi,%cr3
        assert_eq!(classify(&[0x41, 0x0f, 0x22, 0xd8]), Kind::LoadCr3); // mov %r8,%cr3
        assert_eq!(classify(&[0x0f, 0x22, 0xc0]), Kind::Other); // mov %rax,%cr0
        assert_eq!(classify(&[0x0f, 0x22, 0xe0]), Kind::Other); // mov %rax,%cr4
        assert_eq!(classify(&[0x44, 0x0f, 0x22, 0xd8]), Kind::Other); // cr11 does not exist
        assert_eq!(classify(&[0x0f, 0x20, 0xd8]), Kind::Other); // mov %cr3,%rax
    }

    #[test]
    fn markers() {
        for id in [0x01, 0x02, 0x11, 0x12, 0xff] {
            let bytes = [0x0f, 0x1f, 0x80, id, 0x00, 0xac, 0x7e];
            assert_eq!(classify(&bytes), Kind::Marker(id));
        }
        assert_eq!(classify(&[0x0f, 0x1f, 0x80, 0, 0, 0, 0]), Kind::Other); // ordinary nopl
        assert_eq!(classify(&[0x0f, 0x1f, 0x81, 1, 0, 0xac, 0x7e]), Kind::Other);
        assert_eq!(classify(&[0x0f, 0x1f, 0x80, 1, 0, 0xac]), Kind::Other);
    }

    #[test]
    fn look_alikes_are_other() {
        assert_eq!(classify(&[]), Kind::Other);
        assert_eq!(classify(&[0x66]), Kind::Other);
        assert_eq!(classify(&[0x48]), Kind::Other);
        assert_eq!(classify(&[0x40]), Kind::Other); // inc %eax in 32-bit code
        assert_eq!(classify(&[0x0f]), Kind::Other);
        assert_eq!(classify(&[0x0f, 0x22]), Kind::Other);
        assert_eq!(classify(&[0x0f, 0x32]), Kind::Other); // rdmsr
        assert_eq!(classify(&[0xb0, 0xf4]), Kind::Other); // mov $0xf4,%al
        assert_eq!(classify(&[0x0f, 0xef, 0xc0]), Kind::Other); // pxor
        assert_eq!(classify(&[0xc5, 0xf9, 0xef, 0xc0]), Kind::Other); // vpxor
    }

    #[test]
    fn every_short_sequence_is_classified_without_panic() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                let _ = classify(&[a, b]);
                let _ = classify(&[0x48, a, b]);
            }
        }
    }
}
