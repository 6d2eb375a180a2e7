//! Requests to be told: that a name has died, that there is room, that nobody can send any
//! more, that a receive right was given up.
//!
//! Each request holds a send-once right (one that leads to another node gets a port here that
//! stands in for it) and spends it on exactly one notification, whatever happens: on what was asked for; on the end of the name or port for
//! which it was asked ([`Notification::NameDeleted`], [`Notification::SendOnce`]); or it comes
//! back when the request is withdrawn or replaced. The place of the notification in the queue
//! was reserved when that right was made, so that telling cannot fail.
//! Semantics: Mach 3's `mach_port_request_notification`.

use crate::error::{InsertError, Reason, RightError};
use crate::ipc::Ipc;
use crate::name::Name;
use crate::page::Page;
use crate::port::{Port, PortId};
use crate::right::{Right, RightKind, Target};
use crate::space::{Entry, SpaceId};
use crate::wait::Notification;

/// What somebody wants to be told about a name of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The port has died, or is dead already: [`Notification::DeadName`].
    Death,
    /// The queue has room, or has it already: [`Notification::Room`]. For send rights.
    Room,
}

/// A request about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    index: u32,
    generation: u32,
}

impl RequestId {
    /// Denotes nothing: no request has generation 0.
    pub(crate) const NONE: RequestId = RequestId {
        index: u32::MAX,
        generation: 0,
    };
}

/// One request, or the first of a list, of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requests([RequestId; 2]);

impl Requests {
    pub(crate) const NONE: Requests = Requests([RequestId::NONE; 2]);

    #[inline]
    pub(crate) fn about(&self, about: About) -> RequestId {
        self.0[about as usize]
    }

    fn set(&mut self, about: About, id: RequestId) {
        self.0[about as usize] = id;
    }
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) about: About,
    pub(crate) space: SpaceId,
    pub(crate) name: Name,
    pub(crate) port: PortId,
    /// The port to which its send-once right leads.
    pub(crate) notify: PortId,
    /// Neighbours in the port's list.
    next: RequestId,
    previous: RequestId,
}

impl Request {
    const VACANT: Request = Request {
        about: About::Death,
        space: SpaceId::NONE,
        name: Name::from_raw(0),
        port: PortId::NONE,
        notify: PortId::NONE,
        next: RequestId::NONE,
        previous: RequestId::NONE,
    };
}

/// The port to which a right leads that a request can spend.
fn notify_port(right: &Right) -> Result<PortId, RightError> {
    match (right.kind, right.target) {
        (RightKind::SendOnce, Target::Port(port)) => Ok(port),
        _ => Err(RightError::InvalidRight),
    }
}

/// The right that a request held.
fn right_to(notify: PortId) -> Option<Right> {
    (notify != PortId::NONE).then(|| Right::to_port(RightKind::SendOnce, notify))
}

impl<P: Page> Ipc<P> {
    /// Asks to be told about what is under `name`, which must be a right to a port (and not to
    /// one on another node that has no stand-in here). There is one request of each kind for a
    /// name: the right of the one before comes back.
    ///
    /// # Errors
    /// `notify` comes back: it must be a send-once right ([`RightError::InvalidRight`]), as `name`
    /// must denote a right that fits; [`RightError::NoMemory`].
    pub fn request(
        &mut self,
        space: SpaceId,
        name: Name,
        about: About,
        notify: Right,
    ) -> Result<Option<Right>, InsertError> {
        let notify = self.seat(notify).map_err(|(error, right)| InsertError {
            error: error.into(),
            right,
        })?;
        match self.try_request(space, name, about, &notify) {
            Ok(previous) => Ok(previous.map(|right| self.unseat(right))),
            Err(error) => Err(InsertError {
                error,
                right: self.unseat(notify),
            }),
        }
    }

