//! The model's ends: rights given up, ports that die, and who is told.

use norma_ipc::*;

use super::model::{At, End, Entry, Held, Holder, Item, Letter, Model, News, Target, Wait};

impl Model {
    /// Spends a send-once right to `notify` on news.
    pub fn tell(&mut self, notify: PortId, news: News) {
        self.port(notify).onces -= 1;
        if self.port(notify).dead.is_some() && !self.port(notify).relays() {
            self.lose(Item::News(news));
            self.collect(notify);
        } else {
            self.arrive(notify, Item::News(news));
            self.offer(notify);
        }
    }

    /// Destroys an item that nobody received.
    fn lose(&mut self, item: Item) {
        self.ledger.lost += u64::from(item.by_once());
        match item {
            Item::Letter(letter) => self.discard(letter, Reason::Unanswered),
            Item::News(News::PortDestroyed(id)) => {
                self.release((RightKind::Receive, Target::Port(id)));
            }
            Item::News(_) => {}
        }
    }

    pub fn release(&mut self, right: Held) {
        self.release_because(right, Reason::Unanswered);
    }

    pub fn release_because(&mut self, (kind, target): Held, reason: Reason) {
        let id = match target {
            Target::Set(_) => unreachable!("no right leads to a set"),
            Target::Token(token) => {
                return self.events.push(Event::Unanswered(RemoteToken(token)));
            }
            Target::Port(id) => id,
        };
        match kind {
            RightKind::Send => self.release_sends(id, 1),
            RightKind::SendOnce => self.tell(id, News::SendOnce(reason)),
            RightKind::Receive => self.release_receive(id),
        }
    }

    pub fn release_sends(&mut self, id: PortId, count: u32) {
        self.port(id).sends -= count;
        if self.port(id).sends == 0 {
            self.check_senders(id);
            self.collect(id);
        }
    }

    fn release_receive(&mut self, id: PortId) {
        let port = self.port(id);
        if port.dead.is_some() || port.destroyed.is_none() {
            port.holder = Holder::Nobody;
            self.kill(id, Reason::Destroyed);
            return self.collect(id);
        }
        // It comes back, unless it would lie in its own queue.
        self.detach_receive(id);
        let notify = self.port(id).destroyed.take().unwrap();
        if self.lies_in(notify, id) {
            self.tell(notify, News::SendOnce(Reason::Circular));
            self.release_receive(id);
        } else {
            self.tell(notify, News::PortDestroyed(id));
        }
    }

    /// A receive right leaves where it was.
    pub fn detach_receive(&mut self, id: PortId) {
        self.leave_set(id);
        let port = self.port(id);
        port.holder = Holder::Transit;
        port.sequence = 0;
        port.make_sends = 0;
        for thread in std::mem::take(&mut port.receivers) {
            self.end(thread, End::Died(Reason::Moved));
        }
    }

    /// The right for the reply first, then the others from the last on.
    pub fn discard(&mut self, letter: Letter, reason: Reason) {
        let rights = letter.rights.into_iter().rev();
        for right in letter.reply.into_iter().chain(rights) {
            self.release_because(right, reason);
        }
    }

    /// Takes a request away; the latest first.
    fn take_request(&mut self, which: impl Fn(&super::model::Request) -> bool) -> Option<PortId> {
        let at = self.requests.iter().rposition(which)?;
        Some(self.requests.remove(at).notify)
    }

    pub fn withdraw(&mut self, at: At, about: About) -> Option<PortId> {
        self.take_request(|request| request.at == at && request.about == about)
    }

    pub fn name_deleted(&mut self, at: At) {
        for about in [About::Death, About::Room] {
            if let Some(notify) = self.withdraw(at, about) {
                self.tell(notify, News::NameDeleted(at.1));
            }
        }
    }

    fn tell_all(&mut self, id: PortId, about: About, news: impl Fn(Name) -> News) {
        while let Some(request) = self
            .requests
            .iter()
            .rfind(|request| request.port == id && request.about == about)
            .copied()
        {
            self.withdraw(request.at, about);
            self.tell(request.notify, news(request.at.1));
        }
    }

    /// Says that there is room, if so, and no sender is before those who asked.
    pub fn tell_room(&mut self, id: PortId) {
        let port = self.port(id);
        if port.dead.is_some() || port.is_full() || !port.senders.is_empty() {
            return;
        }
        if std::mem::take(&mut port.room_wanted) && !port.room_told {
            port.room_told = true;
            self.events.push(Event::Room(id));
        }
        self.tell_all(id, About::Room, News::Room);
    }

