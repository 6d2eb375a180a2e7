//! Runs the plugin in QEMU over hand-made guests and compares counts to the instruction.
//!
//! Owns: a tiny PVH image put together byte by byte, and what it must count to.
//! Leaves to others: our own kernel, which the benchmarks run.
//! Why this way: a count that nobody can predict proves nothing; these guests run without an
//! operating system, interrupts off, so that each number is known from reading them.
//! Needs `qemu-system-x86_64`; where there is none the tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The guest is loaded here and runs in 32-bit protected mode, as PVH starts it.
const LOAD_ADDRESS: u32 = 0x10_0000;
const HEADERS: usize = 64 + 2 * 56;
const NOTE_SIZE: usize = 20;

const OPEN: [u8; 7] = [0x0f, 0x1f, 0x80, 0x01, 0x00, 0xac, 0x7e];
const CLOSE: [u8; 7] = [0x0f, 0x1f, 0x80, 0x02, 0x00, 0xac, 0x7e];
/// mov $16,%eax; mov $0xf4,%edx; out %eax,(%dx): leaves QEMU with status 33.
const EXIT: [u8; 11] = [0xb8, 16, 0, 0, 0, 0xba, 0xf4, 0, 0, 0, 0xef];

/// An ELF file with one loaded segment and the note that names the PVH entry.
fn image(code: &[u8]) -> Vec<u8> {
    let start = HEADERS + NOTE_SIZE;
    let entry = LOAD_ADDRESS + start as u32;
    let length = (start + code.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2u16, 62] {
        file.extend(half.to_le_bytes()); // executable, x86-64
    }
    file.extend(1u32.to_le_bytes());
    for word in [u64::from(entry), 64, 0] {
        file.extend(word.to_le_bytes()); // entry, program headers, no sections
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    program_header(&mut file, 1, 0, length); // PT_LOAD, the whole file
    program_header(&mut file, 4, HEADERS as u64, NOTE_SIZE as u64); // PT_NOTE
    for word in [4u32, 4, 18] {
        file.extend(word.to_le_bytes()); // sizes of name and contents, XEN_ELFNOTE_PHYS32_ENTRY
    }
    file.extend(b"Xen\0");
    file.extend(entry.to_le_bytes());
    file.extend(code);
    file
}

fn program_header(file: &mut Vec<u8>, kind: u32, offset: u64, size: u64) {
    let address = u64::from(LOAD_ADDRESS) + offset;
    file.extend(kind.to_le_bytes());
    file.extend(7u32.to_le_bytes());
    for word in [offset, address, address, size, size, 4] {
        file.extend(word.to_le_bytes());
    }
}

/// The plugin that cargo built for this test run.
fn plugin() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("a test lies in a folder");
    let name = "libnorma_insn_plugin.so";
    let found = [deps.join(name), deps.with_file_name(name)]
        .into_iter()
        .find(|p| p.exists());
    found.expect("cargo builds the library before its integration tests")
}

/// Runs `code` between boot and exit; gives the plugin's lines, or nothing without QEMU.
fn run(name: &str, code: &[u8]) -> Option<Vec<serde_json::Value>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (elf, out) = (
        folder.join(format!("{name}.elf")),
        folder.join(format!("{name}.jsonl")),
    );
    std::fs::write(&elf, image(&[code, &EXIT].concat())).expect("the folder is writable");
    let status = Command::new("qemu-system-x86_64")
        .args([
            "-M",
            "microvm,x-option-roms=off,pit=off,pic=off,acpi=off,rtc=off",
        ])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-cpu",
            "max",
        ])
        .args([
            "-accel",
            "tcg",
            "-m",
            "16",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=0x4",
        ])
        .arg("-kernel")
        .arg(&elf)
        .arg("-plugin")
        .arg(format!("file={},out={}", plugin().display(), out.display()))
        .stdin(Stdio::null())
        .status();
    let status = match status {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: no qemu-system-x86_64 on this machine");
            return None;
        }
        Err(error) => panic!("cannot start QEMU: {error}"),
    };
    assert_eq!(status.code(), Some(33), "the guest must reach its exit");
    let text = std::fs::read_to_string(&out).expect("the plugin writes its file");
    Some(
        text.lines()
            .map(|l| serde_json::from_str(l).expect("each line is JSON"))
            .collect(),
    )
}

