//! Typed messages, from a node to itself and to another and back, with every kind of item.

use crate::client::{PATIENCE, call, require};
use crate::{Doing, Error, pattern};
use alloc::vec;
use alloc::vec::Vec;
use norma_boot::{
    Failure, Frames, Memory, Message, Node, PAGE_SIZE, ReadError, Reader, ReceiveRight,
    SendOnceRight, SendRight, Writer,
};

/// Reads a typed message, uses the rights in it, and answers with the same.
pub const TYPED: &str = "typed";

/// Bytes of the region that is moved: pages, and a part of one.
const MOVED: usize = 3 * PAGE_SIZE + 5;
/// Bytes of the region that is shared.
const SHARED: usize = 20 * PAGE_SIZE;
/// How many numbers travel out of line.
const NUMBERS: u32 = 5000;
/// How many rights travel as an array.
const MANY: usize = 200;

/// Values of every type.
fn write_values(writer: &mut Writer<'_>) -> Result<(), Failure> {
    writer.u8(1)?.u16(0x0203)?.u32(0x0405_0607)?.u64(u64::MAX)?;
    writer.u128(1 << 100)?.i8(-1)?.i16(-2)?.i32(-3)?;
    writer
        .i64(i64::MIN)?
        .i128(-(1 << 100))?
        .f32(0.5)?
        .f64(-0.25)?;
    writer.bool(true)?.bytes(&[0xff, 0])?.text("grüße")?;
    writer.array(&[1_u16, 2, 3])?.array(&[true, false])?;
    writer.list(2)?.text("one")?.text("")?;
    Ok(())
}

fn read_values(reader: &mut Reader<'_>) -> Result<bool, ReadError> {
    let mut same = (reader.u8()?, reader.u16()?, reader.u32()?) == (1, 0x0203, 0x0405_0607);
    same &= (reader.u64()?, reader.u128()?) == (u64::MAX, 1 << 100);
    same &= (reader.i8()?, reader.i16()?, reader.i32()?) == (-1, -2, -3);
    same &= (reader.i64()?, reader.i128()?) == (i64::MIN, -(1 << 100));
    same &= (reader.f32()?.to_bits(), reader.f64()?.to_bits())
        == (0.5_f32.to_bits(), (-0.25_f64).to_bits());
    same &= reader.bool()? && reader.bytes()? == [0xff, 0] && reader.text()? == "grüße";
    same &= reader.array::<u16>()?.eq([1, 2, 3]) && reader.array::<bool>()?.eq([true, false]);
    same &= reader.list()? == 2 && reader.text()? == "one" && reader.text()?.is_empty();
    Ok(same)
}

/// Rights of every kind that can leave a node, and memory in every way.
fn write_rest(
    writer: &mut Writer<'_>,
    port: &ReceiveRight,
    shared: &Memory,
) -> Result<(), Failure> {
    let moved: Vec<u8> = pattern::bytes(MOVED).collect();
    let numbers: Vec<u8> = (0..NUMBERS).flat_map(u32::to_ne_bytes).collect();
    let copied = port.make_send()?;
    let many: Result<Vec<_>, _> = (0..MANY).map(|_| port.make_send()).collect();
    writer.send_right(port.make_send()?)?.copy_right(&copied)?;
    writer.make_send(port)?.make_send_once(port)?;
    writer.send_once_right(port.make_send_once()?)?;
    writer.send_rights(many?)?;
    writer.memory(Memory::copy_from(&moved, &mut Frames)?)?;
    writer.copy_memory(shared)?;
    writer.numbers::<u32>(Memory::copy_from(&numbers, &mut Frames)?)?;
    Ok(())
}

/// What came besides values.
struct Rest {
    rights: Vec<SendRight>,
    once: [SendOnceRight; 2],
    shared: Memory,
    same: bool,
}

fn read_rest(reader: &mut Reader<'_>) -> Result<Rest, ReadError> {
    let mut rights = Vec::new();
    for _ in 0..3 {
        rights.push(reader.send_right()?);
    }
    let once = [reader.send_once_right()?, reader.send_once_right()?];
    for right in reader.send_rights()? {
        rights.push(right?);
    }
    let moved = reader.memory()?;
    let shared = reader.memory()?;
    let numbers = reader.numbers::<u32>()?;
    let same = rights.len() == 3 + MANY
        && pattern::matches(moved.chunks(), MOVED)
        && shared.len() == SHARED
        && numbers.len() == NUMBERS as usize
        && numbers.iter().eq(0..NUMBERS);
    Ok(Rest {
        rights,
        once,
        shared,
        same,
    })
}

