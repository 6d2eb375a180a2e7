//! Random sequences of operations, some of which find no memory: whatever they answer, the
//! audit must pass after each.

use norma_ipc::*;
use proptest::prelude::*;

use crate::allocator::failing;

type Core = Ipc<HeapPage>;

const KINDS: [RightKind; 3] = [RightKind::Send, RightKind::SendOnce, RightKind::Receive];

#[derive(Default)]
struct Chaos {
    ipc: Core,
    spaces: Vec<SpaceId>,
    names: Vec<(SpaceId, Name)>,
    rights: Vec<Right>,
    messages: Vec<Message<HeapPage>>,
}

fn draw<T>(list: &mut Vec<T>, choice: u8) -> Option<T> {
    let at = usize::from(choice).checked_rem(list.len())?;
    Some(list.swap_remove(at))
}

/// A name that nobody gave out, far enough up for the table to grow.
fn chosen(choice: u8) -> Name {
    Name::from_raw((5 << limits::NAME_INDEX_BITS) | (u32::from(choice) * 3))
}

impl Chaos {
    fn keep(&mut self, sent: Result<Sent<HeapPage>, SendError<HeapPage>>) {
        match sent {
            Ok(Sent::Forward { message, .. }) => self.messages.push(message),
            Ok(_) => {}
            Err(error) => self.messages.push(error.message),
        }
    }

    fn received(&mut self, delivery: Delivery<HeapPage>) {
        match delivery {
            Delivery::Message(message) => self.messages.push(message),
            Delivery::Notification(Notification::PortDestroyed(right)) => self.rights.push(right),
            Delivery::Notification(_) => {}
        }
    }

    fn completed(&mut self, completion: Completion<HeapPage>) {
        match completion {
            Completion::Received(delivery) => self.received(delivery),
            Completion::Refused(_, message) => self.messages.push(message),
            _ => {}
        }
    }

