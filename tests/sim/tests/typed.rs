//! Typed messages between nodes: what they say, and the rights and the memory that go along.

mod common;

use common::{drained, must};
use norma_ipc::limits::MAX_RIGHTS;
use norma_ipc::typed::ReadError;
use norma_ipc::{ByteOrder, Format, Memory, Name, PAGE_SIZE, Right, RightKind, ThreadId};
use norma_sim::{Config, Message, World};

fn calm() -> Config {
    Config {
        audit_every: 0,
        ..Config::default().calm()
    }
}

/// A world in which node 1 serves "echo", and node 0 knows it.
fn pair(config: &Config) -> (World, ThreadId, Name, ThreadId, Name) {
    let mut w = World::new(config);
    let port = w.serve(1, "echo");
    let (a, b) = (w.thread(0), w.thread(1));
    let name = must(w.look_up(0, a, "echo"));
    (w, a, name, b, port)
}

/// A right of `machine` to a port of its own.
fn right(w: &mut World, machine: usize, port: Name, kind: RightKind) -> Right {
    let space = w.machine(machine).space();
    let ipc = w.machine(machine).node().ipc();
    ipc.make_right(space, port, kind).unwrap()
}

fn release(w: &mut World, machine: usize, right: Right) {
    w.machine(machine).node().ipc().release(right);
    w.after(machine).unwrap();
}

fn port(w: &mut World, machine: usize) -> Name {
    let space = w.machine(machine).space();
    w.machine(machine)
        .node()
        .ipc()
        .allocate_port(space)
        .unwrap()
}

/// Writes some of everything that can leave a node.
fn write(w: &mut World, own: Name) -> Message {
    let mut message = w.message(0, b"");
    let once = right(w, 0, own, RightKind::SendOnce);
    let mut sends = (0..3)
        .map(|_| right(w, 0, own, RightKind::Send))
        .collect::<Vec<_>>();
    let source = w.machine(0).node().source();
    let numbers: Vec<u8> = (0..3000_u32).flat_map(u32::to_ne_bytes).collect();
    let numbers = Memory::copy_from(&numbers, source).unwrap();
    let bytes = Memory::copy_from(&[7; 70_001], source).unwrap();
    let mut writer = message.write().unwrap();
    writer.u64(0x0102_0304_0506_0708).unwrap();
    writer
        .i128(-5)
        .unwrap()
        .f64(0.5)
        .unwrap()
        .bool(true)
        .unwrap();
    writer.text("grüße").unwrap().bytes(&[9; 90]).unwrap();
    writer.array(&[-1_i16, 2, -3]).unwrap();
    writer.right(once).unwrap();
    writer.rights(RightKind::Send, &mut sends).unwrap();
    writer.numbers::<u32>(numbers, source).unwrap();
    writer.copied_memory(&bytes, source).unwrap();
    message
}

/// Reads it on `machine`, and gives up what came.
fn read(w: &mut World, machine: usize, message: &mut Message) {
    let mut reader = message.read().unwrap();
    assert_eq!(reader.u64(), Ok(0x0102_0304_0506_0708));
    assert_eq!(reader.i128(), Ok(-5));
    assert_eq!(reader.f64(), Ok(0.5));
    assert_eq!(reader.bool(), Ok(true));
    assert_eq!(reader.text(), Ok("grüße"));
    assert_eq!(reader.bytes(), Ok(&[9; 90][..]));
    assert!(reader.array::<i16>().unwrap().eq([-1, 2, -3]));
    let mut rights = vec![reader.right(RightKind::SendOnce).unwrap()];
    let mut sends = reader.rights(RightKind::Send).unwrap();
    rights.extend(std::iter::from_fn(|| sends.take()));
    drop(sends);
    assert_eq!(rights.len(), 4);
    assert!(reader.numbers::<u32>().unwrap().iter().eq(0..3000));
    let bytes = reader.memory().unwrap();
    assert_eq!(bytes.len(), 70_001);
    assert!(bytes.chunks().flatten().all(|byte| *byte == 7));
    reader.end().unwrap();
    for right in rights {
        release(w, machine, right);
    }
}

