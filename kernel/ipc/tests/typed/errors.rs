//! Every malformed descriptor has its own error, and a read that fails takes nothing.

use super::*;
use norma_ipc::typed::{Kind, Occupied, ReadError};

/// A typed message with these data, as a little-endian machine would send it.
fn typed(bench: &mut Bench, data: &[u8]) -> Message<HeapPage> {
    let mut message = bench.message();
    message.set_data(data).unwrap();
    message.set_format(Format::new(true, ByteOrder::Little));
    message
}

fn error(data: &[u8]) -> ReadError {
    let mut bench = Bench::new();
    let mut message = typed(&mut bench, data);
    let mut items = message.items().unwrap();
    let error = items.by_ref().find_map(Result::err).unwrap();
    assert!(items.next().is_none());
    let mut reader = message.read().unwrap();
    let read = loop {
        if let Err(error) = reader.skip() {
            break error;
        }
    };
    // Rights and memory are looked at when they are taken.
    let missing = matches!(error, ReadError::MissingRights | ReadError::MissingMemory);
    assert!(read == error || missing && read == ReadError::End);
    bench.ipc.discard(message);
    error
}

#[test]
fn i_32_every_malformed_descriptor_has_its_own_error() {
    let u32_one = [1, 4, 0, 0, 1, 0, 0, 0];
    assert_eq!(error(&[1]), ReadError::Truncated);
    assert_eq!(error(&u32_one[..7]), ReadError::Truncated);
    assert_eq!(error(&u32_one), ReadError::Truncated);
    assert_eq!(
        error(&[&u32_one[..], &[1, 2, 3, 4, 0, 0, 0]].concat()),
        ReadError::Truncated
    );
    assert_eq!(
        error(&[&u32_one[..], &[1, 2, 3, 4, 0, 0, 1, 0]].concat()),
        ReadError::BadPadding
    );
    for kind in [0, 11, 255] {
        assert_eq!(
            error(&[kind, 0, 0, 0, 0, 0, 0, 0]),
            ReadError::UnknownKind(kind)
        );
    }
    let widths = [
        (1, 3),
        (1, 0),
        (2, 32),
        (3, 2),
        (3, 16),
        (4, 2),
        (5, 0),
        (6, 2),
        (7, 1),
        (8, 8),
        (10, 4),
    ];
    for (kind, width) in widths {
        assert_eq!(
            error(&[kind, width, 0, 0, 0, 0, 0, 0]),
            ReadError::BadWidth(width)
        );
    }
    for (kind, width, flags) in [(1, 4, 2), (4, 1, 1), (6, 1, 1), (7, 0, 1), (9, 0, 1)] {
        assert_eq!(
            error(&[kind, width, flags, 0, 0, 0, 0, 0]),
            ReadError::BadFlags(flags)
        );
    }
    assert_eq!(error(&[1, 4, 0, 1, 0, 0, 0, 0]), ReadError::BadReserved);
    assert_eq!(error(&[7, 0, 0, 0, 1, 0, 0, 0]), ReadError::BadList);
    assert_eq!(error(&[7, 0, 0, 0, 255, 255, 255, 255]), ReadError::BadList);
    assert_eq!(
        error(&[1, 16, 0, 0, 255, 255, 255, 255]),
        ReadError::Truncated
    );
    assert_eq!(error(&[9, 0, 0, 0, 1, 0, 0, 0]), ReadError::MissingRights);
    assert_eq!(
        error(&[9, 0, 0, 0, 255, 255, 255, 255]),
        ReadError::MissingRights
    );
    assert_eq!(error(&[5, 1, 1, 0, 1, 0, 0, 0]), ReadError::MissingMemory);
    assert_eq!(
        error(&[1, 16, 1, 0, 255, 255, 255, 255]),
        ReadError::MissingMemory
    );
}

#[test]
fn i_32_values_are_checked_when_they_are_read() {
    let mut bench = Bench::new();
    let mut message = typed(
        &mut bench,
        &[4, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
    );
    assert_eq!(message.read().unwrap().bool(), Err(ReadError::NotBoolean));
    bench.ipc.discard(message);
    let mut message = typed(
        &mut bench,
        &[6, 1, 0, 0, 1, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0],
    );
    assert_eq!(message.read().unwrap().text(), Err(ReadError::NotText));
    bench.ipc.discard(message);
}

#[test]
fn i_34_what_was_not_asked_for_is_not_read() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let right = bench.right(RightKind::Send);
    let memory = Memory::copy_from(&[1; 8], &mut bench.source).unwrap();
    let mut writer = message.write().unwrap();
    writer.array(&[1_u32, 2]).unwrap();
    writer.right(right).unwrap();
    writer.numbers::<u32>(memory, &mut bench.source).unwrap();
    let mut reader = message.read().unwrap();
    assert_eq!(reader.text(), Err(ReadError::Unexpected(Kind::Unsigned)));
    assert_eq!(reader.i32(), Err(ReadError::Unexpected(Kind::Unsigned)));
    assert_eq!(reader.u64(), Err(ReadError::UnexpectedWidth(4)));
    assert_eq!(reader.u32(), Err(ReadError::UnexpectedCount(2)));
    let unexpected = reader.right(RightKind::Send).unwrap_err();
    assert_eq!(unexpected, ReadError::Unexpected(Kind::Unsigned));
    assert!(reader.array::<u32>().unwrap().eq([1, 2]));
    let unexpected = reader.right(RightKind::SendOnce).unwrap_err();
    assert_eq!(unexpected, ReadError::Unexpected(Kind::SendRights));
    assert!(reader.memory().is_err());
    assert_eq!(reader.peek().unwrap().unwrap().kind(), Kind::SendRights);
    let right = reader.right(RightKind::Send).unwrap();
    // In line and out of line are not the same.
    assert_eq!(reader.u32(), Err(ReadError::Unexpected(Kind::Unsigned)));
    assert_eq!(
        reader.numbers::<u64>().unwrap_err(),
        ReadError::UnexpectedWidth(4)
    );
    assert!(reader.numbers::<u32>().is_ok());
    assert!(reader.peek().unwrap().is_none());
    assert_eq!(reader.u8(), Err(ReadError::End));
    reader.end().unwrap();
    bench.end(message, vec![right]);
}

