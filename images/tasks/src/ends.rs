//! How tasks end, by themselves and by others, and that nothing of them stays.

use crate::{Failure, check, program, start, succeeds, trial};
use core::time::Duration;
use norma_boot::{Message, Node, Notification, ReceiveRight, println};
use norma_kernel::memory::free_frames;
use norma_kernel::task::{End, Options, StartError, Task};

/// Programs that never give way do not keep others from running, nor from ending them.
pub fn preemption(node: &Node) -> Result<(), Failure> {
    let spinners = [trial(node, "spin")?, trial(node, "spin")?];
    succeeds(node, "exit 0")?;
    node.sleep(Duration::from_millis(50))?;
    succeeds(node, "ports")?;
    for spinner in spinners {
        check(spinner.ended().is_none(), "it runs on")?;
        spinner.kill();
        check(spinner.wait() == End::Killed, "it was killed")?;
    }
    let sleepers = [trial(node, "sleep")?, trial(node, "wait")?];
    node.sleep(Duration::from_millis(20))?;
    for sleeper in sleepers {
        sleeper.kill();
        check(sleeper.wait() == End::Killed, "so was one that waits")?;
    }
    Ok(())
}

/// What a program may not do, and the exception that it ends with.
const FAULTS: [(&str, u64); 17] = [
    ("null", 14),
    ("kernel", 14),
    ("write-code", 14),
    ("execute", 14),
    ("jump", 14),
    ("canonical", 13),
    ("stack", 14),
    ("divide", 0),
    ("invalid", 6),
    ("halt", 13),
    ("cli", 13),
    ("port", 13),
    ("msr", 13),
    ("control", 13),
    ("interrupt", 13),
    ("trap", 1),
    ("no-stack", 14),
];

/// How often each is done, so that what one task leaves is told from what the last has not given
/// back yet.
const PASSES: usize = 4;

/// Each fault ends its task and nothing else, and gives back what the task had.
pub fn faults(node: &Node) -> Result<(), Failure> {
    let bystander = trial(node, "echo")?;
    // The first time stacks are made, which are kept for the next thread.
    each_fault(node)?;
    let before = free_frames();
    for _ in 0..PASSES {
        each_fault(node)?;
    }
    let after = free_frames();
    println!("frames free before {before}, after {after}");
    // A task that has ended may have its thread's stack and its record for a moment longer. If
    // each kept a frame, twice as many would be missing as that may take.
    check(
        after + PASSES * FAULTS.len() / 2 > before,
        "its memory is free again",
    )?;
    let mut message = Message::new()?;
    message.set_id(5);
    let answer = bystander
        .port()
        .call(message)
        .map_err(|error| error.failure)?;
    check(answer.id() == 6, "others live on")?;
    bystander.kill();
    check(bystander.wait() == End::Killed, "until they are ended")
}

fn each_fault(node: &Node) -> Result<(), Failure> {
    for (what, expected) in FAULTS {
        let end = trial(node, what)?.wait();
        println!("{what}: {end}");
        let as_expected = matches!(end, End::Faulted { vector, .. } if vector == expected);
        check(as_expected, "a fault ends a task")?;
    }
    Ok(())
}

/// Whoever waits for a task learns of its death.
pub fn death(node: &Node) -> Result<(), Failure> {
    let task = trial(node, "unanswered")?;
    let news = ReceiveRight::new()?;
    let right = task.port().copy()?;
    right
        .notify_death(news.make_send_once()?)
        .map_err(|error| error.failure)?;
    let refused = task.port().call(Message::new()?).err();
    let failure = refused.map(|error| error.failure);
    check(
        failure == Some(norma_boot::Failure::Unanswered),
        "the call comes to nothing",
    )?;
    let told = news.receive_any()?;
    let dead = matches!(
        told,
        norma_boot::Delivery::Notification(Notification::DeadName { .. })
    );
    check(dead && right.is_dead(), "its port dies with it")?;
    check(matches!(task.wait(), End::Faulted { .. }), "by a fault")
}

/// What is no program is refused, and costs nothing.
pub fn refused(node: &Node) -> Result<(), Failure> {
    let file = program(node, "trial")?;
    succeeds(node, "exit 0")?;
    let before = free_frames();
    let cut = Task::start(&file[..file.len() / 2], Options::named("cut"));
    check(
        matches!(cut.err(), Some(StartError::Program(_))),
        "half a file",
    )?;
    let small = Options {
        pages: 8,
        ..Options::named("small")
    };
    let small = Task::start(file, small);
    check(
        small.err() == Some(StartError::NoMemory),
        "a quota too small",
    )?;
    check(free_frames() + 2 > before, "its memory is free again")?;
    let exit = trial(node, "exit 77")?.wait();
    check(exit == End::Exited(77), "a program ends as it says")
}

/// A program that means harm, and a node that works on.
pub fn hostile(node: &Node) -> Result<(), Failure> {
    let bystander = trial(node, "echo")?;
    let calls = node.argument("calls").unwrap_or("100000");
    let seed = node.argument("seed").unwrap_or("1");
    let mut arguments = heapless_text(calls, seed);
    let task = start(node, "hostile", arguments.as_text())?;
    let end = task.wait();
    println!("hostile: {end}");
    arguments.clear();
    check(end == End::Exited(0), "it made all its calls")?;
    let mut message = Message::new()?;
    message.set_id(5);
    let answer = bystander
        .port()
        .call(message)
        .map_err(|error| error.failure)?;
    check(answer.id() == 6, "others live on")?;
    succeeds(node, "ports")
}

/// Two words with a space between.
struct Text {
    bytes: [u8; 64],
    length: usize,
}

fn heapless_text(one: &str, two: &str) -> Text {
    let mut text = Text {
        bytes: [0; 64],
        length: 0,
    };
    for byte in one.bytes().chain([b' ']).chain(two.bytes()).take(64) {
        text.bytes[text.length] = byte;
        text.length += 1;
    }
    text
}

impl Text {
    fn as_text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.length = 0;
    }
}