#[test]
fn every_kind_of_item_travels_and_comes_back() {
    let (mut w, a, name, b, _port) = pair(&calm());
    let own = port(&mut w, 0);
    let message = write(&mut w, own);
    must(w.begin_call(0, a, name, message));
    let mut request = w.receive(1, b, _port).unwrap();
    read(&mut w, 1, &mut request);
    // The same message is written anew for the answer.
    request.write().unwrap().text("understood").unwrap();
    w.reply(1, request).unwrap();
    let mut reply = must(w.await_reply(0, a));
    let mut reader = reply.read().unwrap();
    assert_eq!(reader.text(), Ok("understood"));
    reader.end().unwrap();
    w.discard(0, reply).unwrap();
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn frames_are_lost_and_messages_stay_whole() {
    for seed in 0..8 {
        let config = Config {
            seed,
            audit_every: 0,
            ..Config::default()
        };
        let (mut w, a, name, b, port_of_b) = pair(&config);
        let own = port(&mut w, 0);
        for _ in 0..5 {
            let message = write(&mut w, own);
            must(w.send(0, a, name, message));
            let mut message = w.receive(1, b, port_of_b).unwrap();
            read(&mut w, 1, &mut message);
            w.discard(1, message).unwrap();
        }
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}

#[test]
fn a_message_keeps_the_byte_order_of_its_sender() {
    let (mut w, a, name, b, port) = pair(&calm());
    let other = match ByteOrder::NATIVE {
        ByteOrder::Little => ByteOrder::Big,
        ByteOrder::Big => ByteOrder::Little,
    };
    for typed in [false, true] {
        for order in [ByteOrder::NATIVE, other] {
            let mut message = w.message(0, b"");
            message.write().unwrap().u32(0x0102_0304).unwrap();
            let mut data = message.data().to_vec();
            if order == other {
                data[4..8].reverse();
                data[8..12].reverse();
            }
            message.set_data(&data).unwrap();
            message.set_format(Format::new(typed, order));
            must(w.send(0, a, name, message));
            let mut message = w.receive(1, b, port).unwrap();
            assert_eq!(message.format(), Format::new(typed, order));
            match message.read() {
                Ok(mut reader) => assert_eq!((typed, reader.u32()), (true, Ok(0x0102_0304))),
                Err(error) => assert_eq!((typed, error), (false, ReadError::NotTyped)),
            }
            w.discard(1, message).unwrap();
        }
    }
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn as_many_rights_as_there_can_be_travel_with_the_largest_data() {
    let (mut w, a, name, b, port_of_b) = pair(&calm());
    let own = port(&mut w, 0);
    for kind in [RightKind::Send, RightKind::SendOnce] {
        let mut message = w.message(0, b"");
        let mut rights = (0..MAX_RIGHTS)
            .map(|_| right(&mut w, 0, own, kind))
            .collect::<Vec<_>>();
        let mut writer = message.write().unwrap();
        writer.rights(kind, &mut rights).unwrap();
        writer.bytes(&[1; 8192 - 16]).unwrap();
        must(w.send(0, a, name, message));
        let mut message = w.receive(1, b, port_of_b).unwrap();
        let mut reader = message.read().unwrap();
        let mut array = reader.rights(kind).unwrap();
        rights.extend(std::iter::from_fn(|| array.take()));
        assert_eq!(rights.len(), MAX_RIGHTS);
        drop(array);
        assert_eq!(reader.bytes().unwrap().len(), 8192 - 16);
        reader.end().unwrap();
        w.discard(1, message).unwrap();
        for right in rights {
            release(&mut w, 1, right);
        }
    }
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

#[test]
fn dead_rights_arrive_as_the_kind_that_was_sent() {
    let (mut w, a, name, b, port_of_b) = pair(&calm());
    let own = port(&mut w, 0);
    let (send, once) = (
        right(&mut w, 0, own, RightKind::Send),
        right(&mut w, 0, own, RightKind::SendOnce),
    );
    let space = w.machine(0).space();
    let ipc = w.machine(0).node().ipc();
    ipc.deallocate(space, own, RightKind::Receive).unwrap();
    let mut message = w.message(0, b"");
    let mut writer = message.write().unwrap();
    writer.right(once).unwrap().right(send).unwrap();
    must(w.send(0, a, name, message));
    let mut message = w.receive(1, b, port_of_b).unwrap();
    let mut reader = message.read().unwrap();
    let once = reader.right(RightKind::SendOnce).unwrap();
    let send = reader.right(RightKind::Send).unwrap();
    w.discard(1, message).unwrap();
    release(&mut w, 1, once);
    release(&mut w, 1, send);
    w.give_up(0, name).unwrap();
    drained(&mut w);
}

/// Frames are lost, so that pages are sent again long after the sender wrote to its own.
#[test]
fn what_is_shared_is_sent_as_it_was() {
    for seed in 0..8 {
        let config = Config {
            seed,
            audit_every: 0,
            ..Config::default()
        };
        let (mut w, a, name, b, port) = pair(&config);
        let source = w.machine(0).node().source();
        let mut memory = Memory::copy_from(&[1; 40 * PAGE_SIZE], source).unwrap();
        for round in 1..6_u8 {
            let mut message = w.message(0, b"");
            let source = w.machine(0).node().source();
            let mut writer = message.write().unwrap();
            writer.u8(round).unwrap();
            writer.copied_memory(&memory, source).unwrap();
            must(w.send(0, a, name, message));
            for page in 0..40 {
                let source = w.machine(0).node().source();
                memory.page_mut(page, source).unwrap().fill(round + 1);
            }
            let mut message = w.receive(1, b, port).unwrap();
            let mut reader = message.read().unwrap();
            assert_eq!(reader.u8(), Ok(round));
            let received = reader.memory().unwrap();
            assert_eq!(received.len(), 40 * PAGE_SIZE);
            assert!(received.chunks().flatten().all(|byte| *byte == round));
            w.discard(1, message).unwrap();
        }
        w.give_up(0, name).unwrap();
        drained(&mut w);
    }
}
