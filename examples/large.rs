//! Sixteen megabytes in one message: pages that are handed over and never copied.
//!
//!     cargo norma up examples/large.toml
#![no_std]
#![no_main]

use core::time::Duration;
use norma_boot::{
    Failure, Frames, Memory, Message, Node, PAGE_SIZE, Page, PageSource, ReceiveRight, println,
};

norma_boot::image!(main);

const BYTES: usize = 16 << 20;

fn main(node: Node) -> Result<(), Failure> {
    match node.argument("role") {
        Some("server") => serve(),
        _ => ask(&node),
    }
}

/// Adds up all bytes of each request, and answers with the sum alone.
fn serve() -> Result<(), Failure> {
    let port = ReceiveRight::new()?;
    port.make_send()?.check_in("sum")?;
    let mut message = port.receive()?;
    loop {
        // Taken out, so that it does not go back with the answer.
        let memory = message.take_memory();
        message.set_data(&sum(&memory).to_le_bytes())?;
        message = port.reply_and_receive(message)?;
    }
}

fn sum(memory: &Memory) -> u64 {
    let bytes = memory.chunks().flatten();
    bytes.map(|byte| u64::from(*byte)).sum()
}

/// A region whose pages are filled in place: nobody else has them yet.
fn filled() -> Option<Memory> {
    let mut memory = Memory::new();
    memory.reserve(BYTES / PAGE_SIZE).ok()?;
    for _ in 0..BYTES / PAGE_SIZE {
        let mut page = Frames.allocate()?;
        page.bytes_mut()?.fill(3);
        memory.push(page, PAGE_SIZE).ok()?;
    }
    Some(memory)
}

fn ask(node: &Node) -> Result<(), Failure> {
    let service = node.wait_for("sum", Duration::from_secs(20))?;
    let memory = filled().ok_or(Failure::NoMemory)?;
    let expected = sum(&memory);
    let mut message = Message::new()?;
    message
        .replace_memory(memory)
        .map_err(|_| Failure::NoMemory)?;
    let began = node.now();
    let answer = service.call(message)?;
    let time = (node.now() - began) / 1_000_000;
    assert_eq!(answer.data(), expected.to_le_bytes());
    println!("{BYTES} bytes were summed on another node in {time} ms");
    Ok(())
}
