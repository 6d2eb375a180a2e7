//! A Linux program and a unikernel as nodes of one cluster: each calls the other.

use crate::Test;
use crate::lab::{Lab, deadline, ends};
use anyhow::{Context as _, Result, bail, ensure};
use norma_client::{
    Delivery, Failure, Message, Node, Notification, ReceiveRight, Right, SendRight,
};
use qemu_runner::daemon::{Daemon, DaemonPlan, PACKAGE};
use qemu_runner::qemu::Outcome;
use qemu_runner::run::{Plan, Run};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("daemon::linux_calls_a_unikernel", linux_calls),
        Test::new("daemon::a_unikernel_calls_linux", unikernel_calls),
    ]
}

const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon on the host's port of a cluster's network.
struct Host {
    node: Node,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Host {
    fn join(program: &Path, plan: &Plan, run: &Run) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let daemon = DaemonPlan {
            program: program.to_owned(),
            node: "linux".into(),
            cluster: "default".into(),
            socket: folder.path().join("socket"),
            networks: vec![true],
        };
        let switch = run.switch(0).context("no switch")?;
        let started = daemon.start(vec![switch.node_end(plan.host_station())?])?;
        Ok(Self {
            node: Node::connect(&daemon.socket)?,
            _daemon: started,
            _folder: folder,
        })
    }
}

/// Builds the daemon as the tests of the crates do: it is there already when they ran before. A
/// dry run needs none.
fn program(lab: &Lab) -> Result<PathBuf> {
    let folder = &lab.context().workspace.target;
    if !lab.is_dry() {
        let mut cargo = lab.context().cargo();
        cargo.args(["build", "--quiet", "--package", PACKAGE, "--bin", PACKAGE]);
        ensure!(cargo.status()?.success(), "netmsgd does not compile");
    }
    Ok(folder.join("debug").join(PACKAGE))
}

