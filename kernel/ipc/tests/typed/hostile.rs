//! Messages that no honest machine sends: reading ends, in an error or not, never panics, and
//! no right and no page is lost or there twice.

use super::values::{Value, value};
use super::*;
use norma_ipc::typed::{Kind, ReadError, Reader};
use proptest::prelude::*;

/// Reads whatever comes, as its descriptor says, until the reader stands still.
fn read_all(
    reader: &mut Reader<'_, HeapPage>,
    rights: &mut Vec<Right>,
    memory: &mut Vec<Memory<HeapPage>>,
) -> ReadError {
    loop {
        let item = match reader.peek() {
            Ok(Some(item)) => item,
            Ok(None) => return ReadError::End,
            Err(error) => return error,
        };
        let read = match (item.kind(), item.is_out_of_line(), item.width()) {
            (Kind::Bytes, true, _) => reader.memory().map(|region| memory.push(region)),
            (Kind::Unsigned, true, 8) => reader.numbers::<u64>().map(|values| {
                std::hint::black_box(values.iter().fold(0, u64::wrapping_add));
                memory.push(values.into_memory().0);
            }),
            (_, true, _) => reader.skip(),
            (Kind::Unsigned, _, 4) => reader.array::<u32>().map(|values| {
                let mut copied = [0; 7];
                let count = values.copy_to(&mut copied);
                assert!(values.take(7).eq(copied[..count].iter().copied()));
            }),
            (Kind::Signed, _, 16) => reader.i128().map(drop),
            (Kind::Float, _, 8) => reader
                .array::<f64>()
                .map(|values| assert!(values.len() == values.count())),
            (Kind::Boolean, ..) => reader
                .array::<bool>()
                .map(|values| assert!(values.len() == values.count())),
            (Kind::Bytes, ..) => reader.bytes().map(drop),
            (Kind::Text, ..) => reader.text().map(drop),
            (Kind::List, ..) => reader.list().map(drop),
            (kind, ..) => match kind.right() {
                Some(kind) => reader.rights(kind).map(|mut array| {
                    // Some are taken, some stay.
                    for _ in 0..3 {
                        rights.extend(array.take());
                    }
                }),
                None => reader.skip(),
            },
        };
        if let Err(error) = read
            && reader.skip().is_err()
        {
            return error;
        }
    }
}

/// Reads a message to the end, and accounts for all that was in it.
fn check(mut bench: Bench, mut message: Message<HeapPage>) {
    let (before, pages) = (message.rights().len(), message.memory().pages().len());
    if let Ok(items) = message.items() {
        assert!(items.count() <= message.data().len() / 8 + 1);
    }
    let (mut rights, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        if let Ok(mut reader) = message.read() {
            read_all(&mut reader, &mut rights, &mut memory);
        }
    }
    assert_eq!(rights.len() + message.rights().len(), before);
    let out: usize = memory.iter().map(|region| region.pages().len()).sum();
    assert_eq!(out + message.memory().pages().len(), pages);
    assert!(message.memory().len() <= message.memory().pages().len() * PAGE_SIZE);
    bench.end(message, rights);
}

fn format() -> impl Strategy<Value = Format> {
    any::<bool>().prop_map(|big| {
        let order = if big {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        };
        Format::new(true, order)
    })
}

/// Descriptors that are nearly right.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let head = (
        0..12_u8,
        prop::sample::select(vec![0_u8, 1, 2, 4, 8, 16, 3]),
        0..8_u8,
        0..20_u8,
    );
    let item = (head, prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(head, mut behind)| {
        let (kind, width, flags, count) = head;
        let flags = u8::from(flags == 0);
        let mut item = vec![kind, width, flags, 0, count, 0, 0, 0];
        behind.resize(behind.len().next_multiple_of(8), 0);
        item.append(&mut behind);
        item
    });
    prop::collection::vec(item, 0..20).prop_map(|items| items.concat())
}

fn attach(bench: &mut Bench, message: &mut Message<HeapPage>, kinds: &[u8], memory: usize) {
    for kind in kinds {
        let kinds = [RightKind::Receive, RightKind::Send, RightKind::SendOnce];
        let right = bench.right(kinds[usize::from(kind % 3)]);
        message.push_right(right).unwrap();
    }
    let memory = Memory::copy_from(&vec![1; memory], &mut bench.source).unwrap();
    let _ = message.replace_memory(memory).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn i_32_noise_breaks_nothing(
        data in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near()],
        format in format(),
        kinds in prop::collection::vec(any::<u8>(), 0..12),
        memory in 0..20_000_usize,
    ) {
        let mut bench = Bench::new();
        let mut message = bench.message();
        attach(&mut bench, &mut message, &kinds, memory);
        message.set_data(&data).unwrap();
        message.set_format(format);
        check(bench, message);
    }

    #[test]
    fn i_32_changed_messages_are_read_or_refused(
        values in prop::collection::vec(value(), 1..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        format in format(),
        lost in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        let mut message = bench.message();
        let mut writer = message.write().unwrap();
        for value in &values {
            let _: bool = Value::write(value, &mut bench, &mut writer);
        }
        let mut data = message.data().to_vec();
        for (at, value) in changes {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] ^= value;
            }
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len() + 1));
        }
        message.set_data(&data).unwrap();
        message.set_format(format);
        if lost && let Some(right) = message.take_right() {
            bench.ipc.release(right);
        }
        check(bench, message);
    }
}
