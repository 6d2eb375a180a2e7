//! Requests: what each operation does to the core.

use crate::answer::Failure;
use crate::daemon::{Daemon, random};
use crate::limits::{CHECKED_IN_BY_TASK, LOOK_UP_PATIENCE_NS, QUEUE_LIMIT};
use crate::page::Page;
use crate::seat::{Doing, For, Then};
use crate::task::Task;
use norma_client::protocol::{Cause, FOREVER, MessageView, Operation, Reply, Request, VERSION};
use norma_flip::{Duration, Instant};
use norma_ipc::{
    About, InsertError, Message, Name, ReceiveError, Right, RightError, RightKind, RightTypes,
    SpaceId, ThreadId,
};
use norma_net::{Confirmation, Interest, LookUp, Posted};
use std::os::fd::OwnedFd;

impl Daemon {
    pub(crate) fn task_of(&self, place: u32) -> Option<&Task> {
        let seat = self.seats.get(place as usize)?.as_ref()?;
        self.tasks.get(seat.task?)
    }

    pub(crate) fn space_of(&self, place: u32) -> Option<SpaceId> {
        self.task_of(place).map(|task| task.space)
    }

    /// Does what a packet asks for. `false` if it is none: whoever sends that is not served on.
    pub(crate) fn handle(&mut self, place: u32, packet: &[u8], file: Option<OwnedFd>) -> bool {
        let Some((request, tail)) = Request::parse(packet) else {
            return false;
        };
        if request.operation == Operation::Hello {
            return self.greet(place, &request, tail);
        }
        let Some(space) = self.space_of(place) else {
            return false;
        };
        let name = Name::from_raw(request.name);
        match request.operation {
            Operation::Send | Operation::Call | Operation::SendConfirmed => {
                let Some(view) = MessageView::parse(tail) else {
                    return false;
                };
                match self.take_in(place, &view, file) {
                    Ok(message) => self.send(place, space, &request, message),
                    Err((failure, names)) => self.returned(place, failure, &names),
                }
            }
            Operation::ReplyAndReceive => {
                let Some(view) = MessageView::parse(tail) else {
                    return false;
                };
                // What cannot be sent is dropped, and a caller that is still there learns so.
                let reply = Name::from_raw(request.other);
                match self.take_in(place, &view, file) {
                    Ok(message) => self.answer(space, reply, message),
                    Err(_) => {
                        let ipc = self.core.ipc();
                        let _ = ipc.deallocate(space, reply, RightKind::SendOnce);
                    }
                }
                self.receive(place, space, name, &request);
            }
            Operation::Receive => self.receive(place, space, name, &request),
            Operation::Release => {
                let ipc = self.core.ipc();
                let set = ipc.right_types(space, name) == Ok(RightTypes::PORT_SET);
                // A name whose right is gone already denotes nothing: nothing to release.
                let _ = match (set, request.kind) {
                    (true, RightKind::Receive) => ipc.destroy(space, name),
                    _ => ipc.deallocate(space, name, request.kind),
                };
            }
            Operation::CheckIn | Operation::Claim | Operation::CheckOut | Operation::LookUp => {
                match std::str::from_utf8(tail) {
                    Ok(text) => self.name_operation(place, space, &request, text),
                    Err(_) => self.fail(place, Cause::BadName),
                }
            }
            _ => match self.simple(space, &request) {
                Ok((name, value)) => self.done(place, name, value),
                Err(failure) => self.fail(place, failure),
            },
        }
        true
    }

