//! A port that moves to a node that is killed, while threads on two other nodes send to it and
//! call it: whoever it may concern learns it, and nobody waits for ever.
//!
//! `a` makes a port in each round and sends it to `b`, which sends it back in every second round,
//! and so on. When `b` dies the port is there and dies too, or it is at `a`, which goes on
//! receiving from it for a while. A round is over when each sender has been told that the port is
//! dead, and has come back for the port of the next round.

use crate::client::{PATIENCE, call, number, require};
use crate::server::port;
use crate::{Doing, Error};
use alloc::vec;
use alloc::vec::Vec;
use norma_boot::{
    CallError, Delivery, Failure, Message, Node, Notification, PortSet, ReceiveRight, SendRight,
    println,
};

/// Where the mortal node takes ports.
const DOOR: &str = "door of b";
/// Where senders wait for the next round.
const ROUNDS: &str = "rounds";

/// Senders on each of the two nodes that live.
const THREADS: u32 = 3;
const SENDERS: usize = 2 * THREADS as usize;

/// One message in so many is a call.
const CALLS: u32 = 4;

/// Messages that are taken before the port moves on.
const TAKEN: usize = 20;

/// How a round ended for a sender.
const BEGINS: u32 = 0;
const NODE_DIED: u32 = 1;
const PORT_DIED: u32 = 2;

/// The node that will be killed: sends back the ports that come with a right to send them to.
pub fn mortal(_: &Node) -> Result<(), Error> {
    let door = port(DOOR)?;
    let mut kept = vec![];
    println!("serving");
    loop {
        let mut message = door
            .receive()
            .map_err(|error| Error::Failed("receiving", error.failure()))?;
        let here = message.take_receive().doing("taking the port")?;
        let here = here.ok_or(Error::Wrong("a port comes"))?;
        match message.take_right().doing("taking the way back")? {
            Some(back) => {
                serve_own(&here, &mut [0; SENDERS])?;
                let moved = travel(here, &back, &back);
                moved.map_err(|(failure, _)| Error::Failed("sending a port back", failure))?;
            }
            None => {
                serve_own(&here, &mut [0; SENDERS])?;
                kept.push(here);
            }
        }
    }
}

/// Takes so many messages: those of one sender in order, and none twice. `false` if the port is
/// dead: the node from which it came died before all of it was here.
fn serve(port: &ReceiveRight, count: usize, next: &mut [u32; SENDERS]) -> Result<bool, Error> {
    for _ in 0..count {
        let message = match port.receive().map_err(|error| error.failure()) {
            Ok(message) => message,
            Err(Failure::NodeDied { .. }) => return Ok(false),
            Err(failure) => return Err(Error::Failed("receiving", failure)),
        };
        let (sender, sent) = pair(&message)?;
        let next = next.get_mut(sender as usize);
        let next = next.ok_or(Error::Wrong("senders have small numbers"))?;
        // What died with a node, or was taken by another, is missing.
        require(
            *next <= sent,
            "each sender's messages come once and in order",
        )?;
        *next = sent + 1;
        if message.expects_reply() {
            // A caller that is gone needs no answer.
            let _ = message.reply();
        }
    }
    Ok(true)
}

/// The same with a port that only this node can lose.
fn serve_own(port: &ReceiveRight, next: &mut [u32; SENDERS]) -> Result<(), Error> {
    let lives = serve(port, TAKEN, next)?;
    require(lives, "a port of this node does not die with another")
}

fn pair(message: &Message) -> Result<(u32, u32), Error> {
    let (words, _) = message.data().as_chunks::<4>();
    match *words {
        [sender, number] => Ok((u32::from_le_bytes(sender), u32::from_le_bytes(number))),
        _ => Err(Error::Wrong("a message says who sent it")),
    }
}