    fn try_request(
        &mut self,
        space: SpaceId,
        name: Name,
        about: About,
        notify: &Right,
    ) -> Result<Option<Right>, RightError> {
        let notify = notify_port(notify)?;
        let entry = *self.space(space)?.get(name)?;
        let Target::Port(id) = entry.target else {
            return Err(RightError::InvalidRight);
        };
        if about == About::Room && entry.sends == 0 {
            return Err(RightError::InvalidRight);
        }
        if let Some(reason) = self.port(id).ok_or(RightError::InvalidName)?.dead {
            // There is no request about a dead port.
            self.tell(notify, Notification::DeadName { name, reason });
            return Ok(None);
        }
        let (index, generation) = self.requests.insert(Request {
            about,
            space,
            name,
            port: id,
            notify,
            ..Request::VACANT
        })?;
        let request = RequestId { index, generation };
        let previous = self.take_request(entry.requests.about(about));
        // In front of the port's list.
        let mut next = RequestId::NONE;
        if let Some(port) = self.port_mut(id) {
            next = port.requests.about(about);
            port.requests.set(about, request);
        }
        if let Some(this) = self.request_mut(request) {
            this.next = next;
        }
        if let Some(next) = self.request_mut(next) {
            next.previous = request;
        }
        if let Ok(entry) = self.space_mut(space).and_then(|table| table.get_mut(name)) {
            entry.requests.set(about, request);
        }
        self.tell_room(id);
        Ok(previous.and_then(right_to))
    }

    /// Withdraws the request about `name`, if there is one, and gives its right back.
    ///
    /// # Errors
    /// The name must denote something.
    pub fn withdraw_request(
        &mut self,
        space: SpaceId,
        name: Name,
        about: About,
    ) -> Result<Option<Right>, RightError> {
        let requests = self.space(space)?.get(name)?.requests;
        let right = self.take_request(requests.about(about)).and_then(right_to);
        Ok(right.map(|right| self.unseat(right)))
    }

    /// Asks to be told ([`Notification::NoSenders`]) when there is no send right left to the
    /// port whose receive right is under `name`: at once, if there is none now and at least
    /// `sync` were ever made; else when the next last one is gone. A receiver that counts the
    /// send rights that it made itself, and passes that count, is therefore not told of a time
    /// before the last of them existed. Without `notify` a request is only withdrawn. The right
    /// of the one before comes back.
    ///
    /// # Errors
    /// `notify` comes back as from [`Ipc::request`].
    pub fn request_no_senders(
        &mut self,
        space: SpaceId,
        name: Name,
        sync: u32,
        notify: Option<Right>,
    ) -> Result<Option<Right>, (RightError, Option<Right>)> {
        let (id, notify) = self.port_request(space, name, notify)?;
        let Some(port) = self.port_mut(id) else {
            return Ok(None);
        };
        let previous = core::mem::replace(&mut port.no_senders, notify);
        port.overdue = false;
        if port.make_sends >= sync {
            self.check_senders(id);
        }
        Ok(right_to(previous).map(|right| self.unseat(right)))
    }

    /// Asks that the receive right under `name`, instead of being destroyed, come back in
    /// [`Notification::PortDestroyed`]. Without `notify` a request is only withdrawn. The right
    /// of the one before comes back.
    ///
    /// # Errors
    /// `notify` comes back as from [`Ipc::request`].
    pub fn request_port_destroyed(
        &mut self,
        space: SpaceId,
        name: Name,
        notify: Option<Right>,
    ) -> Result<Option<Right>, (RightError, Option<Right>)> {
        let (id, notify) = self.port_request(space, name, notify)?;
        let Some(port) = self.port_mut(id) else {
            return Ok(None);
        };
        let previous = right_to(core::mem::replace(&mut port.destroyed, notify));
        Ok(previous.map(|right| self.unseat(right)))
    }

    /// What the two requests about a receive right check.
    fn port_request(
        &mut self,
        space: SpaceId,
        name: Name,
        notify: Option<Right>,
    ) -> Result<(PortId, PortId), (RightError, Option<Right>)> {
        let id = self
            .receive_target(space, name)
            .and_then(|id| self.live_port_mut(id).map(|_| id));
        let (id, right) = match (id, notify) {
            (Ok(id), Some(right)) => (id, right),
            (Ok(id), None) => return Ok((id, PortId::NONE)),
            (Err(error), notify) => {
                return Err((error, notify.map(|right| self.unseat(right))));
            }
        };
        match self.seat(right) {
            Ok(right) => match notify_port(&right) {
                Ok(notify) => Ok((id, notify)),
                Err(error) => Err((error, Some(right))),
            },
            Err((error, right)) => Err((error.into(), Some(right))),
        }
    }

    fn request_mut(&mut self, id: RequestId) -> Option<&mut Request> {
        self.requests.get_mut(id.index, id.generation)
    }

