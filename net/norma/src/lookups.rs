//! Look-ups under way: seek the address, begin a session with whoever has it, ask, and hand the
//! answer to the thread that wants it.
//!
//! Where an address was found before, its node is asked at once over the session that there is;
//! what is kept is the way to it, never a right, so that nothing stale is ever handed out: a node
//! that no longer has what is asked for says so, and the search begins anew.
//!
//! A look-up can wait until there is something to find. It then hears the announcement of the
//! name; and in case that was lost it asks by itself, less and less often.
//!
//! Owns those that are under way, and when each has its next turn. Leaves to others: the question
//! itself (`question`).

use alloc::vec::Vec;

use norma_flip::{Address, Duration, Instant, Locate, Route};
use norma_ipc::{PageSource, Reason, Right, RightError, ThreadId};

use crate::limits::{
    ASK_ROUNDS, LOOK_UP_TIME, MAX_LOOKUPS, REMEMBERED_PLACES, SEEK_AGAIN, SEEK_AGAIN_MOST,
};
use crate::names::{Text, short};
use crate::node::Node;

/// What a look-up found so far.
#[derive(Debug)]
#[must_use]
pub enum LookUp {
    /// It is on this node.
    Found(Right),
    /// The answer will come to the thread's reply port: [`norma_ipc::Ipc::await_reply`].
    Asked,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// The right under a name.
    Name(Text),
    /// The same, at a node that says that the name is not ours.
    Rival(Text),
    /// What is in a slot of a node.
    Special(u32),
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The address is being located.
    Seeking,
    /// HELLO is being said, in the session at that place.
    Connecting(u32),
    /// The question is on its way.
    Asked,
    /// Nobody has it; it is sought again later.
    Resting,
}

#[derive(Debug)]
pub(crate) struct Asking {
    /// Tells it from all others.
    pub(crate) number: u32,
    pub(crate) want: Want,
    pub(crate) target: Address,
    pub(crate) stage: Stage,
    /// To the thread that wants it; none where this node itself does.
    pub(crate) reply: Option<Right>,
    /// Whether it waits for something that is not there.
    pub(crate) waits: bool,
    pub(crate) until: Instant,
    /// When it is sought again.
    pub(crate) again: Instant,
    /// How long it rests the next time.
    pub(crate) rest: Duration,
    /// How often it was asked in vain.
    pub(crate) rounds: u8,
}

#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) asking: Vec<Asking>,
    number: u32,
    /// At which node something was found, the oldest first.
    places: heapless::Deque<(Address, Address), REMEMBERED_PLACES>,
}

impl Lookups {
    pub(crate) const fn new() -> Self {
        Lookups {
            asking: Vec::new(),
            number: 0,
            places: heapless::Deque::new(),
        }
    }

    pub(crate) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.asking
            .iter()
            .filter_map(|asking| asking.reply.as_ref())
    }

    /// When there is something to do.
    pub(crate) fn next(&self) -> Instant {
        let due = self.asking.iter().map(|asking| match asking.stage {
            Stage::Resting => asking.until.min(asking.again),
            _ => asking.until,
        });
        due.min().unwrap_or(Instant::NEVER)
    }

    fn remember(&mut self, target: Address, peer: Address) {
        self.forget(target);
        if self.places.is_full() {
            self.places.pop_front();
        }
        let _ = self.places.push_back((target, peer));
    }

    pub(crate) fn forget(&mut self, target: Address) {
        for _ in 0..self.places.len() {
            if let Some(kept) = self.places.pop_front()
                && kept.0 != target
            {
                let _ = self.places.push_back(kept);
            }
        }
    }

    /// What was asked of the node that had it is asked of another one: no answer is awaited.
    fn ask_elsewhere(&mut self, target: Address) {
        let Lookups { asking, number, .. } = self;
        let asked = |asking: &&mut Asking| asking.target == target && asking.stage == Stage::Asked;
        for asking in asking.iter_mut().filter(asked) {
            *number = number.wrapping_add(1);
            asking.number = *number;
            asking.stage = Stage::Resting;
            asking.again = Instant::NEVER; // It is connected at once.
        }
    }

    fn place_of(&self, target: Address) -> Option<Address> {
        let mut places = self.places.iter();
        places.find(|(of, _)| *of == target).map(|(_, peer)| *peer)
    }

    /// The index of the first that is like this.
    pub(crate) fn find(&self, like: impl Fn(&Asking) -> bool) -> Option<usize> {
        self.asking.iter().position(like)
    }
}