/// Sends a port to another node, with a copy of the right by which it is to come back.
fn travel(
    port: ReceiveRight,
    to: &SendRight,
    back: &SendRight,
) -> Result<(), (Failure, Option<ReceiveRight>)> {
    let failed = |failure| (failure, None);
    let mut message = Message::new().map_err(failed)?;
    if let Err(error) = message.push_right(port) {
        return Err((error.failure, Some(error.right)));
    }
    message.push_copy(back).map_err(failed)?;
    let Err(mut refused) = to.send(message) else {
        return Ok(());
    };
    // All is in it that was.
    let port = refused.message.take_receive().map_err(failed)?;
    Err((refused.failure, port))
}

/// The node that sends ports to the mortal one.
struct Keeper<'n> {
    node: &'n Node,
    /// Ports that come back come here, and the news of the other node's death.
    home: ReceiveRight,
    back: SendRight,
    /// Senders that have no port come here.
    rounds: ReceiveRight,
    set: PortSet,
    /// Those that wait there.
    idle: Vec<Message>,
    /// How often each thing was the end.
    ends: [u32; 3],
}

pub fn survivor(node: &Node) -> Result<(), Error> {
    let home = ReceiveRight::new().doing("making a port")?;
    let mut keeper = Keeper {
        node,
        back: home.make_send().doing("making a send right")?,
        home,
        rounds: port(ROUNDS)?,
        set: PortSet::new().doing("making a set")?,
        idle: vec![],
        ends: [0; 3],
    };
    for member in [&keeper.home, &keeper.rounds] {
        keeper.set.add(member).doing("filling the set")?;
    }
    senders(node)?;
    let rounds = number(node, "rounds", 1);
    for round in 0..rounds {
        keeper.round(round)?;
    }
    let [_, node_died, port_died] = keeper.ends;
    println!("{node_died} times the port died with its node, {port_died} times at home");
    require(
        node_died + port_died == rounds as u32 * SENDERS as u32,
        "each sender learns of each death",
    )?;
    require(node_died > 0, "some learn that the node has died")
}

impl Keeper<'_> {
    fn round(&mut self, round: u64) -> Result<(), Error> {
        let there = self.node.wait_for(DOOR, PATIENCE).doing("looking `b` up")?;
        while self.idle.len() < SENDERS {
            let message = self
                .rounds
                .receive()
                .map_err(|error| Error::Failed("receiving", error.failure()))?;
            self.ended(message);
        }
        let news = self.home.make_send_once().doing("a send-once right")?;
        let asked = there.notify_death(news);
        asked.map_err(|refused| Error::Failed("asking for news", refused.failure))?;
        let here = ReceiveRight::new().doing("making a port")?;
        for mut message in self.idle.drain(..) {
            message.push_send_to(&here).doing("a right to the port")?;
            let answered = message.reply().map_err(|error| error.failure);
            answered.doing("beginning a round")?;
        }
        let mut next = [0; SENDERS];
        serve_own(&here, &mut next)?;
        println!("round {round}");
        let stays = round.is_multiple_of(2);
        let mut dead = !self.send_there(here, &there, stays, &mut next)?;
        // Until the node is dead, and all senders know that the port is.
        while !dead || self.idle.len() < SENDERS {
            match self.set.receive_any().doing("waiting for what comes")? {
                Delivery::Message(message) if self.rounds.received(&message) => {
                    self.ended(message);
                }
                Delivery::Message(mut message) => {
                    let here = message.take_receive().doing("taking the port")?;
                    let here = here.ok_or(Error::Wrong("the port comes back"))?;
                    // The news of the death follows.
                    if !serve(&here, TAKEN, &mut next)? {
                        continue;
                    }
                    dead |= !self.send_there(here, &there, stays, &mut next)?;
                }
                Delivery::Notification(Notification::DeadName { failure, .. }) => {
                    let died = matches!(failure, Failure::NodeDied { .. });
                    require(died, "the door dies with its node")?;
                    dead = true;
                }
                Delivery::Notification(_) => return Err(Error::Wrong("no other news")),
            }
        }
        Ok(())
    }

    /// Sends the port off. If that fails because the other node is dead, the port is here with
    /// all that it had: then it is used a little more, dropped, and `false` returned.
    fn send_there(
        &self,
        here: ReceiveRight,
        there: &SendRight,
        stays: bool,
        next: &mut [u32; SENDERS],
    ) -> Result<bool, Error> {
        let sent = if stays {
            stay(here, there)
        } else {
            travel(here, there, &self.back)
        };
        match sent {
            Ok(()) => Ok(true),
            Err((Failure::NodeDied { .. }, Some(here))) => {
                serve_own(&here, next)?;
                Ok(false)
            }
            Err((failure, _)) => Err(Error::Failed("moving the port", failure)),
        }
    }

    /// A sender says how the round before was over for it.
    fn ended(&mut self, message: Message) {
        if let Some(count) = self.ends.get_mut(message.id() as usize) {
            *count += 1;
        }
        self.idle.push(message);
    }
}