    /// Says that nobody can send any more, if that is so and somebody asked.
    pub fn check_senders(&mut self, id: PortId) {
        let port = self.port(id);
        if port.sends == 0
            && port.senders.is_empty()
            && let Some(notify) = port.no_senders.take()
        {
            let news = News::NoSenders(port.make_sends);
            self.tell(notify, news);
        }
    }

    /// All that a name was worth is given up; the name is gone already.
    pub fn release_entry(&mut self, at: At, entry: Entry) {
        self.name_deleted(at);
        match entry.target {
            Target::Set(number) => self.destroy_set(number),
            Target::Port(id) if entry.sends > 0 => self.release_sends(id, entry.sends),
            _ => {}
        }
        for kind in [RightKind::SendOnce, RightKind::Receive] {
            if entry.count(kind) > 0 {
                self.release((kind, entry.target));
            }
        }
    }

    fn destroy_set(&mut self, number: u32) {
        for member in self.sets[&number].members.clone() {
            self.leave_set(member);
        }
        for thread in self.sets.remove(&number).unwrap().receivers {
            self.end(thread, End::Died(Reason::Destroyed));
        }
    }

    pub fn collect(&mut self, id: PortId) {
        let Some(port) = self.ports.get(&id) else {
            return;
        };
        if port.sends + port.onces == 0
            && port.holder == Holder::Nobody
            && port.senders.is_empty()
            && port.queue.is_empty()
            && !port.doomed
        {
            if let (Some(token), None) = (port.proxy, port.dead) {
                self.events.push(Event::Unused(RemoteToken(token)));
            }
            self.ports.remove(&id);
        }
    }

    pub fn kill(&mut self, id: PortId, reason: Reason) {
        let Some(port) = self.ports.get_mut(&id) else {
            return;
        };
        if port.dead.is_some() {
            return;
        }
        port.dead = Some(reason);
        port.doomed = true;
        if port.watched {
            self.events.push(Event::PortDied(id, 0));
        }
        for thread in std::mem::take(&mut self.port(id).receivers) {
            self.end(thread, End::Died(reason));
        }
        for thread in std::mem::take(&mut self.port(id).senders) {
            let Wait::Sending(_, letter) = self.threads[thread].wait.clone() else {
                panic!("{thread} is not sending")
            };
            self.end(thread, End::Refused(reason, letter));
        }
        self.leave_set(id);
        for about in [About::Death, About::Room] {
            self.tell_all(id, about, |name| News::DeadName(name, reason));
        }
        let port = self.port(id);
        let requests = [port.no_senders.take(), port.destroyed.take()];
        for notify in requests.into_iter().flatten() {
            self.tell(notify, News::SendOnce(reason));
        }
        self.doomed.push(id);
        if self.doomed.len() == 1 {
            self.empty_dead_queues();
        }
    }

    /// The port that died last is emptied first.
    fn empty_dead_queues(&mut self) {
        while let Some(id) = self.doomed.last().copied() {
            let port = self.port(id);
            let item = match port.relays() && port.backlog == 0 {
                true => None,
                false => port.queue.pop_front(),
            };
            port.backlog = port.backlog.saturating_sub(1);
            match item {
                Some(item) => self.lose(item),
                None => {
                    self.port(id).doomed = false;
                    self.doomed.pop();
                    self.collect(id);
                }
            }
        }
    }

    pub fn renew_reply_port(&mut self, thread: usize) {
        if let Some(id) = self.threads[thread].reply.take() {
            self.release((RightKind::Receive, Target::Port(id)));
        }
    }

    pub fn cancel(&mut self, thread: usize) -> Wait {
        let wait = std::mem::take(&mut self.threads[thread].wait);
        self.threads[thread].owed = false;
        match &wait {
            Wait::Receiving(super::model::Source::Port(id), _) => {
                self.port(*id).receivers.retain(|other| *other != thread);
            }
            Wait::Receiving(super::model::Source::Set(number), _) => {
                self.set(*number).receivers.retain(|other| *other != thread);
            }
            Wait::Sending(id, _) => {
                self.port(*id).senders.retain(|other| *other != thread);
                self.tell_room(*id);
                self.check_senders(*id);
                self.collect(*id);
            }
            _ => {}
        }
        wait
    }

    /// A thread ends: what it waited for, or was given, is destroyed.
    pub fn unregister(&mut self, thread: usize) {
        match self.cancel(thread) {
            Wait::Sending(_, letter) | Wait::Done(End::Refused(_, letter)) => {
                self.discard(letter, Reason::Unanswered);
            }
            Wait::Done(End::Received(item)) => self.lose(item),
            _ => {}
        }
        self.renew_reply_port(thread);
    }
}
