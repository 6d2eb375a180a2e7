//! Node `a`: finds the services, sends them the file, and measures.

use crate::text::Request;
use crate::{DIGEST, Doing, Error, NULL, TEXT};
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;
use norma_boot::{Failure, Memory, Message, Node, ReceiveRight, SendRight, println};

/// How long to wait for the other node to check its names in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Null calls that are measured.
const CALLS: usize = 10_000;

/// Null calls before the measured ones.
const WARM_UP: usize = 100;

/// Times that the file is sent to measure the throughput.
const TRANSFERS: u64 = 10;

/// What the search looks for unless `pattern=` says otherwise.
const PATTERN: &str = "the";

/// What comes back to the port whose right was sent in a message.
const GREETING: &[u8] = b"called back";

pub fn run(node: &Node) -> Result<(), Error> {
    let Some(file) = node.boot().module() else {
        return Err(Failure::Empty).doing("expected a file: QEMU's `-initrd FILE`");
    };
    let boot_us = node.now() / 1000;
    // The first look-up waits for the other node to come up; the second shows what one costs.
    let digests = node
        .wait_for(DIGEST, PATIENCE)
        .doing("looking `digest` up")?;
    let before = node.now();
    let texts = node.wait_for(TEXT, PATIENCE).doing("looking `text` up")?;
    let locate_us = (node.now() - before) / 1000;
    let nulls = node.wait_for(NULL, PATIENCE).doing("looking `null` up")?;

    let mut message = Message::new().doing("a message")?;
    message.set_memory(file).doing("memory for the file")?;
    let digest = digests.call(message).doing("calling `digest`")?;
    let counts = ask(&texts, Request::Count, &[], file)?;
    let pattern = node.argument("pattern").unwrap_or(PATTERN);
    let matches = ask(&texts, Request::Search, pattern.as_bytes(), file)?;
    let callback = call_back(&texts)?;
    let times = null_calls(node, &nulls)?;
    let rate = throughput(node, &texts, file)?;

    let mut hex = alloc::string::String::new();
    for byte in digest.data() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    println!(
        "@demo {{\"file_bytes\":{},\"sha256\":\"{hex}\",\"lines\":{},\"words\":{},\"bytes\":{},\
         \"pattern\":\"{}\",\"matches\":{},\"boot_us\":{boot_us},\"locate_us\":{locate_us},\
         \"rpc_n\":{CALLS},\"rpc_p50_ns\":{},\"rpc_p99_ns\":{},\"file_mb_per_s\":{}.{},\
         \"callback_ok\":{callback}}}",
        file.len(),
        number(&counts, 0),
        number(&counts, 1),
        number(&counts, 2),
        pattern.escape_default(),
        number(&matches, 0),
        percentile(&times, 50),
        percentile(&times, 99),
        rate / 10,
        rate % 10,
    );
    Ok(())
}

/// Sends the file to the text service, in one message.
fn ask(service: &SendRight, what: Request, data: &[u8], file: &[u8]) -> Result<Message, Error> {
    let mut message = Message::with_data(data).doing("a message")?;
    message.set_id(what as u32);
    message.set_memory(file).doing("memory for the file")?;
    service.call(message).doing("calling `text`")
}

/// The 64-bit number at `place` of an answer.
fn number(answer: &Message, place: usize) -> u64 {
    let bytes = answer.data().get(place * 8..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Sends a right to a port of this node inside a message, and waits for what comes to the port.
fn call_back(service: &SendRight) -> Result<bool, Error> {
    let port = ReceiveRight::new().doing("making a port")?;
    let right = port.make_send().doing("making a send right")?;
    let mut message = Message::with_data(GREETING).doing("a message")?;
    message.set_id(Request::CallBack as u32);
    message
        .push_right(right)
        .map_err(|_| Failure::NoMemory)
        .doing("a right in a message")?;
    service.call(message).doing("asking to be called back")?;
    let called = port
        .receive_timeout(Duration::from_secs(5))
        .doing("waiting to be called back")?;
    Ok(called.data() == GREETING)
}

/// Calls a service that does nothing, again and again; sorted times in nanoseconds.
fn null_calls(node: &Node, service: &SendRight) -> Result<Vec<u64>, Error> {
    let mut times = Vec::with_capacity(CALLS);
    let mut message = Message::new().doing("a message")?;
    for call in 0..WARM_UP + CALLS {
        let before = node.now();
        message = service.call(message).doing("calling `null`")?;
        if call >= WARM_UP {
            times.push(node.now() - before);
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// Sends the file again and again; tenths of megabytes (10^6 bytes) per second.
fn throughput(node: &Node, service: &SendRight, file: &[u8]) -> Result<u64, Error> {
    let mut memory = Vec::new();
    for _ in 0..TRANSFERS {
        memory.push(filled(file)?);
    }
    let before = node.now();
    for memory in memory {
        let mut message = Message::new().doing("a message")?;
        message.set_id(Request::Discard as u32);
        message
            .replace_memory(memory)
            .map_err(|_| Failure::NoMemory)
            .doing("the file")?;
        service.call(message).doing("sending the file")?;
    }
    let took = (node.now() - before).max(1);
    Ok(file.len() as u64 * TRANSFERS * 10_000 / took)
}

/// The file in frames of its own, as a message takes it.
fn filled(file: &[u8]) -> Result<Memory, Error> {
    let mut message = Message::new().doing("a message")?;
    message.set_memory(file).doing("memory for the file")?;
    Ok(message.take_memory())
}

/// The value that so many per cent of the sorted ones do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted
        .get(sorted.len().saturating_sub(1) * percent / 100)
        .copied()
        .unwrap_or(0)
}
