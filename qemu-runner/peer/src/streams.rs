//! Calls over a stream of bytes: TCP, and for callers on the same machine a unix socket.
//!
//! Owns: both sides over anything that is read and written; TCP's connections.
//! Leaves to others: unix sockets (`local`), the stretch, the message's form.
//! Why this way: a message is one `write` and, as it is known how long messages are, one `read`
//! where it came at once. The server has a thread per connection, as small servers have.

use crate::control::PATIENCE;
use crate::datagrams::BUSY;
use crate::message::{Header, check_reply};
use crate::stretch::{self, Outcome, Served, message_bytes};
use crate::{guest, sys};
use anyhow::{Context, Result, bail, ensure};
use norma_peer::plan::{HEADER, Item, Kind, Wait};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

const PORT: u16 = 702;

/// Reads a message that has `buffer.len()` bytes. False at the end of the stream.
#[inline]
fn read_message(stream: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    let mut have = 0;
    while have < buffer.len() {
        match stream.read(&mut buffer[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => bail!("the stream ended within a message"),
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("waiting for a message"),
        }
    }
    Ok(true)
}

/// Answers one connection until it ends or all operations are done.
pub fn answer(
    stream: &mut (impl Read + Write),
    item: &Item,
    mut one: impl FnMut() -> bool,
) -> Result<()> {
    let mut request = vec![0; message_bytes(item.request)];
    let mut reply = vec![0x5a; message_bytes(item.reply)];
    while read_message(stream, &mut request)? {
        let header = Header::read(&request)?;
        ensure!(
            (header.length as usize, header.reply as usize) == (item.request, item.reply),
            "this is not the next message: {header:?}"
        );
        if header.wants_reply {
            header.answer().write(&mut reply[..HEADER]);
            stream.write_all(&reply)?;
        }
        if !one() {
            break;
        }
    }
    Ok(())
}

/// A caller on a connection: what does one operation.
pub struct Caller<S> {
    stream: S,
    request: Vec<u8>,
    reply: Vec<u8>,
    header: Header,
}

impl<S: Read + Write> Caller<S> {
    /// On that connection.
    pub fn new(stream: S, item: &Item) -> Self {
        Self {
            stream,
            request: vec![0xa5; message_bytes(item.request)],
            reply: vec![0; message_bytes(item.reply)],
            header: Header {
                length: item.request as u32,
                reply: item.reply as u32,
                number: 0,
                wants_reply: true,
            },
        }
    }

    /// Sends message `number`; waits for its reply if one is wanted.
    #[inline]
    pub fn operate(&mut self, number: u32, wants_reply: bool) -> Result<()> {
        let header = Header {
            number,
            wants_reply,
            ..self.header
        };
        header.write(&mut self.request[..HEADER]);
        self.stream.write_all(&self.request)?;
        if wants_reply {
            ensure!(
                read_message(&mut self.stream, &mut self.reply)?,
                "no reply came"
            );
            check_reply(&self.reply, number, header.reply as usize)?;
        }
        Ok(())
    }
}

/// The calling side, over connections that are there.
pub fn operate<S: Read + Write + Send>(item: &Item, streams: Vec<S>) -> Result<Outcome> {
    let callers = streams.into_iter().map(|stream| Caller::new(stream, item));
    let mut callers: Vec<_> = callers.collect();
    match (&mut callers[..], item.kind) {
        ([alone], Kind::Call) => stretch::calls(item, |number| alone.operate(number, true)),
        ([alone], Kind::Stream) => {
            stretch::stream(item, |number, last| alone.operate(number, last))
        }
        (_, Kind::Call) => {
            let each = callers
                .iter_mut()
                .map(|caller| move |number| caller.operate(number, true));
            stretch::crowd(item, each.collect())
        }
        (_, Kind::Stream) => bail!("a stream has one sender"),
    }
}

fn prepare(stream: &TcpStream, item: &Item) -> Result<()> {
    stream.set_nodelay(true)?;
    sys::set_patience(stream, PATIENCE)?;
    if item.wait == Wait::Poll {
        sys::set_busy_poll(stream, BUSY)?;
    }
    Ok(())
}

/// The serving side of TCP.
pub struct Server(TcpListener);

impl Server {
    /// A port that takes connections from now on.
    pub fn new(_: &Item) -> Result<Self> {
        Ok(Self(TcpListener::bind((guest::SERVER, PORT))?))
    }

    /// Answers until all operations are done.
    pub fn run(self, item: &Item) -> Result<()> {
        let streams = (0..item.callers).map(|_| {
            let stream = self.0.accept()?.0;
            prepare(&stream, item)?;
            Ok(stream)
        });
        let mut streams = streams.collect::<Result<Vec<_>>>()?;
        let served = Served::new(item);
        if let [alone] = &mut streams[..] {
            return answer(alone, item, || served.one());
        }
        std::thread::scope(|scope| {
            let served = &served;
            let threads = streams.into_iter().map(|mut stream| {
                // Each connection ends with its caller.
                scope.spawn(move || {
                    answer(&mut stream, item, || {
                        served.one();
                        true
                    })
                })
            });
            let threads: Vec<_> = threads.collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a server panicked"))?
            })
        })
    }
}

/// The calling side of TCP.
pub fn call(item: &Item) -> Result<Outcome> {
    let streams = (0..item.callers).map(|_| {
        let stream = TcpStream::connect((guest::SERVER, PORT))?;
        prepare(&stream, item)?;
        Ok(stream)
    });
    operate(item, streams.collect::<Result<Vec<_>>>()?)
}