    /// What is done at once.
    fn simple(&mut self, space: SpaceId, request: &Request) -> Result<(u32, u64), Failure> {
        let name = Name::from_raw(request.name);
        let ipc = self.core.ipc();
        let named = |outcome: Result<Name, RightError>| outcome.map(|name| (name.raw(), 0));
        let done = match request.operation {
            Operation::NewPort => named(ipc.allocate_port(space)),
            Operation::NewSet => named(ipc.allocate_set(space)),
            Operation::Make => ipc
                .make_right(space, name, request.kind)
                .and_then(|right| insert(ipc, space, right)),
            Operation::Copy => ipc
                .copy_send(space, name)
                .and_then(|right| insert(ipc, space, right)),
            Operation::SetQueueLimit => match u16::try_from(request.value) {
                Ok(limit) if limit <= QUEUE_LIMIT => {
                    ipc.set_queue_limit(space, name, limit).map(|()| (0, 0))
                }
                _ => Err(RightError::OutOfRange),
            },
            Operation::Move => {
                let set = (request.other != 0).then(|| Name::from_raw(request.other));
                ipc.move_member(space, name, set).map(|()| (0, 0))
            }
            Operation::IsDead => ipc.right_types(space, name).map(|types| {
                let dead = types.contains(RightTypes::DEAD_NAME);
                (0, u64::from(dead))
            }),
            Operation::NotifyDeath | Operation::NotifyRoom | Operation::NotifyNoSenders => {
                self.ask_to_be_told(space, request)
            }
            _ => return Err(Cause::BadRequest.into()),
        };
        done.map_err(|error| self.refused(error))
    }

    fn ask_to_be_told(
        &mut self,
        space: SpaceId,
        request: &Request,
    ) -> Result<(u32, u64), RightError> {
        let (name, notify) = (Name::from_raw(request.name), Name::from_raw(request.other));
        let ipc = self.core.ipc();
        let right = ipc.extract(space, notify, RightKind::SendOnce)?;
        let asked = match request.operation {
            Operation::NotifyNoSenders => {
                ipc.request_no_senders(space, name, request.value, Some(right))
            }
            operation => {
                let about = match operation {
                    Operation::NotifyRoom => About::Room,
                    _ => About::Death,
                };
                ipc.request(space, name, about, right)
                    .map_err(|InsertError { error, right }| (error, Some(right)))
            }
        };
        match asked {
            // Its name was freed just now, so that there is one for what comes back.
            Ok(Some(before)) => insert(ipc, space, before),
            Ok(None) => Ok((0, 0)),
            Err((error, right)) => {
                // Under the very name that it had: that was freed just now.
                if let Some(right) = right
                    && let Err(refused) = ipc.insert_as(space, notify, right)
                {
                    ipc.release(refused.right);
                }
                Err(error)
            }
        }
    }

    // Sending.

    fn send(&mut self, place: u32, space: SpaceId, request: &Request, message: Message<Page>) {
        let (now, thread) = (self.now, ThreadId(place));
        let name = Name::from_raw(request.name);
        let wait = (request.patience != 0).then_some(thread);
        let deadline = self.deadline(request.patience);
        let mut message = message;
        let (posted, then) = match request.operation {
            Operation::Call => {
                if let Err(error) = self.core.ipc().attach_reply(thread, &mut message) {
                    let failure = self.refused(error);
                    return self.give_back(place, failure, message);
                }
                let posted = self.core.send(now, space, name, message, wait);
                (posted, Then::Await(For::Reply))
            }
            Operation::SendConfirmed => {
                match self.core.send_confirmed(now, space, name, message, thread) {
                    Ok(Confirmation::Here(posted)) => (Ok(posted), Then::Done),
                    Ok(Confirmation::Asked(posted)) => (Ok(posted), Then::Await(For::Receipt)),
                    Err(error) => (Err(error), Then::Done),
                }
            }
            _ => {
                let posted = self.core.send(now, space, name, message, wait);
                (posted, Then::Done)
            }
        };
        match posted {
            Ok(Posted::Waiting) => {
                return self.wait_for(place, Doing::Sending(then), deadline);
            }
            Ok(Posted::Handed(to)) => self.handed.push(to),
            Ok(Posted::Queued | Posted::Carried) => {}
            Err(mut error) => {
                if request.operation == Operation::Call {
                    self.core.ipc().detach_reply(&mut error.message);
                }
                self.core.unconfirmed(&mut error.message);
                let failure = self.not_sent(error.failure);
                return self.give_back(place, failure, error.message);
            }
        }
        match then {
            Then::Done => self.done(place, 0, 0),
            Then::Await(what) => self.await_reply(place, what, deadline),
        }
    }