    /// Ends a request about a name; returns the port to which its right leads.
    fn take_request(&mut self, id: RequestId) -> Option<PortId> {
        let request = self
            .requests
            .remove(id.index, id.generation, Request::VACANT)?;
        let Request {
            about,
            next,
            previous,
            ..
        } = request;
        if let Some(next) = self.request_mut(next) {
            next.previous = previous;
        }
        match self.request_mut(previous) {
            Some(previous) => previous.next = next,
            None => {
                if let Some(port) = self.port_mut(request.port) {
                    port.requests.set(about, next);
                }
            }
        }
        if let Ok(entry) = self
            .space_mut(request.space)
            .and_then(|table| table.get_mut(request.name))
        {
            entry.requests.set(about, RequestId::NONE);
        }
        Some(request.notify)
    }

    /// A name was given up: those who asked about it are told that.
    #[inline]
    pub(crate) fn name_deleted(&mut self, name: Name, entry: &Entry) {
        if entry.requests != Requests::NONE {
            self.tell_name_deleted(name, entry);
        }
    }

    #[cold]
    fn tell_name_deleted(&mut self, name: Name, entry: &Entry) {
        for about in [About::Death, About::Room] {
            if let Some(notify) = self.take_request(entry.requests.about(about)) {
                self.tell(notify, Notification::NameDeleted { name });
            }
        }
    }

    /// The requests about a name go with it to its new one.
    pub(crate) fn rename_requests(&mut self, requests: Requests, name: Name) {
        for id in requests.0 {
            if let Some(request) = self.request_mut(id) {
                request.name = name;
            }
        }
    }

    /// A port has died: whoever asked for anything about it is told.
    pub(crate) fn tell_death(&mut self, id: PortId, reason: Reason) {
        for about in [About::Death, About::Room] {
            self.tell_requests(id, about, |name| Notification::DeadName { name, reason });
        }
        let Some(port) = self.port_mut(id) else {
            return;
        };
        let no_senders = core::mem::replace(&mut port.no_senders, PortId::NONE);
        let destroyed = core::mem::replace(&mut port.destroyed, PortId::NONE);
        for notify in [no_senders, destroyed] {
            self.tell(notify, Notification::SendOnce(reason));
        }
    }

    /// Tells everybody who asked about a port.
    pub(crate) fn tell_requests(
        &mut self,
        id: PortId,
        about: About,
        notification: impl Fn(Name) -> Notification,
    ) {
        while let Some(port) = self.port(id)
            && let first = port.requests.about(about)
            && let Some(request) = self.request_mut(first)
        {
            let name = request.name;
            if let Some(notify) = self.take_request(first) {
                self.tell(notify, notification(name));
            }
        }
    }

    /// Says that nobody can send to a port any more, if that is so and somebody wants to know.
    /// To be asked when a right or a sender has gone, and at no other time: a request may be
    /// waiting for rights that are still to be made.
    pub(crate) fn check_senders(&mut self, id: PortId) {
        let Some(port) = self.port_mut(id) else {
            return;
        };
        if port.no_senders == PortId::NONE || !port.has_no_senders() {
            return;
        }
        if port.pins > 0 {
            port.overdue = true;
            return;
        }
        let make_sends = port.make_sends;
        let notify = core::mem::replace(&mut port.no_senders, PortId::NONE);
        self.tell(notify, Notification::NoSenders { make_sends });
    }
}

impl<P> Port<P> {
    /// No send right exists that can be used, and no thread still waits to send on behalf of one.
    pub(crate) fn has_no_senders(&self) -> bool {
        self.sends == self.pins && self.senders.is_empty()
    }
}

#[cfg(feature = "audit")]
impl Request {
    pub(crate) fn id(index: u32, generation: u32) -> RequestId {
        RequestId { index, generation }
    }

    /// How many requests a list has, from `first` on; `None` if it is torn.
    pub(crate) fn listed(requests: &crate::slab::Slab<Request>, first: RequestId) -> Option<usize> {
        let (mut count, mut next, mut last) = (0, first, RequestId::NONE);
        while next != RequestId::NONE {
            let request = requests.get(next.index, next.generation)?;
            if request.previous != last || count > requests.len() as usize {
                return None;
            }
            (last, next) = (next, request.next);
            count += 1;
        }
        Some(count)
    }
}
