//! Modules and programs for tasks: no bytes panic, and what is accepted can be loaded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use norma_kernel::task::elf::Rights;
use norma_kernel::task::{Program, Programs};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    for (_, contents) in Programs::of(bytes).iter() {
        check(contents);
    }
});

fn check(file: &[u8]) {
    let Ok(program) = Program::parse(file) else {
        return;
    };
    let mut free_from = norma_abi::LOWEST / 4096;
    for segment in &program.segments {
        assert!(segment.first_page() >= free_from);
        free_from = segment.first_page() + segment.pages();
        assert!(free_from <= norma_abi::HIGHEST / 4096);
        assert!(segment.bytes.len() as u64 <= segment.size);
    }
    let holds_entry = program.segments.iter().any(|segment| {
        segment.rights == Rights::Execute
            && (segment.address..segment.address + segment.size).contains(&program.entry)
    });
    assert!(holds_entry);
}