/// Sends a port that is not to come back.
fn stay(port: ReceiveRight, to: &SendRight) -> Result<(), (Failure, Option<ReceiveRight>)> {
    let mut message = Message::new().map_err(|failure| (failure, None))?;
    if let Err(error) = message.push_right(port) {
        return Err((error.failure, Some(error.right)));
    }
    let Err(mut refused) = to.send(message) else {
        return Ok(());
    };
    let port = refused.message.take_receive();
    Err((refused.failure, port.unwrap_or_default()))
}

/// A node that only sends.
pub fn crowd(node: &Node) -> Result<(), Error> {
    senders(node)?;
    loop {
        node.sleep(PATIENCE).doing("waiting")?;
    }
}

fn senders(node: &Node) -> Result<(), Error> {
    let first = number(node, "first", 0) as u32;
    for sender in first..first + THREADS {
        let kernel = **node;
        let body = move || {
            let found = kernel.wait_for(ROUNDS, PATIENCE).doing("looking up");
            if let Err(error) = found.and_then(|rounds| send(&rounds, sender)) {
                println!("sender {sender}: {error}");
            }
        };
        let thread = node.spawn("sender", 4, body);
        thread.map_err(|_| Error::Wrong("a thread can be made"))?;
    }
    Ok(())
}

/// In each round, sends to a port until it is dead.
fn send(rounds: &SendRight, sender: u32) -> Result<(), Error> {
    let mut end = BEGINS;
    loop {
        let mut message = Message::new().doing("a message")?;
        message.set_id(end);
        let mut answer = call(rounds, message).doing("waiting for a round")?;
        let right = answer.take_right().doing("taking a right")?;
        let right = right.ok_or(Error::Wrong("a round begins with a right"))?;
        end = until_it_dies(&right, sender)?;
    }
}

fn until_it_dies(right: &SendRight, sender: u32) -> Result<u32, Error> {
    for number in 0_u32.. {
        let mut data = [0; 8];
        data[..4].copy_from_slice(&sender.to_le_bytes());
        data[4..].copy_from_slice(&number.to_le_bytes());
        let message = Message::with_data(&data).doing("a message")?;
        let sent = if number % CALLS == 0 {
            match right.call(message) {
                // It was under way when a node died, and what became of it is not known: the
                // port may be elsewhere by now. The next send tells.
                Err(CallError { message: None, .. }) => Ok(()),
                called => called.map(drop).map_err(Failure::from),
            }
        } else {
            right.send(message).map_err(Failure::from)
        };
        match sent {
            Ok(()) => {}
            Err(Failure::NodeDied { .. }) => return Ok(NODE_DIED),
            Err(Failure::PortDied) => return Ok(PORT_DIED),
            Err(failure) => return Err(Error::Failed("using the port", failure)),
        }
    }
    Ok(BEGINS)
}