fn is_all(memory: &Memory, byte: u8) -> bool {
    memory.chunks().flatten().all(|other| *other == byte)
}

/// The service's answer: the same once more, with rights to `port`, after a message by each of
/// some of the rights that came.
pub fn answer(message: &mut Message, port: &ReceiveRight) -> Result<(), Failure> {
    let mut reader = message.read()?;
    let values = read_values(&mut reader)?;
    let rest = read_rest(&mut reader)?;
    reader.end()?;
    if !values || !rest.same {
        return Err(Failure::BadMessage(ReadError::Leftover));
    }
    for (number, right) in rest.rights.iter().take(4).enumerate() {
        let mut hello = Message::new()?;
        hello.write().text("by a send right")?.u64(number as u64)?;
        right.send(hello)?;
    }
    for right in rest.once {
        let mut hello = Message::new()?;
        hello.write().text("by a send-once right")?;
        right.send(hello)?;
    }
    let mut writer = message.write();
    write_values(&mut writer)?;
    write_rest(&mut writer, port, &rest.shared)
}

/// Receives what the service sent by the rights that it was given. What came by send-once rights
/// may come before or after the rest, which is in order.
fn hear(port: &ReceiveRight) -> Result<(), Failure> {
    let mut next = 0;
    for _ in 0..6 {
        let mut hello = port.receive_timeout(PATIENCE)?;
        let mut reader = hello.read()?;
        match reader.text()? {
            "by a send right" if reader.u64()? == next => next += 1,
            "by a send-once right" => {}
            _ => return Err(Failure::BadMessage(ReadError::Leftover)),
        }
        reader.end()?;
    }
    if next == 4 {
        Ok(())
    } else {
        Err(Failure::BadMessage(ReadError::End))
    }
}

/// Calls the service with everything, and changes the shared memory as soon as it was sent.
fn with(service: &SendRight) -> Result<(), Error> {
    let port = ReceiveRight::new().doing("a port")?;
    port.set_queue_limit(64).doing("setting a limit")?;
    let mut shared = Memory::copy_from(&vec![5; SHARED], &mut Frames)
        .map_err(Failure::from)
        .doing("memory")?;
    for round in 0..3 {
        let byte = 5 + round;
        let mut message = Message::new().doing("a message")?;
        let mut writer = message.write();
        write_values(&mut writer).doing("writing values")?;
        write_rest(&mut writer, &port, &shared).doing("writing rights and memory")?;
        let mut answer = call(service, message).doing("calling `typed`")?;
        let mut reader = answer.read().map_err(Failure::from).doing("reading")?;
        let values = read_values(&mut reader).map_err(Failure::from);
        require(
            values.doing("reading values")?,
            "values came back otherwise",
        )?;
        let rest = read_rest(&mut reader).map_err(Failure::from);
        let rest = rest.doing("reading rights and memory")?;
        reader.end().map_err(Failure::from).doing("the end")?;
        require(rest.same, "rights or memory came back otherwise")?;
        // The answer shares its pages with this, where there is no network between.
        for at in [0, PAGE_SIZE + 1, SHARED - 1] {
            shared
                .write_at(at, &[byte + 1], &mut Frames)
                .map_err(Failure::from)
                .doing("writing to shared memory")?;
        }
        require(is_all(&rest.shared, byte), "shared memory was changed")?;
        hear(&port).doing("hearing of the rights")?;
        drop(rest);
        shared = Memory::copy_from(&vec![byte + 1; SHARED], &mut Frames)
            .map_err(Failure::from)
            .doing("memory")?;
    }
    Ok(())
}

