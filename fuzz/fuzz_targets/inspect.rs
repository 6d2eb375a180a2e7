//! Fuzz: what a node says about itself, whatever is asked; and answers that no node gives.
//!
//! No question and no cursor may harm the node, or have it answer without an end; an answer is
//! bounded, and read by a tool as it was written. Bytes that are no answer are an error.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use norma_flip::Instant;
use norma_inspect::limits::PAGE;
use norma_inspect::page::END;
use norma_inspect::rows::{
    Counters, Exports, Imports, Kind, Names, Node as About, Ports, Sessions, Spaces, Text, Threads,
    text,
};
use norma_inspect::{Ended, Platform, Question, Row, Table, answer, read_page};
use norma_ipc::typed::ReadError;
use norma_ipc::{ByteOrder, Format, HeapPage, HeapPages, Ipc, Message, RightKind, SpaceId, ThreadId};
use norma_net::{Config, Node, NodeName};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    /// Of each port what is done with it; more than are asked for at a time.
    ports: Vec<u8>,
    threads: u8,
    questions: Vec<(u8, u64)>,
    big_endian: bool,
    /// A place of a real answer, and what is changed there.
    change: (u16, u8),
    bytes: &'a [u8],
}

/// Threads, of which every third has ended.
struct Fake(u32);

impl Platform for Fake {
    const NAME: &'static str = "fuzz";

    fn threads(&self) -> u32 {
        self.0
    }

    fn thread_places(&self) -> u32 {
        self.0
    }

    fn thread(&self, number: u32) -> Option<Threads> {
        (number % 3 != 2).then(|| Threads {
            name: text("a thread with a name that is longer than any should be, and longer"),
            ..Threads::default()
        })
    }

    fn task(&self, _: SpaceId) -> Text {
        text("image")
    }

    fn counters(&self, put: &mut dyn FnMut(Counters)) {
        put(Counters::new("last", Kind::Gauge, 1));
    }
}

/// Reads a page as a tool does that expects this table.
fn read(table: Table, message: &mut Message<HeapPage>) -> Result<(Ended, usize), ReadError> {
    fn rows<T: Row>(message: &mut Message<HeapPage>) -> Result<(Ended, usize), ReadError> {
        let mut rows = 0;
        let ended = read_page(&mut message.read()?, |row: T| {
            rows += 1;
            // What it says can be said again.
            row.parts(|texts, numbers| {
                let again = T::from_parts(texts, numbers.iter().copied());
                again.parts(|again, same| assert_eq!((again, same), (texts, numbers)));
            });
        })?;
        Ok((ended, rows))
    }
    match table {
        Table::Node => rows::<About>(message),
        Table::Threads => rows::<Threads>(message),
        Table::Ports => rows::<Ports>(message),
        Table::Names => rows::<Names>(message),
        Table::Spaces => rows::<Spaces>(message),
        Table::Sessions => rows::<Sessions>(message),
        Table::Exports => rows::<Exports>(message),
        Table::Imports => rows::<Imports>(message),
        Table::Counters => rows::<Counters>(message),
    }
}

fn node(case: &Case<'_>) -> Option<Node<HeapPages>> {
    let config = Config {
        name: NodeName::new("n")?,
        cluster: Config::cluster_identity("fuzz"),
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 65_521,
        receive_buffers: 64,
        seed: [1; 32],
    };
    let mut node = Node::new(config, HeapPages::default()).ok()?;
    for thread in 0..u32::from(case.threads) {
        node.ipc().register_thread(ThreadId(thread)).ok()?;
    }
    let space = node.ipc().create_space(2000).ok()?;
    for what in case.ports.iter().take(1000) {
        let name = node.ipc().allocate_port(space).ok()?;
        let ipc = node.ipc();
        match what % 5 {
            0 => {
                let right = ipc.make_right(space, name, RightKind::Send).ok()?;
                ipc.insert(space, right).ok()?;
            }
            1 => {
                let right = ipc.make_right(space, name, RightKind::SendOnce).ok()?;
                ipc.insert(space, right).ok()?;
                ipc.deallocate(space, name, RightKind::Receive).ok()?;
            }
            2 => ipc.deallocate(space, name, RightKind::Receive).ok()?,
            3 => {
                let thread = ThreadId(u32::from(*what));
                let _ = ipc.receive_or_wait(thread, space, name);
            }
            _ => {
                let _ = node.check_in(Instant(0), space, name, &format!("name {what}"));
            }
        }
    }
    Some(node)
}

fuzz_target!(|case: Case<'_>| {
    let Some(node) = node(&case) else { return };
    let platform = Fake(case.threads.into());
    let mut ipc = Ipc::<HeapPage>::new();
    let mut message = ipc.new_message().unwrap();
    for (number, start) in case.questions.iter().take(20) {
        let Some(table) = Table::from_number(u32::from(number % 10)) else {
            continue;
        };
        // A tool goes on from answer to answer; each leads on, so that it comes to the end.
        // Who asks behind the end is told so.
        let mut cursor = *start;
        loop {
            let question = Question { table, cursor };
            let mut writer = message.write().unwrap();
            answer(&node, &platform, Instant(7), question, &mut writer).unwrap();
            assert!(message.data().len() <= PAGE);
            let (ended, _) = read(table, &mut message).unwrap();
            assert!(ended.cursor > cursor.min(END - 1) && ended.now == 7);
            cursor = ended.cursor;
            if cursor == END {
                break;
            }
        }
        // Changed in one place it is read or refused.
        let place = usize::from(case.change.0) % message.data().len();
        message.data_mut()[place] ^= case.change.1;
        let _ = read(table, &mut message);
    }
    let _ = message.write().unwrap();
    if message.set_data(case.bytes).is_ok() {
        let order = match case.big_endian {
            true => ByteOrder::Big,
            false => ByteOrder::Little,
        };
        message.set_format(Format::new(true, order));
        let _ = Question::read(&mut message.read().unwrap());
        for table in Table::ALL {
            let _ = read(table, &mut message);
        }
    }
    ipc.discard(message);
});