    /// Sends a reply; one that cannot be sent is dropped.
    fn answer(&mut self, space: SpaceId, reply: Name, message: Message<Page>) {
        let now = self.now;
        match self.core.send(now, space, reply, message, None) {
            Ok(Posted::Handed(to)) => self.handed.push(to),
            Ok(_) => {}
            Err(error) => {
                self.core.ipc().discard(error.message);
                let ipc = self.core.ipc();
                let _ = ipc.deallocate(space, reply, RightKind::SendOnce);
            }
        }
    }

    fn receive(&mut self, place: u32, space: SpaceId, name: Name, request: &Request) {
        let limit = usize::try_from(request.value).unwrap_or(usize::MAX);
        let ipc = self.core.ipc();
        let found = match request.patience {
            0 => ipc.receive_within(space, name, limit).map(Some),
            _ => ipc.receive_within_or_wait(ThreadId(place), space, name, limit),
        };
        match found {
            Ok(None) => {
                let deadline = self.deadline(request.patience);
                self.wait_for(place, Doing::Receiving, deadline);
            }
            Ok(Some(delivery)) => self.deliver(place, delivery),
            Err(ReceiveError::Empty) => self.fail(place, Cause::Empty),
            Err(ReceiveError::TooLarge(bytes)) => self.fail(place, Failure::too_large(bytes)),
            Err(ReceiveError::Right(error)) => {
                let failure = self.refused(error);
                self.fail(place, failure);
            }
        }
    }

    // Names of the cluster.

    fn name_operation(&mut self, place: u32, space: SpaceId, request: &Request, text: &str) {
        match request.operation {
            Operation::LookUp => self.look_up(place, request, text),
            Operation::CheckOut => {
                let own = self.forget_name(place, text);
                let known = own && self.core.check_out(text);
                self.done(place, 0, known.into());
            }
            _ => {
                let place_of_task = self.seat(place).and_then(|seat| seat.task);
                let count = self.task_of(place).map_or(0, |task| task.names.len());
                if count >= CHECKED_IN_BY_TASK {
                    return self.fail(place, Cause::NoMemory);
                }
                if let Err(failure) = self.check_in(place, space, request, text) {
                    return self.fail(place, failure);
                }
                if let Some(task) = place_of_task {
                    self.tasks.checked_in(task, text);
                }
                match request.operation {
                    Operation::Claim => {
                        self.await_reply(place, For::Claim(text.to_owned()), u64::MAX);
                    }
                    _ => self.done(place, 0, 0),
                }
            }
        }
    }

    fn check_in(
        &mut self,
        place: u32,
        space: SpaceId,
        request: &Request,
        text: &str,
    ) -> Result<(), Failure> {
        let (now, name) = (self.now, Name::from_raw(request.name));
        if request.operation == Operation::Claim {
            let claimed = self.core.claim(now, ThreadId(place), space, name, text);
            return claimed.map_err(|error| self.not_checked_in(error));
        }
        let lost = match request.other {
            0 => None,
            lost => {
                let lost = Name::from_raw(lost);
                let taken = self.core.ipc().extract(space, lost, RightKind::SendOnce);
                Some(taken.map_err(|error| self.refused(error))?)
            }
        };
        let interest = Interest {
            lost,
            settled: None,
        };
        let done = self.core.check_in_telling(now, space, name, text, interest);
        done.map_err(|(error, interest)| {
            if let Some(right) = interest.lost {
                self.core.ipc().release(right);
            }
            self.not_checked_in(error)
        })
    }