fn digest_of(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// A file as out-of-line memory, a right that is used by the other side, and its death.
fn linux_calls(lab: &Lab) -> Result<()> {
    let program = program(lab)?;
    let server = lab.node("b", "demo")?.argument("role=server");
    let plan = Plan::new(vec![server]).network("net", vec![0]).switched();
    lab.run(plan.clone(), |run| {
        run.expect("b", "serving", deadline())?;
        let host = Host::join(&program, &plan, run)?;
        let digest = host.node.wait_for("digest", PATIENCE)?;
        let file = lab.root().join("tests/data/northanger-abbey.txt");
        let text = std::fs::read(file)?;
        for bytes in [&text[..1], &text[..100_000], &text[..]] {
            let mut request = Message::new();
            request.set_memory(bytes)?;
            let answer = digest.call_timeout(request, PATIENCE)?;
            ensure!(answer.data() == digest_of(bytes), "another digest");
        }
        call_back(&host.node)?;
        hostile_questions(&host.node)?;

        // The machine stops; whoever has a right to it learns which it was.
        let news = ReceiveRight::new(&host.node)?;
        digest.notify_death(news.make_send_once()?)?;
        run.kill("b");
        match news.receive_any_timeout(PATIENCE)? {
            Delivery::Notification(Notification::DeadName {
                failure: Failure::NodeDied { name, .. },
                ..
            }) => ensure!(name == "b", "node {name} is said to have died"),
            other => bail!("expected the death of a node, got {other:?}"),
        }
        Ok(())
    })
}

/// The unikernel is given a right to a port here, uses it and gives it up.
fn call_back(node: &Node) -> Result<()> {
    let text = node.wait_for("text", PATIENCE)?;
    let port = ReceiveRight::new(node)?;
    let mut request = Message::with_data(b"called back")?;
    request.set_id(CALL_BACK);
    let Ok(()) = request.push_right(port.make_send()?) else {
        bail!("a message has room for a right");
    };
    let news = ReceiveRight::new(node)?;
    port.notify_no_senders(1, news.make_send_once()?)?;
    text.call_timeout(request, PATIENCE)?;
    let message = port.receive_timeout(PATIENCE)?;
    ensure!(message.data() == b"called back", "{:?}", message.data());
    match news.receive_any_timeout(PATIENCE)? {
        Delivery::Notification(Notification::NoSenders { .. }) => Ok(()),
        other => bail!("expected word of no senders, got {other:?}"),
    }
}

// The requests of the demo's text service.
const COUNT: u32 = 1;
const SEARCH: u32 = 2;
const DISCARD: u32 = 3;
const CALL_BACK: u32 = 4;

/// The demo's client runs in a unikernel; the services are threads of this process.
fn unikernel_calls(lab: &Lab) -> Result<()> {
    let program = program(lab)?;
    let file = lab.root().join("tests/data/northanger-abbey.txt");
    let client = lab.node("a", "demo")?.argument("role=client");
    let plan = Plan::new(vec![client.module(&file)])
        .network("net", vec![0])
        .switched();
    lab.run(plan.clone(), |run| {
        let host = Host::join(&program, &plan, run)?;
        let expected = digest_of(&std::fs::read(&file)?);
        serve(&host.node, "digest", |message| {
            let bytes = message.take_memory().into_vec()?;
            message.set_data(&digest_of(&bytes))
        })?;
        serve(&host.node, "text", text_service)?;
        serve(&host.node, "null", |_| Ok(()))?;
        let line = run.expect("a", "@demo", deadline())?;
        let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(line.contains(&format!("\"sha256\":\"{hex}\"")), "{line}");
        ensure!(
            line.contains("\"lines\":11,\"words\":22,\"bytes\":33"),
            "{line}"
        );
        ensure!(line.contains("\"callback_ok\":true"), "{line}");
        ends(run, "a", Outcome::Pass)
    })
}

/// Whatever is asked at a node's host port, and however, it answers, and goes on.
fn hostile_questions(node: &Node) -> Result<()> {
    const HOST_PORT: u32 = 2;
    const INSPECT: u32 = 4;
    let host = node.special_port("b", HOST_PORT)?;
    let ask = |mut message: Message| {
        message.set_id(INSPECT);
        let answer = host.call_timeout(message, PATIENCE)?;
        ensure!(answer.data().len() <= 4096, "{} bytes", answer.data().len());
        Ok(answer.id())
    };
    let question = |table: u32, cursor: u64| {
        let mut message = Message::new();
        message.write_items::<Failure>(|writer| {
            writer.u32(table)?.u64(cursor)?;
            Ok(())
        })?;
        ask(message)
    };
    for table in 0..12 {
        for cursor in [
            0,
            1,
            5000,
            u32::MAX.into(),
            1 << 32,
            3 << 31,
            u64::MAX - 1,
            u64::MAX,
        ] {
            let expected = if (1..=9).contains(&table) { 0 } else { 2 };
            let id = question(table, cursor)?;
            ensure!(id == expected, "table {table}, cursor {cursor:#x}: {id}");
        }
    }
    // No items, the wrong ones, and rights and memory that nobody asked for.
    let mut more = Message::with_data(b"what do you know?")?;
    ensure!(ask(more)? == 5, "bytes are no question");
    more = Message::new();
    more.write_items::<Failure>(|writer| {
        writer.text("1")?;
        Ok(())
    })?;
    ensure!(ask(more)? == 5, "a text is no question");
    let port = ReceiveRight::new(node)?;
    more = Message::new();
    let Ok(()) = more.push_right(port.make_send()?) else {
        bail!("a message has room for a right");
    };
    more.set_memory(&[7; 100_000])?;
    ensure!(ask(more)? == 5, "a right is no question");
    Ok(())
}

/// Answers calls to `name` until the daemon is gone.
fn serve(
    node: &Node,
    name: &'static str,
    answer: fn(&mut Message) -> Result<(), Failure>,
) -> Result<()> {
    let port = ReceiveRight::new(node)?;
    let right: SendRight = port.make_send()?;
    right.check_in(name)?;
    thread::spawn(move || {
        // The name lives as long as its port.
        let _right = right;
        let mut message = port.receive()?;
        loop {
            // A request that cannot be served is answered by dropping it: the caller learns.
            message = match answer(&mut message) {
                Ok(()) => port.reply_and_receive(message)?,
                Err(_) => port.receive()?,
            };
        }
        #[allow(unreachable_code)] // It gives the type.
        Ok::<(), norma_client::ReceiveError>(())
    });
    Ok(())
}

/// The demo's text service, with answers that can be told from its own.
fn text_service(message: &mut Message) -> Result<(), Failure> {
    let memory = message.take_memory();
    match message.id() {
        COUNT => {
            let numbers: Vec<u8> = [11_u64, 22, 33].map(u64::to_le_bytes).concat();
            message.set_data(&numbers)
        }
        SEARCH => message.set_data(&44_u64.to_le_bytes()),
        DISCARD => {
            drop(memory);
            message.set_data(&[])
        }
        CALL_BACK => {
            let Some(Right::Send(right)) = message.take_rights().pop() else {
                return Err(Failure::InvalidRight);
            };
            let back = Message::with_data(message.data())?;
            message.set_data(&[])?;
            right.send(back).map_err(Failure::from)
        }
        _ => Err(Failure::InvalidRight),
    }
}
