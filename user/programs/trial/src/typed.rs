//! Typed messages: what a program writes another reads, whoever it is, and whatever its machine.
//! What needs no memory is in `both.rs`.

use crate::ports::check;
use alloc::vec;
use norma_user::{Failure, Format, Memory, Message, PAGE_SIZE, ReadError, ReceiveRight, Task};

/// All that one task can do by itself, and then a call from outside.
pub fn all(task: &Task) -> Result<(), Failure> {
    unwritten()?;
    memory()?;
    foreign()?;
    nonsense()?;
    answer(task)
}

/// Through the kernel and back.
fn sent(message: Message) -> Result<Message, Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.send(message)?;
    Ok(port.receive()?)
}

/// What does not fit is given back.
fn unwritten() -> Result<(), Failure> {
    let mut message = Message::new()?;
    let mut writer = message.write();
    writer.bytes(&[1; 8184])?;
    let Err(error) = writer.memory(Memory::copy_from(b"pages")?) else {
        return check(false, "there is no room for a descriptor");
    };
    check(error.value.bytes() == b"pages", "the memory comes back")
}

fn filled(length: usize, seed: u8) -> Result<Memory, Failure> {
    let mut memory = Memory::zeroed(length)?;
    for (index, byte) in memory.bytes_mut().iter_mut().enumerate() {
        *byte = (index / 7) as u8 ^ seed;
    }
    Ok(memory)
}

/// Three regions of pages, read in every order.
fn memory() -> Result<(), Failure> {
    let lengths = [2 * PAGE_SIZE + 100, 8, PAGE_SIZE];
    for skipped in 0..4 {
        let mut message = Message::new()?;
        let mut writer = message.write();
        let copied = filled(lengths[0], 1)?;
        writer.copy_memory(&copied)?;
        writer.memory(filled(lengths[1], 2)?)?;
        writer.numbers::<u64>(filled(lengths[2], 3)?)?;
        drop(copied);
        let mut message = sent(message)?;
        let mut reader = message.read()?;
        let mut regions = vec![];
        for (index, length) in lengths.into_iter().enumerate().take(2) {
            if index == skipped {
                reader.skip()?;
            } else {
                let region = reader.memory()?;
                let expected = filled(length, index as u8 + 1)?;
                check(region.bytes() == expected.bytes(), "a region is as it was")?;
                regions.push(region);
            }
        }
        let numbers = reader.numbers::<u64>()?;
        let expected = filled(lengths[2], 3)?;
        let expected = expected.bytes().chunks(8);
        let expected =
            expected.map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap_or_default()));
        check(numbers.iter().eq(expected), "so are numbers")?;
        reader.end()?;
        let left = message.take_memory();
        let rest = match skipped {
            0 | 1 => filled(lengths[skipped], skipped as u8 + 1)?,
            _ => Memory::new(),
        };
        let whole = left.bytes().get(..rest.len());
        check(whole == Some(rest.bytes()), "whole, in the message")?;
        for mut region in regions {
            region.bytes_mut().fill(0);
        }
    }
    between()
}

/// The region in the middle is taken, and what lies around it moves together.
fn between() -> Result<(), Failure> {
    let mut message = Message::new()?;
    let mut writer = message.write();
    for seed in 0..3 {
        writer.memory(filled(PAGE_SIZE + 8, seed)?)?;
    }
    let mut message = sent(message)?;
    let mut reader = message.read()?;
    reader.skip()?;
    let middle = reader.memory()?;
    check(
        middle.bytes() == filled(PAGE_SIZE + 8, 1)?.bytes(),
        "the middle",
    )?;
    let last = reader.memory()?;
    check(
        last.bytes() == filled(PAGE_SIZE + 8, 2)?.bytes(),
        "the last",
    )?;
    let first = message.take_memory();
    let expected = filled(PAGE_SIZE + 8, 0)?;
    check(
        first.bytes().starts_with(expected.bytes()),
        "and the first is left",
    )
}

/// A machine of the other byte order wrote this: an array of two numbers of 32 bits and a fraction.
fn foreign() -> Result<(), Failure> {
    let mut data = vec![1, 4, 0, 0, 0, 0, 0, 2];
    data.extend_from_slice(&0x0102_0304_u32.to_be_bytes());
    data.extend_from_slice(&77_u32.to_be_bytes());
    data.extend_from_slice(&[3, 8, 0, 0, 0, 0, 0, 1]);
    data.extend_from_slice(&2.5_f64.to_be_bytes());
    data.extend_from_slice(&[2, 2, 1, 0, 0, 0, 0, 3]);
    let mut message = Message::with_data(&data)?;
    message.set_format(Format::new(true, norma_user::ByteOrder::Big));
    let numbers = [-5_i16, 6, 7].map(i16::to_be_bytes);
    message.set_memory(numbers.as_flattened())?;
    let mut message = sent(message)?;
    let mut reader = message.read()?;
    check(
        reader.array::<u32>()?.eq([0x0102_0304, 77]),
        "numbers are converted",
    )?;
    check(reader.f64()? == 2.5, "fractions too")?;
    let values = reader.numbers::<i16>()?;
    check(values.iter().eq([-5, 6, 7]), "and those out of line")?;
    check(values.get(2) == Some(7) && values.get(3).is_none(), "each")?;
    Ok(reader.end()?)
}

/// Who says of its message what is not so is found out when it is read.
fn nonsense() -> Result<(), Failure> {
    let rights_of_nobody = [9, 0, 0, 0, 2, 0, 0, 0];
    let mut message = Message::with_data(&rights_of_nobody)?;
    message.set_format(Format::TYPED_HERE);
    let mut message = sent(message)?;
    let read = message.read()?.send_rights().err();
    check(read == Some(ReadError::MissingRights), "there are none")?;
    let memory_of_nobody = [5, 1, 1, 0, 0, 0, 1, 0];
    let mut message = Message::with_data(&memory_of_nobody)?;
    message.set_format(Format::TYPED_HERE);
    message.set_memory(b"four")?;
    let mut message = sent(message)?;
    let read = message.read()?.memory().err();
    check(read == Some(ReadError::MissingMemory), "nor so much")?;
    let mut message = sent(Message::with_data(b"plain")?)?;
    check(
        matches!(message.read().err(), Some(ReadError::NotTyped)),
        "bytes are no items",
    )
}

/// Answers what the image asks: a service in a kernel thread and a program mean the same by items.
fn answer(task: &Task) -> Result<(), Failure> {
    let mut request = task.port().receive()?;
    let mut reader = request.read()?;
    let (number, text) = (reader.u32()?, alloc::string::String::from(reader.text()?));
    let right = reader.send_right()?;
    let numbers = reader.numbers::<u64>()?;
    reader.end()?;
    let mut writer = request.write();
    writer.u32(number + 1)?.text(&text)?;
    writer.u64(numbers.iter().sum())?.send_right(right)?;
    writer.memory(numbers.into_memory().0)?;
    Ok(request.reply()?)
}
