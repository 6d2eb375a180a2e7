//! The node that asks.

use crate::server::{BROKER, COUNT, ECHO, FRONT, HOLD, NEVER, RELEASE, WHO};
use crate::{Doing, Error, pattern};
use alloc::vec::Vec;
use core::time::Duration;
use norma_boot::{Failure, Fate, Message, Node, ReceiveRight, SendRight, println};

/// How long to wait for the other node's names.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long an answer may take on a network that only loses and delays.
const ANSWER: Duration = Duration::from_secs(20);

/// How long to wait for an answer that may have been changed beyond recognition.
const LITTLE: Duration = Duration::from_millis(200);

/// Calls in a row that must be right for a network to count as healed.
const HEALED: u64 = 200;

pub fn number(node: &Node, key: &str, otherwise: u64) -> u64 {
    node.argument(key)
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

pub fn require(condition: bool, expectation: &'static str) -> Result<(), Error> {
    if condition {
        Ok(())
    } else {
        Err(Error::Wrong(expectation))
    }
}

pub fn call(service: &SendRight, message: Message) -> Result<Message, Failure> {
    service.call(message).map_err(|error| error.failure)
}

/// Calls the count with a number; the count that came back, if it is the answer to this number.
fn count(service: &SendRight, tag: u64, patience: Duration) -> Result<Option<u64>, Failure> {
    let message = Message::with_data(&tag.to_le_bytes())?;
    let answer = service
        .call_timeout(message, patience)
        .map_err(|error| error.failure)?;
    let (Some(count), Some(back)) = (
        answer.data().first_chunk::<8>(),
        answer.data().get(8..).and_then(<[u8]>::first_chunk),
    ) else {
        return Ok(None);
    };
    Ok((u64::from_le_bytes(*back) == tag).then_some(u64::from_le_bytes(*count)))
}

/// `n` calls, each of which must be carried out exactly once.
pub fn calls(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    let calls = number(node, "n", 2000);
    for i in 1..=calls {
        let count = count(&service, i, ANSWER).doing("calling `count`")?;
        require(
            count == Some(i),
            "a call was carried out not once, or got another's answer",
        )?;
        if i == calls / 10 {
            println!("a tenth is done");
        }
        if i == calls / 2 {
            println!("half is done");
        }
    }
    Ok(())
}

/// Calls through a network that changes bytes. What it does to answers cannot be known, as long
/// as nothing seals them; but nobody may fall, and when it ends all must be right again.
pub fn noise(node: &Node) -> Result<(), Error> {
    let (mut good, mut bad) = (0, 0);
    let mut service = None;
    let mut tag = 0;
    while good < HEALED {
        tag += 1;
        let right = match service.take() {
            Some(right) => Ok(right),
            None => node.wait_for(COUNT, PATIENCE),
        };
        let outcome = right.and_then(|right| {
            let count = count(&right, tag, LITTLE);
            service = Some(right);
            count
        });
        match outcome {
            Ok(Some(_)) => good += 1,
            Ok(None) => (good, bad) = (0, bad + 1),
            Err(failure) => {
                println!("{failure}");
                (good, bad, service) = (0, bad + 1, None);
            }
        }
    }
    println!("{bad} of {tag} calls went wrong before all was well");
    Ok(())
}

/// A message far larger than any frame, there and back, inline data beside it.
pub fn large(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(ECHO, PATIENCE).doing("looking `echo` up")?;
    for length in [
        0,
        1,
        4095,
        4096,
        4097,
        61_440,
        65_535,
        200_001,
        1 << 20,
        (3 << 20) + 17,
    ] {
        let data: Vec<u8> = pattern::bytes(length.min(8192)).collect();
        let memory: Vec<u8> = pattern::bytes(length).collect();
        let mut message = Message::with_data(&data).doing("a message")?;
        message.set_memory(&memory).doing("memory for a message")?;
        let answer = call(&service, message).doing("calling `echo`")?;
        require(answer.data() == data, "inline data came back otherwise")?;
        let same = pattern::matches(answer.memory().chunks(), length);
        require(same, "memory came back otherwise")?;
    }
    Ok(())
}

/// A name that nobody has: an error, and soon.
pub fn lookup(node: &Node) -> Result<(), Error> {
    let before = node.now();
    let found = node.look_up("nobody-has-this-name");
    let took = (node.now() - before) / 1_000_000;
    println!("looking up took {took} ms");
    require(
        matches!(found, Err(Failure::NameUnknown)),
        "the name is unknown",
    )?;
    require(took < 5_000, "the answer comes in a bounded time")
}

/// Messages of which the fate is told: to the other node, to this one, to a dead port.
pub fn confirmed(node: &Node) -> Result<(), Error> {
    let send = |right: &SendRight, text: &[u8]| {
        let message = Message::with_data(text)?;
        right.send_confirmed(message).map_err(|error| error.failure)
    };
    let never = node.wait_for(NEVER, PATIENCE).doing("looking `never` up")?;
    for _ in 0..40 {
        let fate = send(&never, b"note").doing("sending to the other node")?;
        require(
            fate == Fate::Delivered,
            "the other node says that it is there",
        )?;
    }
    let port = ReceiveRight::new().doing("making a port")?;
    let own = port.make_send().doing("making a send right")?;
    let fate = send(&own, b"own").doing("sending to this node")?;
    require(fate == Fate::Delivered, "it is in a queue of this node")?;
    let received = port.try_receive();
    require(
        received.is_ok_and(|message| message.data() == b"own"),
        "it is what was sent",
    )?;
    drop(port);
    let failure = send(&own, b"late").err();
    require(
        failure == Some(Failure::PortDied),
        "what was not sent comes back",
    )?;
    // What waits for room is told in time that there was none.
    let port = ReceiveRight::new().doing("making a port")?;
    let own = port.make_send().doing("making a send right")?;
    for _ in 0..16 {
        let fate = send(&own, b"").doing("filling a queue")?;
        require(fate == Fate::Delivered, "there is room")?;
    }
    let message = Message::with_data(b"one more").doing("a message")?;
    let late = own.send_confirmed_timeout(message, Duration::from_millis(5));
    require(
        late.is_err_and(|error| error.message.data() == b"one more"),
        "the message comes back when there was no room in time",
    )
}

/// A call to a node that dies before it answers.
pub fn death(node: &Node) -> Result<(), Error> {
    let never = node.wait_for(NEVER, PATIENCE).doing("looking `never` up")?;
    let before = node.now();
    let failure = call(&never, Message::new().doing("a message")?).err();
    let took = (node.now() - before) / 1_000_000;
    let named = match failure {
        Some(Failure::NodeDied { name, .. }) => name.as_str() == "b",
        _ => false,
    };
    println!("@death {{\"after_ms\":{took},\"named\":{named}}}");
    require(named, "the caller is told which node died")?;
    // The right is dead now: the next call must not wait for anybody.
    let before = node.now();
    let again = call(&never, Message::new().doing("a message")?);
    require(again.is_err(), "a call by a dead right fails")?;
    require(node.now() - before < 100_000_000, "and fails at once")
}

/// Which node answers: the one that `peer=` names.
pub fn who(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(WHO, PATIENCE).doing("looking `who` up")?;
    let peer = node.argument("peer").unwrap_or("b");
    for _ in 0..100 {
        let answer = call(&service, Message::new().doing("a message")?).doing("calling `who`")?;
        require(answer.data() == peer.as_bytes(), "a stranger answered")?;
    }
    Ok(())
}

/// A right that comes from one node and leads to another: `b` passes on what it found on `c`.
/// It is this node's own soon, and stays so when `b` dies.
pub fn third(node: &Node) -> Result<(), Error> {
    let broker = node
        .wait_for(BROKER, PATIENCE)
        .doing("looking `broker` up")?;
    let right = ask_broker(&broker)?;
    leads_to_c(&right)?;
    println!("ready for the death of b");
    while ask_broker(&broker).is_ok() {
        leads_to_c(&right)?;
    }
    println!("b is dead");
    for _ in 0..10 {
        leads_to_c(&right)?;
    }
    let direct = node.wait_for("c", PATIENCE).doing("looking `c` up again")?;
    leads_to_c(&direct)
}

/// A call that `b` passes on to `c`, which answers while `b` stands still. That `b` does is seen
/// by calls of its own: then `c` is asked to answer.
pub fn passed_on(node: &Node) -> Result<(), Error> {
    let front = node.wait_for(FRONT, PATIENCE).doing("looking `front` up")?;
    let hold = node.wait_for(HOLD, PATIENCE).doing("looking `hold` up")?;
    let b = node.wait_for("b", PATIENCE).doing("looking `b` up")?;
    let done = ReceiveRight::new().doing("making a port")?;
    for stands_still in [true, false] {
        let (front, tell) = (front.copy(), done.make_send());
        let (front, tell) = (front.doing("a copy")?, tell.doing("making a send right")?);
        let caller = move || {
            let answer = Message::with_data(b"question").map(|question| front.call(question));
            if let Ok(Ok(answer)) = answer {
                let _ = tell.send(answer);
            }
        };
        node.spawn("caller", 4, caller)
            .map_err(|_| Error::Wrong("a thread can be made"))?;
        let mut answers = true;
        while stands_still && answers {
            let question = Message::new().doing("a message")?;
            answers = b.call_timeout(question, Duration::from_millis(50)).is_ok();
        }
        // The second time the call may still be on its way to `c`.
        let answer = loop {
            let release = Message::with_data(RELEASE).doing("a message")?;
            call(&hold, release).doing("calling `hold`")?;
            match done.receive_timeout(Duration::from_millis(50)) {
                Ok(answer) => break answer,
                Err(error) if error.failure() == Failure::TimedOut => {}
                Err(_) => return Err(Error::Wrong("an answer comes")),
            }
        };
        require(answer.data() == b"question", "the call was answered")?;
        println!("answered");
        while stands_still && !answers {
            let question = Message::new().doing("a message")?;
            answers = b.call_timeout(question, Duration::from_millis(50)).is_ok();
        }
    }
    Ok(())
}

fn ask_broker(broker: &SendRight) -> Result<SendRight, Error> {
    let question = Message::with_data(b"c").doing("a message")?;
    let mut answer = call(broker, question).doing("asking the broker")?;
    let right = answer.take_right().doing("taking the right")?;
    right.ok_or(Error::Wrong("a right comes in the answer"))
}

fn leads_to_c(right: &SendRight) -> Result<(), Error> {
    for _ in 0..100 {
        let answer = call(right, Message::new().doing("a message")?).doing("calling `c`")?;
        require(answer.data() == b"c", "the right leads to `c`")?;
    }
    Ok(())
}

/// The other node dies and is started again: old rights are dead, new ones are to be had.
pub fn reborn(node: &Node) -> Result<(), Error> {
    let service = node.wait_for(COUNT, PATIENCE).doing("looking `count` up")?;
    let first = count(&service, 1, ANSWER).doing("calling `count`")?;
    require(first == Some(1), "the first call is the first")?;
    println!("ready for its death");
    let mut calls = 1;
    while count(&service, calls, ANSWER).is_ok() {
        calls += 1;
    }
    println!("it died after {calls} calls");
    let again = node
        .wait_for(COUNT, PATIENCE)
        .doing("looking `count` up again")?;
    let first = count(&again, 1, ANSWER).doing("calling the new `count`")?;
    require(first == Some(1), "a new incarnation begins anew")?;
    require(
        count(&service, 2, ANSWER).is_err(),
        "an old right stays dead",
    )
}