/// What is sent is what was there when it was sent, though it is changed before it arrives.
fn changed_at_once(service: &SendRight) -> Result<(), Error> {
    let doing = || -> Result<bool, Failure> {
        let mut shared = Memory::copy_from(&vec![1; SHARED], &mut Frames)?;
        let port = ReceiveRight::new()?;
        let mut message = Message::new()?;
        let mut writer = message.write();
        write_values(&mut writer)?;
        write_rest(&mut writer, &port, &shared)?;
        // No answer is waited for; it goes to the port, as to any right.
        service.send(message)?;
        for page in 0..SHARED / PAGE_SIZE {
            shared.page_mut(page, &mut Frames)?.fill(2);
        }
        // The service found everything as it was, or it would not have used the rights.
        hear(&port)?;
        Ok(is_all(&shared, 2))
    };
    let unchanged = doing().doing("changing what was sent")?;
    require(unchanged, "memory has what was written last")
}

/// Counts copies: none for what is moved or shared, one for a page that is written to.
fn copies(node: &Node) -> Result<(), Error> {
    let copied = || node.counts().platform.frames_copied;
    let doing = || -> Result<bool, Failure> {
        let port = ReceiveRight::new()?;
        let service = port.make_send()?;
        let mut memory = Memory::copy_from(&vec![1; SHARED], &mut Frames)?;
        let before = copied();
        let mut message = Message::new()?;
        message
            .write()
            .copy_memory(&memory)?
            .receive_right(ReceiveRight::new()?)?;
        service.send(message)?;
        let mut message = port.receive()?;
        let mut reader = message.read()?;
        let mut received = reader.memory()?;
        let moved = reader.receive_right()?;
        reader.end()?;
        let mut right = copied() == before;
        memory.write_at(PAGE_SIZE - 1, &[2, 2], &mut Frames)?;
        memory.write_at(0, &[2, 2], &mut Frames)?;
        right &= copied() == before + 2;
        // The last holder of a page writes without a copy.
        received.write_at(0, &[3], &mut Frames)?;
        right &= copied() == before + 2;
        received.write_at(2 * PAGE_SIZE, &[3], &mut Frames)?;
        right &= copied() == before + 3;
        drop(memory);
        received.write_at(5 * PAGE_SIZE, &[3], &mut Frames)?;
        right &= copied() == before + 3;
        // The port that was moved works.
        moved.make_send()?.send(Message::new()?)?;
        moved.receive()?;
        Ok(right)
    };
    let right = doing().doing("counting copies")?;
    require(right, "as many pages were copied as had to be")
}

/// A message that is full gives back what was to be written.
fn full() -> Result<(), Error> {
    let doing = || -> Result<bool, Failure> {
        let port = ReceiveRight::new()?;
        let mut message = Message::new()?;
        let mut writer = message.write();
        writer.bytes(&[0; 8192 - 8])?;
        let Err(error) = writer.send_right(port.make_send()?) else {
            return Ok(false);
        };
        let mut right = error.failure == Failure::NoMemory;
        error.value.send(Message::new()?)?;
        port.receive()?;
        let Err(error) = writer.send_rights(Vec::from([error.value])) else {
            return Ok(false);
        };
        right &= error.value.len() == 1;
        error.value[0].send(Message::new()?)?;
        port.receive()?;
        let Err(error) = writer.receive_right(port) else {
            return Ok(false);
        };
        error.value.make_send()?.send(Message::new()?)?;
        error.value.receive()?;
        let memory = Memory::copy_from(&[1], &mut Frames)?;
        right &= writer
            .memory(memory)
            .is_err_and(|error| error.value.len() == 1);
        // A message of bytes has no items, and one that is reused is one of bytes.
        right &= message.read().is_ok();
        message.set_data(&[1])?;
        right &= matches!(message.read(), Err(ReadError::NotTyped));
        Ok(right)
    };
    let right = doing().doing("filling a message")?;
    require(right, "what did not fit came back")
}

pub fn run(node: &Node) -> Result<(), Error> {
    full()?;
    copies(node)?;
    let service = node.wait_for(TYPED, PATIENCE).doing("looking `typed` up")?;
    with(&service)?;
    changed_at_once(&service)?;
    // And with a service on this node.
    let port = ReceiveRight::new().doing("a port")?;
    let own = port.make_send().doing("a right")?;
    crate::server::answer_typed(node, port)?;
    with(&own)?;
    changed_at_once(&own)
}
