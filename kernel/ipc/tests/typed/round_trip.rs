//! What is written is read.

use super::order::make_foreign;
use super::values::{Value, value};
use super::*;
use proptest::prelude::*;

fn round_trip(values: &[Value], foreign: bool) {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let mut written = Vec::new();
    let mut writer = message.write().unwrap();
    for value in values {
        if !value.write(&mut bench, &mut writer) {
            // What did not fit left nothing; but of an array of texts some may have.
            break;
        }
        written.push(value);
    }
    let whole = written.len() == values.len();
    if foreign {
        make_foreign(&mut message, &mut bench.source);
    }
    assert!(message.data().len() <= limits::MAX_INLINE && message.data().len().is_multiple_of(8));
    assert!(message.items().unwrap().all(|item| item.is_ok()));
    let mut rights = Vec::new();
    let mut reader = message.read().unwrap();
    for value in written {
        assert_eq!(&value.read(&mut reader, &mut rights).unwrap(), value);
    }
    if whole {
        reader.end().unwrap();
        assert!(message.rights().is_empty() && message.memory().is_empty());
    }
    bench.end(message, rights);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 600 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn i_30_what_a_like_machine_wrote_is_read(
        values in prop::collection::vec(value(), 0..if cfg!(miri) { 8 } else { 40 })
    ) {
        round_trip(&values, false);
    }

    #[test]
    fn i_31_what_an_unlike_machine_wrote_is_read(
        values in prop::collection::vec(value(), 0..if cfg!(miri) { 8 } else { 40 })
    ) {
        round_trip(&values, true);
    }
}

#[test]
fn i_30_items_lie_as_documented() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let right = bench.right(RightKind::Send);
    let memory = Memory::copy_from(&[1, 2], &mut bench.source).unwrap();
    let mut writer = message.write().unwrap();
    writer.u16(0x0102).unwrap().text("norma").unwrap();
    writer.right(right).unwrap();
    writer.memory(memory, &mut bench.source).unwrap();
    if ByteOrder::NATIVE == ByteOrder::Big {
        make_foreign(&mut message, &mut bench.source);
    }
    #[rustfmt::skip]
    assert_eq!(message.data(), [
        1, 2, 0, 0, 1, 0, 0, 0, 0x02, 0x01, 0, 0, 0, 0, 0, 0,
        6, 1, 0, 0, 5, 0, 0, 0, b'n', b'o', b'r', b'm', b'a', 0, 0, 0,
        9, 0, 0, 0, 1, 0, 0, 0,
        5, 1, 1, 0, 2, 0, 0, 0,
    ]);
    bench.end(message, Vec::new());
}

#[test]
fn i_36_a_failing_write_changes_nothing() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let mut writer = message.write().unwrap();
    writer.array(&[1_u64; 1021]).unwrap();
    // 16 bytes are left: a descriptor and eight bytes.
    writer.array(&[0_u8; 9]).unwrap_err();
    writer.u128(1).unwrap_err();
    writer.text("seventeen bytes..").unwrap_err();
    writer.bytes(&vec![0; 100_000]).unwrap_err();
    writer.u64(2).unwrap();
    writer.list(0).unwrap_err();
    let right = writer.right(bench.right(RightKind::Send)).unwrap_err();
    let mut rights = vec![right];
    let refused = writer.rights(RightKind::Send, &mut rights).unwrap_err();
    assert_eq!((refused, rights.len()), (RightError::NoMemory, 1));
    let memory = Memory::copy_from(&[1], &mut bench.source).unwrap();
    let memory = writer.memory(memory, &mut bench.source).unwrap_err();
    writer
        .copied_memory(&memory, &mut bench.source)
        .unwrap_err();
    assert!(message.rights().is_empty() && message.memory().is_empty());
    let mut reader = message.read().unwrap();
    assert_eq!(reader.array::<u64>().unwrap().len(), 1021);
    assert_eq!(reader.u64(), Ok(2));
    reader.end().unwrap();
    bench.end(message, rights);
}

#[test]
fn i_36_rights_that_do_not_fit_or_match_come_back() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let count = limits::MAX_RIGHTS;
    let mut rights: Vec<_> = (0..count).map(|_| bench.right(RightKind::Send)).collect();
    let mut writer = message.write().unwrap();
    let refused = writer.rights(RightKind::SendOnce, &mut rights).unwrap_err();
    assert_eq!((refused, rights.len()), (RightError::InvalidRight, count));
    writer.rights(RightKind::Send, &mut rights).unwrap();
    assert!(rights.is_empty());
    let one = writer.right(bench.right(RightKind::Send)).unwrap_err();
    assert_eq!(message.rights().len(), count);
    let mut reader = message.read().unwrap();
    let mut taken = reader.rights(RightKind::Send).unwrap();
    rights.extend(std::iter::from_fn(|| taken.take()));
    drop(taken);
    reader.end().unwrap();
    assert_eq!(rights.len(), count);
    rights.push(one);
    bench.end(message, rights);
}

#[test]
fn i_33_memory_that_is_given_away_has_nothing_else_in_its_pages() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let mut dirty = |length| {
        let mut page = bench.source.allocate().unwrap();
        page.bytes_mut().unwrap().fill(7);
        let mut memory = Memory::new();
        memory.push(page, length).unwrap();
        memory
    };
    let (one, two) = (dirty(10), dirty(20));
    let mut writer = message.write().unwrap();
    writer.memory(one, &mut HeapPages::default()).unwrap();
    writer
        .copied_memory(&two, &mut HeapPages::default())
        .unwrap();
    assert_eq!(message.memory().len(), PAGE_SIZE + 20);
    for (page, used) in message.memory().pages().iter().zip([10, 20]) {
        assert!(page.bytes()[..used].iter().all(|byte| *byte == 7));
        assert!(page.bytes()[used..].iter().all(|byte| *byte == 0));
    }
    // The other holder has its own.
    assert_eq!(two.pages()[0].bytes(), &[7; PAGE_SIZE]);
    bench.end(message, Vec::new());
}

#[test]
fn i_37_shared_memory_is_as_it_was_when_it_was_sent() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let mut memory = Memory::copy_from(&[1; 2 * PAGE_SIZE], &mut bench.source).unwrap();
    let mut writer = message.write().unwrap();
    writer.copied_memory(&memory, &mut bench.source).unwrap();
    memory.write_at(5, &[2], &mut bench.source).unwrap();
    let mut received = message.read().unwrap().memory().unwrap();
    assert!(received.chunks().flatten().all(|byte| *byte == 1));
    // And the other way round.
    received
        .write_at(PAGE_SIZE, &[3], &mut bench.source)
        .unwrap();
    let mut byte = [0];
    assert!(memory.read_at(PAGE_SIZE, &mut byte) && byte == [1]);
    bench.end(message, Vec::new());
}
