//! Threads driven from outside: a test says step by step what they do, and the world runs on
//! while they wait.

use core::time::Duration;

use norma_ipc::{
    Completion, Delivery, HeapPage, Name, Notification, Reason, RightKind, SendError, ThreadId,
};
use norma_net::{Confirmation, Fate, LookUp, NAME_UNKNOWN, Posted};

use crate::Message;
use crate::machine::instant;
use crate::report::Failure;
use crate::world::World;

/// Why a call, or a look-up, did not succeed.
#[derive(Debug)]
pub enum CallError {
    /// It failed as calls can.
    Reason(Reason),
    /// It was not even sent.
    NotSent(norma_ipc::SendFailure),
    /// The simulation itself failed.
    Failure(Failure),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        CallError::Failure(failure)
    }
}

/// How long a driven thread waits at most.
const LIMIT: Duration = Duration::from_secs(30);

impl World {
    /// A thread that the caller drives.
    pub fn thread(&mut self, machine: usize) -> ThreadId {
        self.machine(machine).spawn(None)
    }

    /// A port with a send right beside its receive right, checked in as `text`.
    ///
    /// # Panics
    /// When that fails.
    pub fn serve(&mut self, machine: usize, text: &str) -> Name {
        let now = instant(self.now());
        let m = self.machine(machine);
        let space = m.space();
        let port = m.node.ipc().allocate_port(space).expect("a port");
        let right = m
            .node
            .ipc()
            .make_right(space, port, RightKind::Send)
            .expect("a right");
        let name = m.node.ipc().insert(space, right).expect("a name");
        m.node
            .check_in(now, space, name, text)
            .expect("a name for all");
        m.node
            .ipc()
            .deallocate(space, name, RightKind::Send)
            .expect("it was there");
        port
    }

    /// A message with that text.
    ///
    /// # Panics
    /// When there is no memory.
    pub fn message(&mut self, machine: usize, text: &[u8]) -> Message {
        let mut message = self
            .machine(machine)
            .node
            .ipc()
            .new_message()
            .expect("a message");
        message.set_data(text).expect("it fits");
        message
    }

    /// Runs the world until the wait of a thread is over.
    ///
    /// # Errors
    /// When the simulation fails, or the wait is not over in good time.
    pub fn wait(
        &mut self,
        machine: usize,
        thread: ThreadId,
    ) -> Result<Completion<HeapPage>, Failure> {
        self.after(machine)?;
        let mut completion = None;
        self.run_until(LIMIT, |world| {
            completion = world.machine(machine).node.ipc().take_completion(thread);
            completion.is_some()
        })?;
        completion.ok_or_else(|| self.failure("a wait ended in nothing"))
    }

