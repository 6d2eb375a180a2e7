//! A visit to a running node: joining its network, asking, leaving.

use crate::link::door::{self, Joined};
use crate::running::{self, NETWORK};
use crate::signals::Orderly;
use crate::status::{Ended, Status};
use anyhow::Context as _;
use netmsgd::{Daemon, Identity, LinkArgument, Listener};
use norma_client::{Failure, Message, Node, SendRight};
use norma_inspect::page::END;
use norma_inspect::{Ended as PageEnd, Question, Row, read_page};
use norma_net::NodeName;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// The slot of the port at which a node answers for itself, and the question's identifier there
/// (docs/wire.md, W-97 and W-143).
const HOST_PORT: u32 = 2;
const INSPECT: u32 = 4;

/// The identifier of an answer from a node that does not know the question.
const NOT_SUPPORTED: u32 = 2;

/// Rows of one table that are taken: several times what a node can have of anything. A node that
/// sends rows for ever is not believed.
const ROWS: usize = 4 << 20;

/// Pages of this process that what comes from the network may occupy, 16 MiB.
const PAGES: usize = 4096;

/// How the names of visitors begin; behind it is the process number.
pub const VISITOR: &str = "visitor-";

/// How long a visitor stays when it has nothing more to ask: twice what acknowledgements wait.
const LEAVE: Duration = Duration::from_millis(20);

/// A stay on the network of a node, which can be asked.
pub struct Visit {
    /// The cluster's name.
    pub cluster: String,
    /// The node.
    pub node: Asked,
    // Behind the right, which is given up through it.
    client: Node,
    _visitor: Visitor,
}

/// A node that can be asked.
pub struct Asked {
    /// Its name.
    pub name: String,
    port: SendRight,
    patience: Duration,
}

/// This process as a node, which ends with this value.
struct Visitor {
    // A request to end leaves it the time to say that it goes.
    _orderly: Orderly,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
    _joined: Joined,
    _folder: tempfile::TempDir,
}

impl Visit {
    /// Goes to the node that a user calls `wanted`.
    ///
    /// # Errors
    /// There is no such node, its network cannot be joined, or it does not answer.
    pub fn new(wanted: &str, patience: Duration) -> anyhow::Result<Self> {
        let (cluster, node) =
            running::find(wanted).map_err(|error| Ended::new(Status::Usage, error.to_string()))?;
        let Ok(socket) = node.socket(NETWORK) else {
            let text = format!(
                "node {} cannot be reached: it is joined directly to another one, or on no network; \
                 start the cluster by `cargo norma up` without `--direct`",
                node.name
            );
            return Err(Ended::new(Status::Failed, text).into());
        };
        let joined = door::join(socket)
            .with_context(|| format!("cannot join the network of cluster {}", cluster.name))?;
        let cluster = joined.welcome.cluster.clone();
        let (visitor, client) = Visitor::begin(joined)?;
        Ok(Self {
            node: Asked::new(&client, &node.name, patience)?,
            cluster,
            client,
            _visitor: visitor,
        })
    }

    /// Another node of the same cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub fn other(&self, name: &str) -> anyhow::Result<Asked> {
        Asked::new(&self.client, name, self.node.patience)
    }
}

impl Asked {
    fn new(client: &Node, name: &str, patience: Duration) -> anyhow::Result<Self> {
        let port = client.special_port(name, HOST_PORT).map_err(|failure| {
            let text = format!("node {name} does not answer: {failure}{}", way_out(name));
            Ended::new(Status::TimedOut, text)
        })?;
        Ok(Self {
            name: name.to_owned(),
            port,
            patience,
        })
    }

    /// A whole table, and the node's time when its last piece was taken.
    ///
    /// # Errors
    /// The node does not answer, or says that it does not know the question.
    pub fn table<T: Row>(&self) -> anyhow::Result<(Vec<T>, Duration)> {
        let mut rows = Vec::new();
        let mut cursor = 0;
        loop {
            let ended = self.page(cursor, &mut rows)?;
            if ended.cursor == END {
                return Ok((rows, Duration::from_nanos(ended.now)));
            }
            if ended.cursor <= cursor || rows.len() > ROWS {
                anyhow::bail!("node {} answers without an end", self.name);
            }
            cursor = ended.cursor;
        }
    }

