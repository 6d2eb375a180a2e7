//! The least kernel: prints one line and leaves QEMU.
//!
//! Owns: an ELF file put together byte by byte, some 200 bytes in all.
//! Leaves to others: starting it beside a real node (`startup`).
//! Why this way: what a node's start is compared with must be QEMU's own time and nothing
//! else. An image built with our own boot code would hide that code's time in the floor.
//! Source: the ELF-64 object file format; the PVH boot protocol of Xen (note type 18), which
//! enters in 32-bit protected mode.

/// The line that the least kernel prints.
pub const LINE: &str = "hello";

const LOAD_ADDRESS: u32 = 0x10_0000;
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const NOTE_AT: usize = FILE_HEADER + 2 * PROGRAM_HEADER;
const NOTE_SIZE: usize = 20;
const CODE_AT: usize = NOTE_AT + NOTE_SIZE;

const LOADED: u32 = 1;
const NOTE: u32 = 4;
const ENTRY_NOTE: u32 = 18;

/// The file.
pub fn elf() -> Vec<u8> {
    let code = code();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(2u16.to_le_bytes()); // executable
    file.extend(62u16.to_le_bytes()); // x86-64
    file.extend(1u32.to_le_bytes());
    for word in [u64::from(address(CODE_AT)), FILE_HEADER as u64, 0] {
        file.extend(word.to_le_bytes()); // entry, program headers, no sections
    }
    file.extend(0u32.to_le_bytes());
    for half in [FILE_HEADER as u16, PROGRAM_HEADER as u16, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    program_header(&mut file, LOADED, 0, CODE_AT + code.len());
    program_header(&mut file, NOTE, NOTE_AT, NOTE_SIZE);
    for word in [4, 4, ENTRY_NOTE] {
        file.extend(word.to_le_bytes()); // sizes of name and value, type
    }
    file.extend(b"Xen\0");
    file.extend(address(CODE_AT).to_le_bytes());
    file.extend(code);
    file
}

fn address(offset: usize) -> u32 {
    LOAD_ADDRESS + offset as u32
}

fn program_header(file: &mut Vec<u8>, kind: u32, offset: usize, size: usize) {
    let at = u64::from(address(offset));
    file.extend(kind.to_le_bytes());
    file.extend(7u32.to_le_bytes()); // readable, writable, executable
    for word in [offset as u64, at, at, size as u64, size as u64, 4] {
        file.extend(word.to_le_bytes());
    }
}

/// 32-bit code; the text stands behind it.
fn code() -> Vec<u8> {
    const LENGTH: usize = 30;
    let text = address(CODE_AT + LENGTH).to_le_bytes();
    let mut code = vec![0xbe]; // mov $text,%esi
    code.extend(text);
    code.extend([0xba, 0xf8, 0x03, 0, 0]); // mov $0x3f8,%edx: the console
    code.extend([0xac]); // 1: lodsb
    code.extend([0x84, 0xc0]); // test %al,%al
    code.extend([0x74, 0x03]); // jz 2f
    code.extend([0xee]); // out %al,(%dx)
    code.extend([0xeb, 0xf8]); // jmp 1b
    code.extend([0xb8, 16, 0, 0, 0]); // 2: mov $16,%eax: success
    code.extend([0x66, 0xba, 0xf4, 0]); // mov $0xf4,%dx: the exit device
    code.extend([0xef]); // out %eax,(%dx)
    code.extend([0xeb, 0xfe]); // nobody comes here
    debug_assert_eq!(code.len(), LENGTH);
    code.extend(LINE.bytes());
    code.extend(b"\n\0");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_names_the_first_instruction() {
        let file = elf();
        let entry = u64::from(LOAD_ADDRESS) + CODE_AT as u64;
        assert_eq!(file[0x18..0x20], entry.to_le_bytes());
        assert_eq!(file[CODE_AT - 4..CODE_AT], (entry as u32).to_le_bytes());
        assert_eq!(file[CODE_AT], 0xbe);
        assert!(file.ends_with(b"hello\n\0"));
        // `mov` points at the text.
        let text = file.len() - LINE.len() - 2;
        assert_eq!(file[CODE_AT + 1..CODE_AT + 5], address(text).to_le_bytes());
    }
}
