//! What the two guests agree on between measurements.
//!
//! Owns: the connection over which the calling guest says what comes next, and the order: the
//! server is ready before the first operation, and both have ended before the next item.
//! Leaves to others: the operations (`datagrams`, `frames`, `streams`, `local`, `relays`).
//! Why this way: nothing travels on this connection while something is measured.

use crate::relays::Relay;
use crate::tracing::Tracing;
use crate::{datagrams, frames, guest, local, streams, stretch, sys};
use anyhow::{Context, Result, bail, ensure};
use norma_peer::plan::{Carrier, Item, Plan};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What the runner waits for, to tell how long a start takes.
const FIRST: &str = "peer: first call answered";

/// The port of the connection.
const PORT: u16 = 700;

/// How long the other guest may take to start.
const START: Duration = Duration::from_secs(30);

/// How long one try to reach it may take: a packet that nobody heard is not sent again sooner
/// than after a second by itself.
const TRY: Duration = Duration::from_millis(50);

/// How long the last word may take to leave.
const LINGER: Duration = Duration::from_millis(200);

/// How long anything may take. No operation does; what is lost is an error and not a pause.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Both directions of the connection.
struct Line {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Line {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let writer = stream.try_clone()?;
        let reader = BufReader::new(stream);
        Ok(Self { reader, writer })
    }

    fn say(&mut self, words: &str) -> Result<()> {
        Ok(self.writer.write_all(format!("{words}\n").as_bytes())?)
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line)?;
        ensure!(count > 0, "the other guest has gone away");
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, words: &str) -> Result<()> {
        let found = self.hear()?;
        ensure!(
            found == words,
            "the other guest says `{found}`, expected `{words}`"
        );
        Ok(())
    }

    fn ask(&mut self, words: &str, answer: &str) -> Result<()> {
        self.say(words)?;
        self.expect(answer)
    }
}

/// Serves all items of a plan.
pub fn serve(plan: &Plan) -> Result<()> {
    if let Some(relay) = relay_of_first(plan, true)? {
        relay.offer()?.answer_first()?;
        relay.end()?;
    }
    let listener = TcpListener::bind((guest::SERVER, PORT))?;
    let mut line = Line::new(listener.accept()?.0)?;
    line.expect("hello")?;
    line.say("hello")?;
    for _ in 0..plan.rounds {
        for item in &plan.items {
            line.expect(&item.name)?;
            serve_item(&mut line, item, plan.marked)
                .with_context(|| format!("serving {}", item.name))?;
        }
    }
    line.expect("bye")?;
    line.say("bye")?;
    // A machine that ends forgets what it has not sent yet; and the other, which ends when it has
    // that, need not live to acknowledge it.
    let begin = Instant::now();
    while sys::unacknowledged(&line.writer)? > 0 && begin.elapsed() < LINGER {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn serve_item(line: &mut Line, item: &Item, marked: bool) -> Result<()> {
    sys::set_mtu(item.mtu).context("setting the MTU")?;
    let relay = Relay::of(item, true)?;
    let tracing = marked.then(Tracing::begin).transpose()?;
    match item.carrier {
        Carrier::Raw => {
            let server = frames::Server::new(item)?;
            line.say("ready")?;
            server.run(item)?;
        }
        Carrier::Udp => {
            let server = datagrams::Server::new(item)?;
            line.say("ready")?;
            server.run(item)?;
        }
        Carrier::Tcp => {
            let server = streams::Server::new(item)?;
            line.say("ready")?;
            server.run(item)?;
        }
        // What is measured is in the other guest; this one counts what it does meanwhile.
        Carrier::Unix => {
            sys::open_serving();
            line.say("ready")?;
        }
        Carrier::Relay => {
            let server = relay.as_ref().context("no daemon")?.offer()?;
            line.say("ready")?;
            server.run(item)?;
        }
    }
    line.expect("end")?;
    tracing.map_or(Ok(()), |tracing| tracing.end(&item.name))?;
    if item.carrier == Carrier::Unix {
        sys::close_serving();
    }
    relay.map_or(Ok(()), Relay::end)?;
    line.say("ended")
}

/// Calls all items of a plan and prints what came of them.
pub fn call(plan: &Plan) -> Result<()> {
    if let Some(relay) = relay_of_first(plan, false)? {
        relay.first_call()?;
        println!("{FIRST}");
        relay.end()?;
    }
    let mut line = Line::new(connect()?)?;
    line.ask("hello", "hello")?;
    if !plan.is_of_relays() {
        println!("{FIRST}");
    }
    for round in 0..plan.rounds {
        for item in &plan.items {
            let called = call_item(&mut line, item, round, plan.marked);
            called.with_context(|| format!("calling {}", item.name))?;
        }
    }
    line.ask("bye", "bye")
}

fn call_item(line: &mut Line, item: &Item, round: usize, marked: bool) -> Result<()> {
    sys::set_mtu(item.mtu).context("setting the MTU")?;
    let relay = Relay::of(item, false)?;
    line.ask(&item.name, "ready")?;
    let tracing = marked.then(Tracing::begin).transpose()?;
    let mut outcome = match item.carrier {
        Carrier::Raw => frames::call(item),
        Carrier::Udp => datagrams::call(item),
        Carrier::Tcp => streams::call(item),
        Carrier::Unix => local::call(item),
        Carrier::Relay => relay.as_ref().context("no daemon")?.call(item),
    }?;
    tracing.map_or(Ok(()), |tracing| tracing.end(&item.name))?;
    line.ask("end", "ended")?;
    relay.map_or(Ok(()), Relay::end)?;
    stretch::print(item, round, &mut outcome);
    Ok(())
}

/// The daemon through which the first call is made, where all calls are made through daemons.
fn relay_of_first(plan: &Plan, serving: bool) -> Result<Option<Relay>> {
    let Some(item) = plan.items.first().filter(|_| plan.is_of_relays()) else {
        return Ok(None);
    };
    sys::set_mtu(item.mtu).context("setting the MTU")?;
    Relay::of(item, serving)
}

fn connect() -> Result<TcpStream> {
    let address = SocketAddr::from((guest::SERVER, PORT));
    let begin = Instant::now();
    loop {
        match TcpStream::connect_timeout(&address, TRY) {
            Ok(stream) => return Ok(stream),
            Err(error) if begin.elapsed() > START => {
                bail!("the serving guest is not to be reached: {error}");
            }
            // It refuses at once while it starts.
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