fn difference(lines: &[serde_json::Value], key: &str) -> u64 {
    let get = |i: usize| lines[i][key].as_u64().expect("a count");
    get(1) - get(0)
}

#[test]
fn a_loop_counts_exactly() {
    // mov $1000,%ecx; 1: dec %ecx; jnz 1b
    let body = [0xb9, 0xe8, 0x03, 0, 0, 0x49, 0x75, 0xfd];
    let Some(lines) = run("loop", &[&OPEN[..], &body, &CLOSE].concat()) else {
        return;
    };
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (lines[0]["marker"].as_u64(), lines[1]["marker"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(
        difference(&lines, "user") + difference(&lines, "kernel"),
        1 + 2 * 1000
    );
    assert_eq!(difference(&lines, "device") + difference(&lines, "port"), 0);
}

#[test]
fn adjacent_markers_count_nothing() {
    let Some(lines) = run("empty", &[OPEN, CLOSE].concat()) else {
        return;
    };
    for key in [
        "kernel", "user", "hlt", "syscall", "cr3", "port", "wrmsr", "device",
    ] {
        assert_eq!(difference(&lines, key), 0, "{key}");
    }
}

#[test]
fn each_kind_is_counted_apart() {
    let body: &[&[u8]] = &[
        &[0xa1, 0x30, 0x00, 0xe0, 0xfe], // mov 0xfee00030,%eax (device)
        &[0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0], // movl $0,0xfee000b0 (device)
        &[0xa1, 0x00, 0x00, 0x20, 0x00], // mov 0x200000,%eax (memory)
        &[0x0f, 0x20, 0xd8],             // mov %cr3,%eax
        &[0x0f, 0x22, 0xd8],             // mov %eax,%cr3
        &[0xb9, 0x1b, 0, 0, 0],          // mov $0x1b,%ecx
        &[0x0f, 0x32],                   // rdmsr
        &[0x0f, 0x30],                   // wrmsr
        &[0xe6, 0x80],                   // out %al,$0x80
        &[0xe4, 0x80],                   // in $0x80,%al
    ];
    let Some(lines) = run("kinds", &[&OPEN[..], &body.concat(), &CLOSE].concat()) else {
        return;
    };
    assert_eq!(difference(&lines, "user"), 10);
    assert_eq!(difference(&lines, "device"), 2);
    assert_eq!(difference(&lines, "cr3"), 1);
    assert_eq!(difference(&lines, "wrmsr"), 1);
    assert_eq!(difference(&lines, "port"), 2);
    assert_eq!(difference(&lines, "hlt"), 0);
    let registers = lines[1]["registers"].as_object().expect("device registers");
    for register in ["0x030", "0x0b0"] {
        let found = registers
            .iter()
            .filter(|(key, _)| key.ends_with(register))
            .count();
        assert_eq!(found, 1, "{register} in {registers:?}");
    }
}

#[test]
fn a_repeated_string_instruction_counts_each_turn() {
    // mov $0x200000,%esi; mov $0x201000,%edi; mov $16,%ecx; rep movsb
    let body = [
        0xbe, 0, 0, 0x20, 0, 0xbf, 0, 0x10, 0x20, 0, 0xb9, 16, 0, 0, 0, 0xf3, 0xa4,
    ];
    let Some(lines) = run("repeat", &[&OPEN[..], &body, &CLOSE].concat()) else {
        return;
    };
    let counted = difference(&lines, "user");
    // The last turn, which finds the count at zero, is run by some versions and not by others.
    assert!((3 + 16..=3 + 17).contains(&counted), "{counted}");
}
