//! Steps on receive rights that go to other nodes and come from them, and on what is queued at
//! stand-ins.

use norma_ipc::*;

use super::model::{Held, Holder, Item, Letter, Model, News, Port, Target, held};
use super::{Content, World};

impl Model {
    /// What lies at a stand-in is to be carried.
    pub fn offer(&mut self, id: PortId) {
        let port = self.port(id);
        if port.proxy.is_some() && !port.arriving && !port.carry_told {
            port.carry_told = true;
            self.events.push(Event::Carry(id));
        }
    }

    /// What the core gives back for a send-once right that was seated for a request.
    pub fn unseat(&mut self, id: PortId) -> Held {
        let port = &self.ports[&id];
        let unused = port.dead.is_none() && port.onces == 1 && port.queue.is_empty();
        match port.proxy {
            Some(token) if port.is_seat && unused => {
                self.ports.remove(&id);
                self.ledger.taken_back += 1;
                (RightKind::SendOnce, Target::Token(token))
            }
            _ => (RightKind::SendOnce, Target::Port(id)),
        }
    }

    pub fn unseat_held(&mut self, what: Held) -> Held {
        match what {
            (RightKind::SendOnce, Target::Port(id)) => self.unseat(id),
            other => other,
        }
    }
}

impl World {
    /// Gives a bare remote send-once right a port, as a request does by itself.
    pub fn seat(&mut self, right: Right) -> Right {
        let Target::Token(token) = held(&right).1 else {
            return self.ipc.seat(right).unwrap();
        };
        let right = self.ipc.seat(right).unwrap();
        let id = right.port().unwrap();
        let mut port = Port::new(Some(token), Holder::Nobody);
        port.is_seat = true;
        assert!(self.model.ports.insert(id, port).is_none());
        self.model.count(held(&right));
        right
    }

    /// A receive right at hand leaves; before that some send-once rights that were lent are known
    /// elsewhere.
    pub fn depart(&mut self, right: Right, home: u32) {
        let what = held(&right);
        if let (_, Target::Port(id)) = what {
            self.retract_lent(id, home);
        }
        let (to, onces_to) = (self.number(), self.number());
        let token = |number: u32| RemoteToken(number.into());
        let result = self.ipc.depart(right, token(to), token(onces_to));
        let id = match what {
            (RightKind::Receive, Target::Port(id)) if self.model.ports[&id].dead.is_none() => id,
            _ => {
                let right = result.unwrap_err();
                assert_eq!(held(&right), what);
                return self.rights.push(right);
            }
        };
        let port = self.model.port(id);
        port.proxy = Some(to.into());
        port.onces_to = Some(onces_to.into());
        port.holder = Holder::Nobody;
        port.backlog = port.queue.len();
        port.under_way = 0;
        port.held_back = false;
        port.room_wanted = false;
        let requests = [port.no_senders.take(), port.destroyed.take()];
        let state = result.unwrap();
        assert_eq!(usize::from(state.limit), port.limit);
        assert_eq!(state.queued as usize, port.backlog);
        assert_eq!(state.senders, port.sends > 0 || !port.senders.is_empty());
        assert_eq!(state.send_onces, port.onces);
        self.model.tell_room(id);
        for (right, notify) in [state.no_senders, state.destroyed]
            .into_iter()
            .zip(requests)
        {
            assert_eq!(right.as_ref().and_then(Right::port), notify);
            self.rights.extend(right);
        }
    }

    /// Carries what lies first at a stand-in, or finds that it cannot.
    pub fn next_queued(&mut self, id: PortId, give_back: bool) -> bool {
        let Some(carried) = self.ipc.next_queued(id) else {
            let port = &self.model.ports[&id];
            let held = port.held_back && port.backlog > 0;
            let dead = port.dead.is_some() && !port.relays();
            let none = port.queue.is_empty() || port.arriving || held || dead;
            assert!(none, "{port:?}");
            if port.queue.is_empty() && !port.arriving && !dead {
                self.model.collect(id);
            }
            return false;
        };
        if give_back {
            self.ipc.put_back(id, carried);
            return false;
        }
        let port = self.model.port(id);
        assert_eq!(carried.once, port.backlog == 0);
        let token = if port.backlog > 0 {
            port.backlog -= 1;
            port.under_way += 1;
            port.proxy
        } else {
            port.onces_to.or(port.proxy)
        };
        assert_eq!(Some(carried.token.0), token);
        let item = port.queue.pop_front().unwrap();
        self.model.ledger.received += u64::from(item.by_once());
        match (carried.what, item) {
            (Delivery::Message(message), Item::Letter(letter)) => {
                let by_once = letter.by_once;
                assert_eq!(
                    Letter {
                        by_once,
                        ..Letter::of(&message)
                    },
                    letter
                );
                self.messages.push(message);
            }
            (Delivery::Notification(found), Item::News(news)) => {
                assert_eq!(News::of(&found), news);
                if let Notification::PortDestroyed(right) = found {
                    self.rights.push(right);
                }
            }
            (found, item) => panic!("{found:?}, not {item:?}"),
        }
        true
    }

