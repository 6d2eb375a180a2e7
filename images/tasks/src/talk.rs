//! Threads of the kernel and programs talk to each other.

use crate::{Failure, check, trial};
use norma_boot::{Frames, Memory, Message, Node, PageSource, ReceiveRight, SendRight};
use norma_kernel::task::End;

/// In both directions, and between two programs.
pub fn all(node: &Node) -> Result<(), Failure> {
    to_program(node)?;
    from_program(node)?;
    let (server, client) = (trial(node, "echo between")?, trial(node, "client between")?);
    check(
        client.wait() == End::Exited(0),
        "a program is answered by a program",
    )?;
    check(server.wait() == End::Exited(0), "which ends when told")
}

/// Many empty calls from one program to another.
pub fn null(node: &Node) -> Result<(), Failure> {
    let (server, client) = (trial(node, "echo null")?, trial(node, "measure null")?);
    check(client.wait() == End::Exited(0), "all are answered")?;
    check(server.wait() == End::Exited(0), "and the server ends")
}

fn to_program(node: &Node) -> Result<(), Failure> {
    let task = trial(node, "echo")?;
    let port = ReceiveRight::new()?;
    let mut message = Message::with_data(b"a thread of the kernel")?;
    message.set_memory(&[3; 10_000])?;
    message.push_send_to(&port)?;
    message.set_id(1);
    let mut answer = task.port().call(message).map_err(|error| error.failure)?;
    check(answer.id() == 2, "the program answers")?;
    check(answer.data() == b"a thread of the kernel", "with the data")?;
    let memory: Memory = answer.take_memory();
    let mut bytes = [0; 10_000];
    check(
        memory.read_at(0, &mut bytes) && bytes == [3; 10_000],
        "with the memory",
    )?;
    let right = answer.take_right()?;
    check(
        right.is_some_and(|right| right.name() == port.name()),
        "with the right",
    )?;
    let refused = Frames.allocate();
    check(refused.is_some(), "and memory is left")?;
    answer.clear_data();
    answer.set_id(0);
    task.port().call(answer).map_err(|error| error.failure)?;
    check(task.wait() == End::Exited(0), "it ends when told")
}

fn from_program(node: &Node) -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?
        .check_in("kernel")
        .map_err(norma_boot::Failure::from)?;
    let task = trial(node, "client kernel")?;
    let mut message = port.receive().map_err(norma_boot::Failure::from)?;
    while message.id() != 0 {
        message.set_id(message.id() + 1);
        message = port
            .reply_and_receive(message)
            .map_err(norma_boot::Failure::from)?;
    }
    message.reply().map_err(norma_boot::Failure::from)?;
    check(task.wait() == End::Exited(0), "the program is answered")
}

/// A program reads the items that a thread of the kernel wrote, and the other way round.
pub fn typed(node: &Node) -> Result<(), Failure> {
    let task = trial(node, "typed")?;
    check(understood(task.port())?, "the answer says what it should")?;
    check(task.wait() == End::Exited(0), "the program read all")
}

fn understood(program: &SendRight) -> Result<bool, norma_boot::Failure> {
    let port = ReceiveRight::new()?;
    let mut numbers = [0; 9000];
    numbers
        .iter_mut()
        .step_by(8)
        .for_each(|lowest: &mut u8| *lowest = 5);
    let memory = Memory::copy_from(&numbers, &mut Frames)?;
    let mut message = Message::new()?;
    let mut writer = message.write();
    writer.u32(41)?.text("seven")?.make_send(&port)?;
    writer.numbers::<u64>(memory)?;
    let mut answer = program.call(message)?;
    let mut reader = answer.read()?;
    let values = reader.u32()? == 42 && reader.text()? == "seven" && reader.u64()? == 5 * 1125;
    let right = reader.send_right()?;
    let memory = reader.memory()?;
    reader.end()?;
    let mut bytes = [0; 9000];
    let whole = memory.read_at(0, &mut bytes) && bytes == numbers;
    Ok(values && whole && right.name() == port.name())
}

/// The side of a test on two nodes that is asked: by programs, and of what its kernel does.
pub fn asked(node: &Node) -> Result<(), Failure> {
    let holder = trial(node, "hold")?;
    // It answers when the name is surely its own.
    let held = holder.port().call(Message::new()?);
    held.map_err(|error| error.failure)?;
    node.register_entry("worker", 3, |start| {
        let right = start.message.take_right().ok().flatten();
        let told = Message::with_data(start.message.data());
        if let (Some(right), Ok(told)) = (right, told) {
            // Whoever began this waits, and notices if nothing comes.
            let _ = right.send(told);
        }
    })?;
    crate::succeeds(node, "echo far")?;
    check(holder.ended().is_none(), "the name was held all the time")
}