    /// One operation, during which the allocations from number `first` on fail.
    fn step(&mut self, [what, a, b, first]: [u8; 4]) {
        let first = if first > 3 { usize::MAX } else { first.into() };
        let thread = ThreadId(u32::from(b) % 3);
        let wait = (b & 4 != 0).then_some(thread);
        let kind = KINDS[usize::from(b) % 3];
        let at = usize::from(a)
            .checked_rem(self.names.len())
            .map(|at| self.names[at]);
        let space = usize::from(a)
            .checked_rem(self.spaces.len())
            .map(|at| self.spaces[at]);
        macro_rules! try_it {
            (|$ipc:ident| $work:expr) => {{
                let $ipc = &mut self.ipc;
                failing(first, usize::MAX, || $work).0
            }};
        }
        match (what % 32, at, space) {
            (0, ..) | (_, _, None) => {
                self.spaces
                    .extend(try_it!(|ipc| ipc.create_space(a.into()).ok()));
                let _ = try_it!(|ipc| ipc.register_thread(thread));
            }
            (1, _, Some(space)) => {
                let name = try_it!(|ipc| ipc.allocate_port(space).ok());
                self.names.extend(name.map(|name| (space, name)));
            }
            (2 | 3, Some((space, name)), _) => {
                self.rights
                    .extend(try_it!(|ipc| ipc.make_right(space, name, kind).ok()));
            }
            (4 | 5, _, Some(space)) => {
                let Some(right) = draw(&mut self.rights, b) else {
                    return;
                };
                match try_it!(|ipc| ipc.insert(space, right)) {
                    Ok(name) => self.names.push((space, name)),
                    Err(refused) => self.rights.push(refused.right),
                }
            }
            (6, Some((space, name)), _) => {
                self.rights
                    .extend(try_it!(|ipc| ipc.extract(space, name, kind).ok()));
            }
            (7, ..) => self.messages.extend(try_it!(|ipc| ipc.new_message().ok())),
            (8, ..) => {
                let Some(mut message) = draw(&mut self.messages, a) else {
                    return;
                };
                let _ = try_it!(|ipc| ipc.attach_reply(thread, &mut message));
                if let Some(right) = draw(&mut self.rights, b) {
                    let pushed = try_it!(|_ipc| message.push_right(right));
                    self.rights.extend(pushed.err());
                }
                self.messages.push(message);
            }
            (9 | 10, Some((space, name)), _) => {
                let Some(message) = draw(&mut self.messages, b) else {
                    return;
                };
                let sent = try_it!(|ipc| ipc.send(space, name, message, wait));
                self.keep(sent);
            }
            (11, ..) => {
                let Some(message) = draw(&mut self.messages, b) else {
                    return;
                };
                let sent = try_it!(|ipc| ipc.reply(message));
                self.keep(sent);
            }
            (12 | 13, Some((space, name)), _) => {
                if let Ok(Some(d)) = try_it!(|ipc| ipc.receive_or_wait(thread, space, name)) {
                    self.received(d);
                }
            }
            (14, ..) => {
                if let Some(completion) = try_it!(|ipc| ipc.take_completion(thread)) {
                    self.completed(completion);
                }
            }
            (15, ..) => {
                match try_it!(|ipc| ipc.cancel(thread)) {
                    Cancelled::Message(message) => self.messages.push(message),
                    Cancelled::Completed(completion) => self.completed(completion),
                    Cancelled::Nothing => {}
                }
                try_it!(|ipc| ipc.renew_reply_port(thread));
            }
            (16, Some((space, name)), _) => {
                let _ = try_it!(|ipc| ipc.set_queue_limit(space, name, u16::from(b) % 8));
            }
            (17, ..) => {
                let token = RemoteToken(a.into());
                if b & 1 == 0 {
                    self.rights
                        .extend(try_it!(|ipc| ipc.import_send_once(token).ok()));
                } else if let Ok(proxy) = try_it!(|ipc| ipc.create_proxy(token)) {
                    self.rights.extend(self.ipc.add_send(proxy).ok());
                }
            }
            (18, ..) => {
                if let Some(right) = draw(&mut self.rights, a) {
                    try_it!(|ipc| ipc.release(right));
                }
                if let Some(message) = draw(&mut self.messages, b) {
                    try_it!(|ipc| ipc.discard(message));
                }
            }
            (19, _, Some(space)) if b < 60 => try_it!(|ipc| ipc.destroy_space(space)),
            (19, Some((space, name)), _) => {
                let _ = try_it!(|ipc| ipc.deallocate(space, name, kind));
            }
            (20 | 21, _, Some(space)) => {
                let name = try_it!(|ipc| ipc.allocate_set(space).ok());
                self.names.extend(name.map(|name| (space, name)));
            }
            (22, Some((space, name)), _) => {
                let others = self.names.iter().filter(|(owner, _)| *owner == space);
                let set = others.map(|(_, name)| *name).nth(b.into());
                let _ = try_it!(|ipc| ipc.move_member(space, name, set));
            }
            (23 | 24, Some((space, name)), _) => {
                let about = if b & 8 == 0 {
                    About::Death
                } else {
                    About::Room
                };
                let Some(notify) = draw(&mut self.rights, b) else {
                    return;
                };
                match try_it!(|ipc| ipc.request(space, name, about, notify)) {
                    Ok(right) => self.rights.extend(right),
                    Err(refused) => self.rights.push(refused.right),
                }
            }
            (25 | 26, Some((space, name)), _) => {
                let notify = draw(&mut self.rights, b);
                let asked = if what & 1 == 0 {
                    try_it!(|ipc| ipc.request_no_senders(space, name, 0, notify))
                } else {
                    try_it!(|ipc| ipc.request_port_destroyed(space, name, notify))
                };
                match asked {
                    Ok(right) | Err((_, right)) => self.rights.extend(right),
                }
            }
            (27, Some((space, name)), _) => {
                if try_it!(|ipc| ipc.rename(space, name, chosen(b))).is_ok() {
                    self.names.push((space, chosen(b)));
                }
            }
            (28, _, Some(space)) => {
                let Some(right) = draw(&mut self.rights, b) else {
                    return;
                };
                match try_it!(|ipc| ipc.insert_as(space, chosen(b), right)) {
                    Ok(()) => self.names.push((space, chosen(b))),
                    Err(refused) => self.rights.push(refused.right),
                }
            }
            (29, _, Some(space)) => {
                let name = try_it!(|ipc| ipc.allocate_dead_name(space).ok());
                self.names.extend(name.map(|name| (space, name)));
            }
            (30, Some((space, name)), _) => {
                let _ = try_it!(|ipc| ipc.modify_references(space, name, kind, 1));
                if b & 4 == 0 {
                    let _ = try_it!(|ipc| ipc.destroy(space, name));
                }
            }
            _ => while try_it!(|ipc| ipc.poll_event()).is_some() {},
        }
    }

    fn check(&self) {
        let inside = self
            .messages
            .iter()
            .flat_map(|m| m.rights().iter().chain(m.reply()));
        self.ipc.audit(self.rights.iter().chain(inside)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn i_2_memory_may_fail_at_any_step(
        steps in prop::collection::vec(any::<[u8; 4]>(), 0..if cfg!(miri) { 30 } else { 200 })
    ) {
        let mut chaos = Chaos::default();
        for step in steps {
            chaos.step(step);
            chaos.check();
        }
    }
}