    /// A receive right comes: to a stand-in, or to a port that was not known.
    pub fn begin_arrival(&mut self, proxy: Option<PortId>) {
        let Some(id) = proxy else {
            let right = self.ipc.create_arriving().unwrap();
            let mut port = Port::new(Some(RemoteToken::NOWHERE.0), Holder::Transit);
            port.arriving = true;
            let id = right.port().unwrap();
            assert!(self.model.ports.insert(id, port).is_none());
            return self.arriving.push(right);
        };
        let result = self.ipc.begin_arrival(id);
        let port = self.model.port(id);
        match (port.dead, port.arriving || port.is_seat) {
            (Some(reason), _) => assert_eq!(result, Err(RightError::Dead(reason))),
            (None, true) => assert_eq!(result, Err(RightError::InvalidRight)),
            (None, false) => {
                port.arriving = true;
                port.holder = Holder::Transit;
                port.backlog = 0;
                self.arriving.push(result.unwrap());
            }
        }
    }

    /// It is not taken after all.
    pub fn undo_arrival(&mut self, right: Right) {
        let id = right.port().unwrap();
        assert_eq!(self.ipc.undo_arrival(right), Ok(()));
        let port = self.model.port(id);
        port.arriving = false;
        port.holder = Holder::Nobody;
        let new = port.proxy == Some(RemoteToken::NOWHERE.0) && port.dead.is_none();
        let unused = port.sends + port.onces == 0;
        if new && unused && port.queue.is_empty() && port.senders.is_empty() {
            self.model.ports.remove(&id);
        } else {
            if port.dead.is_none() && !port.queue.is_empty() {
                self.model.offer(id);
            }
            self.model.collect(id);
        }
    }

    /// What was queued where it came from.
    pub fn deliver_arriving(&mut self, id: PortId, content: Content) {
        let message = self.compose(content);
        let letter = Letter::of(&message);
        let result = self.ipc.deliver_arriving(id, Delivery::Message(message));
        if self.model.ports[&id].dead.is_some() {
            let Err(Delivery::Message(message)) = result else {
                panic!("a dead port took something")
            };
            return self.messages.push(message);
        }
        assert!(result.is_ok());
        self.model.port(id).queue.push_back(Item::Letter(letter));
    }

    /// How many it may queue, and how many send-once rights there are elsewhere.
    pub fn set_state(&mut self, id: PortId, limit: u16, send_onces: u32) {
        let state = PortState {
            limit,
            send_onces,
            ..PortState::default()
        };
        let result = self.ipc.set_state(id, state);
        if self.model.ports[&id].dead.is_some() {
            let _state = result.unwrap_err();
            return;
        }
        result.unwrap();
        let port = self.model.port(id);
        port.limit = limit.clamp(1, limits::MAX_QUEUE_LIMIT).into();
        port.onces += send_onces;
        port.lent += send_onces;
        self.model.ledger.made += u64::from(send_onces);
    }

    /// All is here.
    pub fn open(&mut self, right: Right) {
        let id = right.port().unwrap();
        let result = self.ipc.open(id);
        self.rights.push(right);
        let port = self.model.port(id);
        if let Some(reason) = port.dead {
            return assert_eq!(result, Err(RightError::Dead(reason)));
        }
        result.unwrap();
        port.arriving = false;
        port.held_back = false;
        port.proxy = None;
        port.under_way = 0;
        self.model.refill(id);
    }

    fn retract_lent(&mut self, id: PortId, count: u32) {
        self.ipc.retract_lent(id, count);
        let port = self.model.port(id);
        let count = count.min(port.lent);
        port.lent -= count;
        port.onces -= count;
        self.model.ledger.taken_back += u64::from(count);
        self.model.collect(id);
    }

    /// A right that was lent is used up or given up elsewhere.
    pub fn claim(&mut self, id: PortId) {
        let claimed = self.ipc.claim(id);
        let port = self.model.port(id);
        assert_eq!(claimed.is_some(), port.lent > 0);
        port.lent = port.lent.saturating_sub(1);
        self.rights.extend(claimed);
    }
}