impl<S: PageSource> Node<S> {
    /// Looks a name up for `thread`: on this node, else in the cluster. With `until`, it waits
    /// until then for somebody to check the name in.
    ///
    /// An answer from the cluster is a message with the identifier 0 and one send right. If there
    /// is none, the reply port is told [`Reason::NameUnknown`]: without `until` after about a
    /// second, or three where a node was found and does not answer.
    ///
    /// # Errors
    /// [`RightError::InvalidName`] for a text that cannot be a name, [`RightError::NoMemory`].
    pub fn look_up(
        &mut self,
        now: Instant,
        thread: ThreadId,
        text: &str,
        until: Option<Instant>,
    ) -> Result<LookUp, RightError> {
        let text = short(text).ok_or(RightError::InvalidName)?;
        if let Some(right) = self.find_name(&text) {
            return Ok(LookUp::Found(right));
        }
        let target = self.name_address(&text).image();
        self.look_for(now, thread, Want::Name(text), target, until)
    }

    /// Asks for the address of something on behalf of a thread.
    pub(crate) fn look_for(
        &mut self,
        now: Instant,
        thread: ThreadId,
        want: Want,
        target: Address,
        until: Option<Instant>,
    ) -> Result<LookUp, RightError> {
        if !self.lookup_fits() {
            return Err(RightError::NoMemory);
        }
        let reply = self.ipc.make_reply_right(thread)?;
        self.begin(now, want, target, Some(reply), until);
        Ok(LookUp::Asked)
    }

    /// Asks a node whether it has what it announced. `false` if that cannot be.
    pub(crate) fn ask_rival(&mut self, now: Instant, want: Want, node: Address) -> bool {
        let fits = self.lookup_fits();
        if fits {
            self.begin(now, want, node, None, None);
        }
        fits
    }

    fn lookup_fits(&mut self) -> bool {
        let asking = &mut self.lookups.asking;
        asking.len() < MAX_LOOKUPS && asking.try_reserve(1).is_ok()
    }

    fn begin(
        &mut self,
        now: Instant,
        want: Want,
        target: Address,
        reply: Option<Right>,
        until: Option<Instant>,
    ) {
        let lookups = &mut self.lookups;
        lookups.number = lookups.number.wrapping_add(1);
        let number = lookups.number;
        lookups.asking.push(Asking {
            number,
            want,
            target,
            stage: Stage::Seeking,
            reply,
            waits: until.is_some(),
            until: until.unwrap_or(now + LOOK_UP_TIME),
            again: Instant::NEVER,
            rest: SEEK_AGAIN,
            rounds: 0,
        });
        self.names_due(until.unwrap_or(now + LOOK_UP_TIME));
        self.search(now, target, number);
    }

    /// Asks where it was found before, or seeks it.
    fn search(&mut self, now: Instant, target: Address, number: u32) {
        let peer = self.lookups.place_of(target).unwrap_or(target);
        let place = self.by_peer.get(&peer.0).copied();
        match place {
            Some(place) => self.ask(now, place, number),
            None => self.seek(now, target),
        }
    }

    /// Somebody has the address: say HELLO to it.
    pub(crate) fn name_located(&mut self, now: Instant, target: Address) {
        let waits = |asking: &Asking| {
            asking.target == target && matches!(asking.stage, Stage::Seeking | Stage::Resting)
        };
        if self.lookups.find(waits).is_none() {
            return;
        }
        let place = self.connect(now, target);
        for asking in self
            .lookups
            .asking
            .iter_mut()
            .filter(|asking| waits(asking))
        {
            match place {
                Some(place) => asking.stage = Stage::Connecting(place),
                None => asking.rest(now),
            }
        }
        if place.is_none() {
            self.names_due(now);
        }
    }

    /// An address was announced by a node. Who waits for it need not ask where it is, and it is
    /// no longer where it was found before.
    pub(crate) fn name_announced(
        &mut self,
        now: Instant,
        target: Address,
        node: Address,
        route: Route,
    ) {
        let before = self.lookups.place_of(target);
        if before.is_some_and(|peer| peer != node) {
            self.lookups.forget(target);
            self.lookups.ask_elsewhere(target);
        }
        if self.lookups.find(|asking| asking.seeks(target)).is_some() {
            self.flip.follow(now, target, route);
            self.name_located(now, target);
        }
    }

