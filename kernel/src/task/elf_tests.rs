//! Programs that are right, programs with one mistake, and bytes of any kind.

use super::*;
use proptest::prelude::*;

/// A part as a linker writes it.
#[derive(Debug, Clone, Copy)]
struct Part {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    in_file: u64,
    size: u64,
}

const CODE: Part = Part {
    kind: 1,
    flags: 5,
    offset: 0,
    address: 0x40_0000,
    in_file: 400,
    size: 400,
};

const DATA: Part = Part {
    kind: 1,
    flags: 6,
    offset: 400,
    address: 0x40_1000,
    in_file: 100,
    size: 9000,
};

fn file(entry: u64, parts: &[Part]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2u16.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[24..32].copy_from_slice(&entry.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&(parts.len() as u16).to_le_bytes());
    for part in parts {
        file.extend_from_slice(&part.kind.to_le_bytes());
        file.extend_from_slice(&part.flags.to_le_bytes());
        let numbers = [part.offset, part.address, 0, part.in_file, part.size, 4096];
        for number in numbers {
            file.extend_from_slice(&number.to_le_bytes());
        }
    }
    file.resize(file.len().max(1000), 0x90);
    file
}

fn parse(entry: u64, parts: &[Part]) -> Result<(), BadProgram> {
    Program::parse(&file(entry, parts)).map(drop)
}

#[test]
fn a_program_is_what_the_linker_said() {
    let file = file(0x40_0010, &[CODE, DATA]);
    let program = Program::parse(&file).unwrap();
    assert_eq!(program.entry, 0x40_0010);
    let [code, data] = program.segments[..] else {
        panic!("{program:?}");
    };
    assert_eq!((code.rights, code.pages()), (Rights::Execute, 1));
    assert_eq!((data.rights, data.pages()), (Rights::Write, 3));
    assert_eq!(data.bytes, &file[400..500]);
}

#[test]
fn each_mistake_has_its_name() {
    let good = CODE.address;
    assert_eq!(Program::parse(b"MZ").unwrap_err(), BadProgram::NotElf);
    assert_eq!(parse(good, &[]), Err(BadProgram::NoEntry));
    assert_eq!(parse(DATA.address, &[CODE, DATA]), Err(BadProgram::NoEntry));
    assert_eq!(parse(good + 400, &[CODE]), Err(BadProgram::NoEntry));
    let part = |change: fn(&mut Part)| {
        let mut data = DATA;
        change(&mut data);
        parse(good, &[CODE, data])
    };
    assert_eq!(part(|part| part.flags = 7), Err(BadProgram::WritableCode));
    assert_eq!(part(|part| part.kind = 3), Err(BadProgram::NotStatic));
    assert_eq!(part(|part| part.address -= 1), Err(BadProgram::Overlap));
    assert_eq!(part(|part| part.address = 0), Err(BadProgram::OutOfRange));
    assert_eq!(
        part(|part| part.size = u64::MAX),
        Err(BadProgram::OutOfRange)
    );
    assert_eq!(
        part(|part| part.address = HIGHEST - 8999),
        Err(BadProgram::OutOfRange)
    );
    assert_eq!(part(|part| part.in_file = 601), Err(BadProgram::Malformed));
    assert_eq!(part(|part| part.size = 99), Err(BadProgram::Malformed));
    assert_eq!(
        part(|part| part.offset = u64::MAX),
        Err(BadProgram::Malformed)
    );
    let many: Vec<_> = (0..=SEGMENTS as u64)
        .map(|index| Part {
            address: CODE.address + index * 4096,
            ..CODE
        })
        .collect();
    assert_eq!(parse(good, &many), Err(BadProgram::TooMany));
    let mut moved = file(good, &[CODE]);
    moved[16] = 3;
    assert_eq!(Program::parse(&moved).unwrap_err(), BadProgram::NotStatic);
}

#[test]
fn what_is_cut_off_is_refused() {
    let file = file(CODE.address, &[CODE, DATA]);
    for length in 0..500 {
        assert!(Program::parse(&file[..length]).is_err(), "{length}");
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    let number = prop_oneof![0u64..2000, any::<u64>(), Just(u64::MAX), Just(HIGHEST)];
    let address = prop_oneof![0x40_0000u64..0x41_0000, any::<u64>()];
    (
        0u32..4,
        0u32..8,
        number.clone(),
        address,
        number.clone(),
        number,
    )
        .prop_map(|(kind, flags, offset, address, in_file, size)| Part {
            kind,
            flags,
            offset,
            address,
            in_file,
            size,
        })
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), elf: bool) {
        if elf {
            let head = file(0, &[]);
            let length = bytes.len().min(32);
            bytes[..length].copy_from_slice(&head[..length]);
        }
        let _ = Program::parse(&bytes);
    }

    #[test]
    fn what_is_accepted_can_be_loaded(
        parts in prop::collection::vec(any_part(), 0..20),
        entry in 0x40_0000u64..0x41_0000,
    ) {
        let file = file(entry, &parts);
        let Ok(program) = Program::parse(&file) else {
            return Ok(());
        };
        let mut free_from = LOWEST / 4096;
        for segment in &program.segments {
            prop_assert!(segment.first_page() >= free_from);
            free_from = segment.first_page() + segment.pages();
            prop_assert!(free_from <= HIGHEST / 4096);
            prop_assert!(segment.bytes.len() as u64 <= segment.size);
        }
        let holds_entry = |segment: &Segment<'_>| {
            segment.rights == Rights::Execute && segment.address <= program.entry
        };
        prop_assert!(program.segments.iter().any(holds_entry));
    }
}