    fn page<T: Row>(&self, cursor: u64, rows: &mut Vec<T>) -> anyhow::Result<PageEnd> {
        let mut message = Message::new();
        message.set_id(INSPECT);
        let question = Question {
            table: T::TABLE,
            cursor,
        };
        message.write_items::<Failure>(|writer| Ok(question.write(writer)?))?;
        let answer = self
            .port
            .call_timeout(message, self.patience)
            .map_err(|error| {
                let status = match error.failure {
                    Failure::TimedOut => Status::TimedOut,
                    _ => Status::Failed,
                };
                let way_out = match status {
                    Status::TimedOut => way_out(&self.name),
                    _ => String::new(),
                };
                let text = format!(
                    "node {} gives no answer: {}{way_out}",
                    self.name, error.failure
                );
                Ended::new(status, text)
            })?;
        match answer.id() {
            0 => {}
            NOT_SUPPORTED => {
                let text = format!(
                    "node {} does not tell about itself: its image was made with \
                     `image!(main, uninspected)`",
                    self.name
                );
                return Err(Ended::new(Status::Failed, text).into());
            }
            id => anyhow::bail!("node {} refuses to answer (identifier {id})", self.name),
        }
        let read = answer.read_items(|reader| read_page(reader, |row| rows.push(row)));
        read.map_err(|error: norma_ipc::typed::ReadError| {
            anyhow::anyhow!("node {} answers with nonsense: {error}", self.name)
        })
    }
}

/// How to see what a node does that does not say it itself.
fn way_out(node: &str) -> String {
    format!(
        ". `cargo norma gdb {node}` shows where it stands; of a cluster that is started by \
         `cargo norma up --timeout SECONDS`, each node that still runs then says what its threads do"
    )
}

impl Visitor {
    /// Begins to be a node on a port, and a task of it.
    fn begin(joined: Joined) -> anyhow::Result<(Self, Node)> {
        let folder = tempfile::tempdir().context("cannot make a folder for a socket")?;
        let socket = folder.path().join("socket");
        let untrusted = if joined.welcome.trusted {
            ""
        } else {
            ",untrusted"
        };
        let link = format!("dgram:{}{untrusted}", joined.end.as_raw_fd());
        let link: LinkArgument = link.parse().map_err(anyhow::Error::msg)?;
        let name = format!("{VISITOR}{}", std::process::id());
        let identity = Identity {
            name: NodeName::new(&name).unwrap_or_default(),
            cluster: joined.welcome.cluster.clone(),
            spin: Duration::ZERO,
            pages: PAGES,
        };
        let listener = Listener::bind(&socket, 0o600)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let end = stop.try_clone()?;
        // A daemon stays on the thread on which it was made.
        let (tell, told) = channel::<String>();
        let thread = std::thread::Builder::new()
            .name("visitor".into())
            .spawn(move || match Daemon::new(&identity, &[link], listener) {
                Err(error) => drop(tell.send(error.to_string())),
                Ok(mut daemon) => {
                    drop(tell);
                    // When it ends, whoever waits for it learns so from the socket.
                    let _ = daemon.run(Some(&end));
                }
            })?;
        if let Ok(error) = told.recv() {
            anyhow::bail!("this process cannot be a node: {error}");
        }
        let visitor = Self {
            _orderly: Orderly::begin(),
            stop,
            thread: Some(thread),
            _joined: joined,
            _folder: folder,
        };
        let client = Node::connect(&socket)?;
        Ok((visitor, client))
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // What was given up, and the acknowledgement of the last answer, get there: then the node
        // need not ask for a second whether this one is dead.
        std::thread::sleep(LEAVE);
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