#[test]
fn i_34_rights_are_of_the_kind_that_is_said() {
    let mut bench = Bench::new();
    let mut message = typed(&mut bench, &[9, 0, 0, 0, 2, 0, 0, 0]);
    for kind in [RightKind::Send, RightKind::SendOnce] {
        message.push_right(bench.right(kind)).unwrap();
    }
    let mut reader = message.read().unwrap();
    assert_eq!(
        reader.rights(RightKind::Send).unwrap_err(),
        ReadError::WrongRight
    );
    assert_eq!(
        reader.right(RightKind::Send).unwrap_err(),
        ReadError::UnexpectedCount(2)
    );
    assert_eq!(message.rights().len(), 2);
    bench.end(message, Vec::new());
}

#[test]
fn i_35_what_was_taken_is_not_there_twice() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let (one, two) = (bench.right(RightKind::Send), bench.right(RightKind::Send));
    let port = two.port();
    let mut writer = message.write().unwrap();
    writer.u8(1).unwrap().right(one).unwrap();
    writer.right(two).unwrap();
    let reader = message.read().unwrap();
    assert_eq!(reader.end(), Err(ReadError::Leftover));
    let mut reader = message.read().unwrap();
    assert_eq!(reader.u8(), Ok(1));
    // Passing the first leaves it; the second is the second all the same.
    reader.skip().unwrap();
    let taken = reader.right(RightKind::Send).unwrap();
    assert_eq!(taken.port(), port);
    reader.end().unwrap();
    assert_eq!(message.rights().len(), 1);
    let mut again = message.read().unwrap();
    assert_eq!(again.u8(), Ok(1));
    assert_eq!(again.right(RightKind::Send).unwrap_err(), ReadError::Opened);
    again.skip().unwrap();
    again.skip().unwrap();
    again.end().unwrap();
    assert_eq!(message.items().unwrap().filter(Result::is_ok).count(), 3);
    bench.end(message, vec![taken]);
}

#[test]
fn i_35_a_right_without_a_place_goes_back_to_its_own() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let mut rights: Vec<_> = (0..3).map(|_| bench.right(RightKind::Receive)).collect();
    let ports: Vec<_> = rights.iter().map(Right::port).collect();
    let mut writer = message.write().unwrap();
    writer.rights(RightKind::Receive, &mut rights).unwrap();
    let mut reader = message.read().unwrap();
    let mut array = reader.rights(RightKind::Receive).unwrap();
    rights.push(array.take().unwrap());
    let second = array.take().unwrap();
    array.put_back(second).unwrap();
    assert_eq!(array.len(), 2);
    rights.push(array.take().unwrap());
    drop(array);
    reader.end().unwrap(); // The third was passed.
    assert_eq!(
        rights.iter().map(Right::port).collect::<Vec<_>>(),
        ports[..2]
    );
    assert_eq!(message.rights().len(), 1);
    bench.end(message, rights);
}

#[test]
fn i_34_a_right_that_is_not_wanted_stays() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    let right = bench.right(RightKind::SendOnce);
    message.write().unwrap().right(right).unwrap();
    let mut reader = message.read().unwrap();
    let refused = reader.right_into(RightKind::SendOnce, Err::<(), _>);
    assert_eq!(refused, Err(ReadError::NoMemory));
    let right = reader.right(RightKind::SendOnce).unwrap();
    bench.end(message, vec![right]);
}

#[test]
fn bytes_are_not_items() {
    let mut bench = Bench::new();
    let mut message = bench.message();
    assert_eq!(message.read().unwrap_err(), ReadError::NotTyped);
    message.write().unwrap().u8(1).unwrap();
    assert!(message.format().is_typed());
    message.set_data(&[1]).unwrap();
    assert_eq!(message.items().unwrap_err(), ReadError::NotTyped);
    message.write().unwrap();
    message.clear_data();
    assert_eq!(message.format(), Format::RAW);
    message.write().unwrap();
    message.push_right(bench.right(RightKind::Send)).unwrap();
    assert_eq!(message.write().unwrap_err(), Occupied);
    bench.end(message, Vec::new());
    // A message that is used again is a message of bytes.
    assert!(!bench.message().format().is_typed());
}
