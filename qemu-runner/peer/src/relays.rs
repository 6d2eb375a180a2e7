//! Calls through `netmsgd`: a daemon in each guest, and programs that know only their own.
//!
//! Owns: a daemon's life, and both sides as programs on its client library.
//! Leaves to others: the stretch; what the daemon is started from (the runner puts it into the
//! memory file system).
//! Why this way: this is what anybody would write who has the daemon. It is started for each item
//! anew, so that nothing of it runs while others are measured.

use crate::stretch::{self, Outcome, Served};
use anyhow::{Context, Result, bail, ensure};
use norma_client::{Memory, Message, Node, ReceiveRight, SendRight};
use norma_peer::plan::{Carrier, DAEMON, Item, Kind, Wait};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOCKET: &str = "/netmsgd.sock";
const SERVICE: &str = "bench";

/// A packet socket: UDP would cost a tenth more, and has smaller frames.
const LINK: &str = "packet:eth0";

/// More than that travels out of line: what fits is quicker inline, up to the daemon's limit.
const INLINE: usize = 8192;

/// How long a daemon looks before it sleeps, in microseconds: longer than a round trip
/// takes, so that who polls does not sleep.
const SPIN: u64 = 2000;

/// How long the service may take to be found.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that runs, and this process as one of its programs.
pub struct Relay {
    daemon: Child,
    node: Node,
}

impl Relay {
    /// Starts the daemon that an item wants, if it wants one.
    pub fn of(item: &Item, serving: bool) -> Result<Option<Self>> {
        if item.carrier != Carrier::Relay {
            return Ok(None);
        }
        let spin = match item.wait {
            Wait::Block => 0,
            Wait::Poll => SPIN,
        };
        let mut daemon = Command::new(DAEMON)
            .args(["--until-eof", "--socket", SOCKET, "--cluster", "bench"])
            .args(["--node", if serving { "b" } else { "a" }])
            .args(["--link", LINK, "--spin", &spin.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {DAEMON}"))?;
        let said = daemon.stdout.take().context("the daemon has no output")?;
        let mut lines = BufReader::new(said).lines();
        loop {
            let line = lines.next().context("the daemon does not serve")??;
            if line.starts_with("ready ") {
                break;
            }
        }
        let node = Node::connect(Path::new(SOCKET))?;
        // A program does not spin: on one processor it would keep the daemon from running.
        Ok(Some(Self { daemon, node }))
    }

    /// Ends the daemon.
    pub fn end(self) -> Result<()> {
        let Self { mut daemon, node } = self;
        drop(node);
        drop(daemon.stdin.take());
        let status = daemon.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }

    /// Makes the service that requests go to.
    pub fn offer(&self) -> Result<Server> {
        let port = ReceiveRight::new(&self.node)?;
        port.set_queue_limit(64)?;
        port.make_send()?.check_in(SERVICE)?;
        Ok(Server(port))
    }

    /// The calling side.
    pub fn call(&self, item: &Item) -> Result<Outcome> {
        let service = self.node.wait_for(SERVICE, PATIENCE)?;
        let callers = (0..item.callers).map(|_| Ok(Caller::new(service.copy()?, item)));
        let mut callers: Vec<_> = callers.collect::<Result<_>>()?;
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

    /// Calls once, to have been answered for the first time.
    pub fn first_call(&self) -> Result<()> {
        let service = self.node.wait_for(SERVICE, PATIENCE)?;
        Ok(service.call(Message::new()).map(drop)?)
    }
}

/// The port of the service.
pub struct Server(ReceiveRight);

impl Server {
    /// Answers until all operations are done. What came is gone: an answer is as long as was
    /// agreed, with the identifier of its request.
    pub fn run(&self, item: &Item) -> Result<()> {
        let reply = vec![0x5a; item.reply];
        let served = Served::new(item);
        let mut request = self.0.receive()?;
        loop {
            ensure!(
                request.data().len() + request.memory().len() == item.request,
                "a request was cut"
            );
            let mut answer = Message::with_data(&reply)?;
            answer.set_id(request.id());
            let wanted = request.take_reply();
            drop(request);
            let more = served.one();
            request = match wanted {
                Some(right) if !more => return Ok(right.send(answer)?),
                Some(right) => {
                    answer.set_reply(right);
                    self.0.reply_and_receive(answer)?
                }
                None => self.0.receive()?,
            };
        }
    }

    /// Answers the one call of [`Relay::first_call`].
    pub fn answer_first(&self) -> Result<()> {
        Ok(self.0.receive()?.reply()?)
    }
}

/// What one thread calls with.
struct Caller {
    service: SendRight,
    data: Vec<u8>,
    /// Out of line; goes into each message and comes back.
    memory: Memory,
    reply: usize,
}

impl Caller {
    fn new(service: SendRight, item: &Item) -> Self {
        let (inline, outside) = match item.request {
            bytes @ ..=INLINE => (bytes, 0),
            bytes => (0, bytes),
        };
        Self {
            service,
            data: vec![0xa5; inline],
            memory: Memory::from_vec(vec![0xa5; outside]),
            reply: item.reply,
        }
    }

    /// Sends message `number`; waits for its reply if one is wanted.
    fn operate(&mut self, number: u32, wants_reply: bool) -> Result<()> {
        let mut message = Message::with_data(&self.data)?;
        message.set_id(number);
        message.replace_memory(std::mem::take(&mut self.memory))?;
        if !wants_reply {
            self.memory = self.service.send_keeping(message)?;
            return Ok(());
        }
        let (answer, memory) = self.service.call_keeping(message)?;
        self.memory = memory;
        ensure!(
            (answer.id(), answer.data().len()) == (number, self.reply),
            "expected the reply {number} of {} bytes, found {} of {}",
            self.reply,
            answer.id(),
            answer.data().len()
        );
        Ok(())
    }
}
