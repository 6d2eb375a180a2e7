//! A client and a server that talk in typed items, so that machines of either byte order can be
//! at the two ends.
//!
//! `typed server SOCKET NAME` answers one request and ends; `typed client SOCKET NAME` makes it
//! and prints `ok` with the byte orders of both ends. The test of byte orders runs one of them on
//! a big-endian machine.
#![forbid(unsafe_code)]

use norma_client::{ByteOrder, Failure, Message, Node, ReceiveRight};
use norma_ipc::typed::ReadError;
use norma_ipc::{HeapPages, Memory};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers of every width that do not read the same from behind.
const NUMBERS: [u32; 5] = [1, 0x0102_0304, 0xfffe, 7 << 24, u32::MAX - 1];

/// Numbers that travel out of line, over several pages.
fn many() -> Vec<u64> {
    (0..3000).map(|at| at * 0x0001_0203_0405).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", socket, name] => serve(Path::new(socket), name),
        ["client", socket, name] => call(Path::new(socket), name),
        _ => Err("expected `server SOCKET NAME` or `client SOCKET NAME`".into()),
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn fill(message: &mut Message) -> Result<(), Failure> {
    let bytes: Vec<u8> = many().into_iter().flat_map(u64::to_ne_bytes).collect();
    message.write_items::<Failure>(|writer| {
        writer
            .u16(0x1234)?
            .i32(-70_000)?
            .u64(1 << 40)?
            .f64(-0.15625)?;
        writer.bool(true)?.text("größer")?.array(&NUMBERS)?;
        let mut source = HeapPages::default();
        let region = Memory::copy_from(&bytes, &mut source)?;
        let written = writer.numbers::<u64>(region, &mut source).map(drop);
        written.map_err(|_| Failure::NoMemory)
    })
}

fn check(message: &Message) -> Result<(), ReadError> {
    message.read_items(|reader| {
        assert_eq!((reader.u16()?, reader.i32()?), (0x1234, -70_000));
        assert_eq!((reader.u64()?, reader.f64()?), (1 << 40, -0.15625));
        assert_eq!((reader.bool()?, reader.text()?), (true, "größer"));
        assert!(reader.array::<u32>()?.eq(NUMBERS));
        let numbers = reader.numbers::<u64>()?;
        assert!(numbers.iter().eq(many()));
        match reader.peek()? {
            None => Ok(()),
            Some(_) => Err(ReadError::Leftover),
        }
    })
}

fn serve(socket: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let node = Node::connect(socket)?;
    let port = ReceiveRight::new(&node)?;
    let right = port.make_send()?;
    right.check_in(name)?;
    say("ready")?;
    let mut message = port.receive_timeout(PATIENCE)?;
    check(&message)?;
    fill(&mut message)?;
    message.reply()?;
    // Until the client has its answer and goes, so that the name does not end before.
    let _ = port.receive_timeout(PATIENCE);
    Ok(())
}

fn call(socket: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let node = Node::connect(socket)?;
    let service = node.wait_for(name, PATIENCE)?;
    let mut request = Message::new();
    fill(&mut request)?;
    let answer = service.call_timeout(request, PATIENCE)?;
    check(&answer)?;
    service.send(Message::new())?;
    say(&format!(
        "ok {:?} {:?}",
        ByteOrder::NATIVE,
        answer.format().order()
    ))?;
    Ok(())
}