    /// A name was checked in on this node: who waited for it here has it.
    pub(crate) fn name_is_here(&mut self, now: Instant, target: Address) {
        let wants =
            |asking: &Asking| asking.target == target && matches!(asking.want, Want::Name(_));
        while let Some(index) = self.lookups.find(wants)
            && let Some(right) = self.find_address(target)
        {
            self.hand_over(now, index, right);
        }
    }

    /// Nobody has the address, or it cannot be sought.
    pub(crate) fn name_not_located(&mut self, now: Instant, target: Address, reason: Reason) {
        let seeks = |asking: &Asking| asking.target == target && asking.stage == Stage::Seeking;
        while let Some(index) = self.lookups.find(seeks) {
            self.not_found(now, index, reason);
        }
    }

    /// Whoever had the address does not answer HELLO: perhaps another has it.
    pub(crate) fn name_not_connected(&mut self, now: Instant, place: u32, target: Address) {
        self.flip.forget_route(target);
        let connects = |asking: &Asking| asking.stage == Stage::Connecting(place);
        while let Some(index) = self.lookups.find(connects) {
            self.again(now, index);
        }
    }

    /// It is not there: who waits rests, and who does not is told.
    pub(crate) fn not_found(&mut self, now: Instant, index: usize, reason: Reason) {
        let Some(asking) = self.lookups.asking.get_mut(index) else {
            return;
        };
        if asking.waits && now < asking.until {
            asking.rest(now);
            let again = asking.again;
            return self.names_due(again);
        }
        let asking = self.lookups.asking.swap_remove(index);
        match (asking.want, asking.reply) {
            (Want::Rival(text), _) => {
                let address = self.name_address(&text).image();
                self.rival_answered(now, address, None);
            }
            (_, Some(reply)) => self.ipc.release_because(reply, reason),
            (_, None) => {}
        }
    }

    /// What waited for the session at `before` asks over the one at `place`.
    pub(crate) fn connected(&mut self, now: Instant, before: u32, place: u32) {
        let Some(peer) = self.sessions.get(place).map(|session| session.peer) else {
            return;
        };
        let waits = |asking: &Asking| asking.stage == Stage::Connecting(before);
        while let Some(index) = self.lookups.find(waits) {
            let asking = &self.lookups.asking[index];
            let (target, number) = (asking.target, asking.number);
            self.lookups.remember(target, peer);
            self.ask(now, place, number);
        }
    }

    /// What time brings to look-ups.
    pub(crate) fn lookups_timeout(&mut self, now: Instant) {
        while let Some(index) = self.lookups.find(|asking| asking.until <= now) {
            self.lookups.asking[index].waits = false;
            self.not_found(now, index, Reason::NameUnknown);
        }
        let rested = |asking: &Asking| asking.stage == Stage::Resting && asking.again <= now;
        while let Some(index) = self.lookups.find(rested) {
            self.seek_again(now, index);
        }
    }

    /// A look-up that waits asks by itself (W-93).
    fn seek_again(&mut self, now: Instant, index: usize) {
        if self.has_nobody(index) {
            let asking = self.lookups.asking.swap_remove(index);
            let reply = asking.reply.into_iter();
            return reply.for_each(|reply| self.ipc.release(reply));
        }
        let asking = &mut self.lookups.asking[index];
        if asking.rounds >= ASK_ROUNDS {
            return self.not_found(now, index, Reason::NameUnknown);
        }
        asking.stage = Stage::Seeking;
        let (target, number) = (asking.target, asking.number);
        if !asking.waits {
            return self.search(now, target, number);
        }
        match self.flip.locate_once(now, target) {
            Locate::Pending => {}
            Locate::Known(_) => self.name_located(now, target),
            Locate::Here | Locate::Missing | Locate::Full => {
                self.name_not_located(now, target, Reason::NameUnknown);
            }
        }
    }
}

impl<S: PageSource> Node<S> {
    /// Whether the thread that asked has given up since.
    fn has_nobody(&self, index: usize) -> bool {
        let reply = self.lookups.asking[index].reply.as_ref();
        let port = reply.and_then(Right::port);
        port.is_some_and(|port| self.ipc.sink(port).is_err())
    }
}

impl Asking {
    /// Whether it would be glad to hear where that address is.
    fn seeks(&self, target: Address) -> bool {
        self.target == target && matches!(self.stage, Stage::Seeking | Stage::Resting)
    }

    fn rest(&mut self, now: Instant) {
        self.stage = Stage::Resting;
        self.rounds = 0;
        self.again = now + self.rest;
        self.rest = (self.rest * 2).min(SEEK_AGAIN_MOST);
    }
}
