//! The model's queues, sets and waits: how messages come and go.

use norma_ipc::*;

use super::model::{End, Fate, Holder, Item, Letter, Model, Port, Source, Target, Wait};

impl Model {
    /// A message for a port; `once`: on behalf of a send-once right, which it uses up.
    pub fn deliver(
        &mut self,
        target: Target,
        once: bool,
        mut letter: Letter,
        wait: Option<usize>,
    ) -> Fate {
        let unmovable = Fate::refused(RightError::InvalidRight);
        let id = match target {
            Target::Set(_) => return unmovable,
            Target::Token(token) => return Fate::Forward(token),
            Target::Port(id) => id,
        };
        if let Some(error) = self.trouble(id) {
            return Fate::refused(error);
        }
        if self.closes_cycle(id, &letter) {
            return Fate::refused(RightError::Circular);
        }
        let idle = wait.filter(|thread| self.threads[*thread].wait == Wait::Idle);
        let port = self.port(id);
        if !once && (port.is_full() || !port.senders.is_empty()) {
            let Some(thread) = idle else {
                return Fate::Failed(SendFailure::Full);
            };
            port.senders.push_back(thread);
            self.threads[thread].wait = Wait::Sending(id, letter);
            return Fate::Waiting;
        }
        if let (Some(token), false) = (port.proxy, once) {
            port.under_way += 1;
            return Fate::Forward(token);
        }
        port.onces -= u32::from(once);
        letter.by_once = once;
        let taken = self.arrive(id, Item::Letter(letter));
        if once {
            self.offer(id);
        }
        match taken {
            Some((thread, false)) => {
                // Whoever sent it wakes the thread.
                self.threads[thread].owed = false;
                Fate::Handed(thread)
            }
            // Others are to be woken too, or nobody has it.
            Some((_, true)) | None => Fate::Queued,
        }
    }

    /// Gives an item to the first thread that waits and can take it (at the port, then at its
    /// set; who cannot is told, and whether anybody was is the second value), or puts it into the
    /// queue.
    pub fn arrive(&mut self, id: PortId, mut item: Item) -> Option<(usize, bool)> {
        let mut others = false;
        while self.ports[&id].queue.is_empty()
            && let Some(thread) = self.next_receiver(id)
        {
            let Wait::Receiving(_, limit) = self.threads[thread].wait else {
                panic!("{thread} is not receiving")
            };
            if item.bytes() <= limit {
                self.port(id).stamp(&mut item);
                self.end(thread, End::Received(item));
                return Some((thread, others));
            }
            others = true;
            self.end(thread, End::TooLarge(item.bytes()));
        }
        self.port(id).queue.push_back(item);
        self.take_turn(id, false);
        None
    }

    fn next_receiver(&mut self, id: PortId) -> Option<usize> {
        let port = self.port(id);
        let set = port.set;
        let first = port.receivers.pop_front();
        first.or_else(|| self.set(set?).receivers.pop_front())
    }

    /// A member that has something has a turn, and after that another one behind the others.
    fn take_turn(&mut self, id: PortId, had_its_turn: bool) {
        let port = &self.ports[&id];
        let Some(number) = port.set else { return };
        let waits = !port.queue.is_empty();
        let ready = &mut self.set(number).ready;
        if had_its_turn || !waits {
            ready.retain(|other| *other != id);
        }
        if waits && !ready.contains(&id) {
            ready.push_back(id);
        }
    }

    pub fn enter_set(&mut self, id: PortId, number: u32) {
        self.leave_set(id);
        self.set(number).members.push(id);
        self.port(id).set = Some(number);
        self.take_turn(id, false);
        // Threads that wait there get what it brought.
        while let Some(first) = self.set(number).ready.front().copied()
            && let Some(thread) = self.set(number).receivers.pop_front()
        {
            let Wait::Receiving(_, limit) = self.threads[thread].wait else {
                panic!("{thread} is not receiving")
            };
            let end = match self.take(first, limit, true) {
                Ok(item) => End::Received(item),
                Err(bytes) => End::TooLarge(bytes),
            };
            self.end(thread, end);
        }
    }

    pub fn leave_set(&mut self, id: PortId) {
        if let Some(number) = self.port(id).set.take() {
            let set = self.set(number);
            set.members.retain(|other| *other != id);
            set.ready.retain(|other| *other != id);
        }
    }

    /// The port in whose queue the receive right of `id` lies.
    pub fn above(&self, id: PortId) -> Option<PortId> {
        let lies_in = |port: &Port| port.queue.iter().any(|item| item.holds_receive(id));
        let mut ports = self.ports.iter();
        ports.find(|(_, port)| lies_in(port)).map(|(id, _)| *id)
    }

    /// Whether `id` is `outer`, or lies in a queue that lies in its queue, and so on.
    pub fn lies_in(&self, id: PortId, outer: PortId) -> bool {
        std::iter::successors(Some(id), |id| self.above(*id)).any(|id| id == outer)
    }

    /// Whether somebody has the receive right of `id`, or can take it out of a queue.
    pub fn can_be_reached(&self, id: PortId) -> bool {
        let mut chain = std::iter::successors(Some(id), |id| self.above(*id));
        chain.any(|id| self.above(id).is_none() && self.ports[&id].holder != Holder::Nobody)
    }

    /// Whether the receive right by which alone a letter in the queue of `id` could be taken
    /// out would be in that letter.
    fn closes_cycle(&self, id: PortId, letter: &Letter) -> bool {
        let mut rights = letter.rights.iter();
        rights.any(|right| match right {
            (RightKind::Receive, Target::Port(inner)) => self.lies_in(id, *inner),
            _ => false,
        })
    }

    /// The port from which something is to be taken, if there is something.
    pub fn next_port(&self, source: Source) -> Result<Option<PortId>, RightError> {
        match source {
            Source::Set(number) => Ok(self.sets[&number].ready.front().copied()),
            Source::Port(id) => match self.trouble(id) {
                Some(error) => Err(error),
                None => Ok(Some(id).filter(|_| !self.ports[&id].queue.is_empty())),
            },
        }
    }

    /// Takes the first item that is queued, if it is not too large; senders that wait move up.
    pub fn take(&mut self, id: PortId, limit: usize, of_set: bool) -> Result<Item, usize> {
        let bytes = self.port(id).queue.front().unwrap().bytes();
        if bytes > limit {
            return Err(bytes);
        }
        let mut item = self.port(id).queue.pop_front().unwrap();
        self.refill(id);
        self.take_turn(id, of_set);
        self.port(id).stamp(&mut item);
        Ok(item)
    }

    /// Lets senders that wait in while there is room, in order.
    pub fn refill(&mut self, id: PortId) {
        let mut left = false;
        while !self.port(id).is_full()
            && let Some(thread) = self.port(id).senders.pop_front()
        {
            left = true;
            let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
                panic!("{thread} is not sending")
            };
            assert!(!self.closes_cycle(id, &letter));
            self.port(id).queue.push_back(Item::Letter(letter));
            self.take_turn(id, false);
            self.end(thread, End::Sent);
        }
        self.tell_room(id);
        if left {
            self.check_senders(id);
        }
    }

    pub fn carry_next(&mut self, id: PortId) -> Option<Letter> {
        let port = self.ports.get_mut(&id)?;
        if port.proxy.is_none() || port.is_full() {
            return None;
        }
        let Some(thread) = port.senders.pop_front() else {
            self.tell_room(id);
            return None;
        };
        port.under_way += 1;
        let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
            panic!("{thread} is not sending")
        };
        self.end(thread, End::Sent);
        self.collect(id);
        Some(letter)
    }
}