    fn look_up(&mut self, place: u32, request: &Request, text: &str) {
        let (now, thread) = (self.now, ThreadId(place));
        // Nobody announces what is in a slot, so that cannot be waited for.
        let waits = request.value != 0 && request.other == 0;
        let until = waits.then(|| match request.patience {
            FOREVER => Instant::NEVER,
            patience => now + Duration::from_nanos(patience),
        });
        let found = match request.other {
            0 => self.core.look_up(now, thread, text, until),
            slot => self.core.look_up_special_port(now, thread, text, slot),
        };
        match found {
            Ok(LookUp::Found(right)) => match self.name(place, right) {
                0 => self.fail(place, Cause::NoMemory),
                name => self.done(place, name, 0),
            },
            Ok(LookUp::Asked) => {
                let deadline = match waits {
                    true => u64::MAX, // It ends by itself.
                    false => self.deadline(LOOK_UP_PATIENCE_NS),
                };
                self.await_reply(place, For::Right, deadline);
            }
            Err(RightError::InvalidName) => self.fail(place, Cause::BadName),
            Err(error) => {
                let failure = self.refused(error);
                self.fail(place, failure);
            }
        }
    }

    /// The task of a thread has a name no more; whether it had.
    pub(crate) fn forget_name(&mut self, place: u32, text: &str) -> bool {
        let task = self.seat(place).and_then(|seat| seat.task);
        let Some(task) = task.and_then(|task| self.tasks.get_mut(task)) else {
            return false;
        };
        let before = task.names.len();
        task.names.retain(|name| name != text);
        task.names.len() < before
    }

    // Tasks.

    /// A program says HELLO: it begins a task, or a thread of it joins.
    fn greet(&mut self, place: u32, request: &Request, tail: &[u8]) -> bool {
        let joined = self.seat(place).is_some_and(|seat| seat.task.is_some());
        let Some(token) = tail.first_chunk::<16>().filter(|_| !joined) else {
            return false;
        };
        if request.value != VERSION {
            self.fail(place, Cause::BadRequest);
            return true;
        }
        let task = if *token == [0; 16] {
            let Ok(token) = random() else {
                return false;
            };
            let ipc = self.core.ipc();
            let begun = self
                .tasks
                .begin(token, |names| ipc.create_space(names).ok());
            begun.ok_or(Cause::TooMany)
        } else {
            self.tasks.find(token).ok_or(Cause::InvalidName)
        };
        match task {
            Ok(task) => {
                self.join(place, task);
                true
            }
            Err(cause) => {
                self.fail(place, cause);
                true
            }
        }
    }

    fn join(&mut self, place: u32, task: usize) {
        if let Some(seat) = self.seat(place) {
            seat.task = Some(task);
        }
        let mut token = [0; 16];
        if let Some(task) = self.tasks.get_mut(task) {
            task.connections += 1;
            token = task.token;
        }
        let name = *self.core.name();
        let packet = self.begin(&Reply::DONE, name.as_str().as_bytes());
        packet.extend_from_slice(&token);
        self.finish(place, None);
    }

    /// A task has a connection less; with the last it ends, and all its rights go.
    pub(crate) fn leave(&mut self, place: usize) {
        let Some(task) = self.tasks.get_mut(place) else {
            return;
        };
        task.connections -= 1;
        if task.connections > 0 {
            return;
        }
        let Some(task) = self.tasks.end(place) else {
            return;
        };
        for name in &task.names {
            self.core.check_out(name);
        }
        self.core.ipc().destroy_space(task.space);
    }
}

/// Names a right in a space, or releases it.
fn insert(
    ipc: &mut norma_ipc::Ipc<Page>,
    space: SpaceId,
    right: Right,
) -> Result<(u32, u64), RightError> {
    match ipc.insert(space, right) {
        Ok(name) => Ok((name.raw(), 0)),
        Err(refused) => {
            ipc.release(refused.right);
            Err(refused.error)
        }
    }
}