    /// Looks a name up.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn look_up(
        &mut self,
        machine: usize,
        thread: ThreadId,
        text: &str,
    ) -> Result<Name, CallError> {
        self.find(machine, thread, text, None)
    }

    /// Looks a name up, and waits until it is there.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn wait_for(
        &mut self,
        machine: usize,
        thread: ThreadId,
        text: &str,
        time: Duration,
    ) -> Result<Name, CallError> {
        self.find(machine, thread, text, Some(time))
    }

    fn find(
        &mut self,
        machine: usize,
        thread: ThreadId,
        text: &str,
        time: Option<Duration>,
    ) -> Result<Name, CallError> {
        let now = instant(self.now());
        let until = time.map(|time| now + time);
        let m = self.machine(machine);
        let space = m.space();
        let found = m
            .node
            .look_up(now, thread, text, until)
            .expect("a look-up can be made");
        let right = match found {
            LookUp::Found(right) => right,
            LookUp::Asked => {
                let mut message = self.await_reply(machine, thread)?;
                let known = message.id() != NAME_UNKNOWN;
                let right = known.then(|| message.take_right()).flatten();
                self.machine(machine).node.ipc().discard(message);
                right.ok_or(CallError::Reason(Reason::NameUnknown))?
            }
        };
        Ok(self
            .machine(machine)
            .node
            .ipc()
            .insert(space, right)
            .expect("a name"))
    }

    /// Sends a message, and waits while the queue is full.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn send(
        &mut self,
        machine: usize,
        thread: ThreadId,
        name: Name,
        message: Message,
    ) -> Result<(), CallError> {
        let now = instant(self.now());
        let m = self.machine(machine);
        let space = m.space();
        match m.node.send(now, space, name, message, Some(thread)) {
            Ok(Posted::Handed(to)) => m.node.ipc().defer_wake(to),
            Ok(Posted::Queued | Posted::Carried) => {}
            Ok(Posted::Waiting) => match self.wait(machine, thread)? {
                Completion::Sent => {}
                Completion::Refused(reason, message) => {
                    self.machine(machine).node.ipc().discard(message);
                    return Err(CallError::Reason(reason));
                }
                other => return Err(self.failure(format!("a sender was told {other:?}")).into()),
            },
            Err(error) => {
                let mut message = error.message;
                m.node.ipc().detach_reply(&mut message);
                m.node.ipc().discard(message);
                return Err(CallError::NotSent(error.failure));
            }
        }
        self.after(machine)?;
        Ok(())
    }

    /// Sends a message, by a thread that is left waiting if there is no room.
    ///
    /// # Errors
    /// What the node gave back.
    pub fn begin_send(
        &mut self,
        machine: usize,
        thread: ThreadId,
        name: Name,
        message: Message,
    ) -> Result<(), SendError<HeapPage>> {
        let now = instant(self.now());
        let m = self.machine(machine);
        let space = m.space();
        if let Posted::Handed(to) = m.node.send(now, space, name, message, Some(thread))? {
            m.node.ipc().defer_wake(to);
        }
        Ok(())
    }

    /// Replies to a message, if that can be done.
    ///
    /// # Errors
    /// What the node gave back.
    pub fn try_reply(
        &mut self,
        machine: usize,
        message: Message,
    ) -> Result<(), SendError<HeapPage>> {
        let now = instant(self.now());
        let m = self.machine(machine);
        if let Posted::Handed(to) = m.node.reply(now, message)? {
            m.node.ipc().defer_wake(to);
        }
        Ok(())
    }

    /// Begins to send a message of which the fate will be known; see [`World::await_fate`].
    ///
    /// # Errors
    /// [`CallError`], when it was not sent.
    pub fn begin_confirmed(
        &mut self,
        machine: usize,
        thread: ThreadId,
        name: Name,
        message: Message,
    ) -> Result<Confirmation, CallError> {
        let now = instant(self.now());
        let m = self.machine(machine);
        let space = m.space();
        let sent = match m.node.send_confirmed(now, space, name, message, thread) {
            Ok(sent) => sent,
            Err(error) => {
                m.node.ipc().discard(error.message);
                return Err(CallError::NotSent(error.failure));
            }
        };
        if let Confirmation::Here(Posted::Handed(to)) = sent {
            m.node.ipc().defer_wake(to);
        }
        self.after(machine)?;
        Ok(sent)
    }

    /// Waits until it is known what became of the message that was sent.
    ///
    /// # Errors
    /// When the simulation fails.
    pub fn await_fate(
        &mut self,
        machine: usize,
        thread: ThreadId,
        sent: Confirmation,
    ) -> Result<Fate, CallError> {
        let (Confirmation::Here(posted) | Confirmation::Asked(posted)) = sent;
        if posted == Posted::Waiting {
            match self.wait(machine, thread)? {
                Completion::Sent => {}
                Completion::Refused(reason, mut message) => {
                    let node = &mut self.machine(machine).node;
                    node.unconfirmed(&mut message);
                    node.ipc().discard(message);
                    return Ok(Fate::NotDelivered(reason));
                }
                other => return Err(self.failure(format!("a sender was told {other:?}")).into()),
            }
        }
        if let Confirmation::Here(_) = sent {
            return Ok(Fate::Delivered);
        }
        match self.await_reply(machine, thread) {
            Ok(receipt) => {
                self.discard(machine, receipt)?;
                Ok(Fate::Delivered)
            }
            Err(CallError::Reason(reason)) => Ok(Fate::of(reason)),
            Err(other) => Err(other),
        }
    }

    /// Makes a call without waiting for its answer.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Panics
    /// When there is no memory.
    pub fn begin_call(
        &mut self,
        machine: usize,
        thread: ThreadId,
        name: Name,
        mut message: Message,
    ) -> Result<(), CallError> {
        let m = self.machine(machine);
        m.node
            .ipc()
            .attach_reply(thread, &mut message)
            .expect("a reply right");
        self.send(machine, thread, name, message)
    }

    /// Makes a call.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(
        &mut self,
        machine: usize,
        thread: ThreadId,
        name: Name,
        message: Message,
    ) -> Result<Message, CallError> {
        self.begin_call(machine, thread, name, message)?;
        self.await_reply(machine, thread)
    }

    /// Waits for the answer to a call.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Panics
    /// When no call is under way.
    pub fn await_reply(&mut self, machine: usize, thread: ThreadId) -> Result<Message, CallError> {
        let awaited = self.machine(machine).node.ipc().await_reply(thread);
        let delivery = match awaited.expect("a call is under way") {
            Some(delivery) => delivery,
            None => match self.wait(machine, thread)? {
                Completion::Received(delivery) => delivery,
                other => return Err(self.failure(format!("a caller was told {other:?}")).into()),
            },
        };
        self.after(machine)?;
        match delivery {
            Delivery::Message(message) => Ok(message),
            Delivery::Notification(Notification::SendOnce(reason)) => {
                Err(CallError::Reason(reason))
            }
            Delivery::Notification(other) => {
                Err(self.failure(format!("a caller was told {other:?}")).into())
            }
        }
    }

    /// Receives a message.
    ///
    /// # Errors
    /// When the simulation fails, or none comes in good time.
    ///
    /// # Panics
    /// When the name is no receive right.
    pub fn receive(
        &mut self,
        machine: usize,
        thread: ThreadId,
        port: Name,
    ) -> Result<Message, Failure> {
        loop {
            let m = self.machine(machine);
            let space = m.space();
            let taken = m
                .node
                .ipc()
                .receive_or_wait(thread, space, port)
                .expect("a receive right");
            let delivery = match taken {
                Some(delivery) => delivery,
                None => match self.wait(machine, thread)? {
                    Completion::Received(delivery) => delivery,
                    other => return Err(self.failure(format!("a receiver was told {other:?}"))),
                },
            };
            self.after(machine)?;
            if let Delivery::Message(message) = delivery {
                return Ok(message);
            }
        }
    }

    /// Replies to a message that was received.
    ///
    /// # Errors
    /// When the simulation fails.
    pub fn reply(&mut self, machine: usize, message: Message) -> Result<(), Failure> {
        if let Err(error) = self.try_reply(machine, message) {
            self.machine(machine).node.ipc().discard(error.message);
        }
        self.after(machine)
    }

    /// Destroys a message.
    ///
    /// # Errors
    /// When the simulation fails.
    pub fn discard(&mut self, machine: usize, message: Message) -> Result<(), Failure> {
        self.machine(machine).node.ipc().discard(message);
        self.after(machine)
    }

    /// Gives up a send right.
    ///
    /// # Errors
    /// When the simulation fails.
    ///
    /// # Panics
    /// When the name is no send right.
    pub fn give_up(&mut self, machine: usize, name: Name) -> Result<(), Failure> {
        let m = self.machine(machine);
        let space = m.space();
        m.node
            .ipc()
            .deallocate(space, name, RightKind::Send)
            .expect("a send right");
        self.after(machine)
    }
}
