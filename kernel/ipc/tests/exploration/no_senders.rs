//! No senders: rights to a port are made, copied, sent about and given up, while its receiver
//! asks to be told when there are none.

use norma_ipc::*;

use crate::Acts;
use crate::scene::Scene;

#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// The server makes a right for the client.
    Make,
    /// The client copies its right into a message to another port of the server.
    CopyIntoMessage,
    /// It moves it there.
    MoveIntoMessage,
    /// The server keeps the right in that message.
    TakeOut,
    /// The server destroys that message.
    Discard,
    /// The client gives up one right, or all of them.
    DropOne,
    DropAll,
    /// The server gives up all that it has itself.
    ServerDrops,
    /// Somebody's thread sends, and waits for room.
    SendAndWait,
    Cancel,
    Receive,
    /// The server sets the queue limit to what it is, so that the queue is looked at anew.
    SetLimit,
    /// The server asks, and says how many rights it has made.
    Ask,
    /// It asks before it makes the next one.
    AskEarly,
    Withdraw,
    /// The receive right moves to the other space.
    Move,
    /// It is given up.
    End,
}

impl Act {
    /// Asks to be told at the last port.
    fn ask(scene: &mut Scene, early: bool) {
        let [port, _, bell] = scene.ports;
        let (Some(at), Some(there)) = (scene.receive_name(port), scene.receive_name(bell)) else {
            return;
        };
        let made = scene.world.model.ports[&port].make_sends;
        let senders = has_senders(scene);
        scene.world.make_right(there, RightKind::SendOnce);
        let notify = scene.world.rights.pop();
        let sync = made + u32::from(early);
        scene.world.request_no_senders(at, sync, notify);
        scene.asked_early = early && !senders;
        scene.put_away(scene.server);
    }

    /// The right of the client goes into a message to the second port.
    fn into_message(scene: &mut Scene, disposition: Disposition) {
        let [port, carrier, _] = scene.ports;
        let Some(at) = scene.send_name(scene.client, port) else {
            return;
        };
        scene.world.copy_in(at, disposition);
        scene.post(carrier, None);
        // It may be refused.
        scene.put_away(scene.client);
    }

    fn receive(scene: &mut Scene, id: PortId) {
        if let Some(at) = scene.receive_name(id) {
            scene.world.receive(at, usize::MAX);
        }
    }
}

/// Whether anybody can send, by the core's own account.
fn has_senders(scene: &Scene) -> bool {
    let [port, ..] = scene.ports;
    scene.receive_name(port).is_some_and(|(space, name)| {
        let status = scene.world.ipc.receive_status(space, name).unwrap();
        status.has_senders || status.blocked_senders > 0
    })
}

impl Acts for Act {
    fn all() -> Vec<Self> {
        use Act::*;
        vec![
            Make,
            CopyIntoMessage,
            MoveIntoMessage,
            TakeOut,
            Discard,
            DropOne,
            DropAll,
            ServerDrops,
            SendAndWait,
            Cancel,
            Receive,
            SetLimit,
            Ask,
            AskEarly,
            Withdraw,
            Move,
            End,
        ]
    }

    fn act(self, scene: &mut Scene) {
        let [port, carrier, _] = scene.ports;
        let Scene { server, client, .. } = *scene;
        match self {
            Act::Make => {
                if let Some(at) = scene.receive_name(port) {
                    scene.world.make_right(at, RightKind::Send);
                    scene.put_away(client);
                }
            }
            Act::CopyIntoMessage => Self::into_message(scene, Disposition::CopySend),
            Act::MoveIntoMessage => Self::into_message(scene, Disposition::MoveSend),
            Act::TakeOut => {
                Self::receive(scene, carrier);
                scene.put_away(server);
            }
            Act::Discard => {
                Self::receive(scene, carrier);
                scene.throw_away();
            }
            Act::DropOne => {
                if let Some(at) = scene.send_name(client, port) {
                    scene.world.deallocate(at, RightKind::Send);
                }
            }
            Act::DropAll => {
                if let Some(at) = scene.send_name(client, port) {
                    scene.world.destroy(at);
                }
            }
            Act::ServerDrops => {
                if let Some(at) = scene.send_name(server, port) {
                    let all = scene.world.model.names[&at].sends as i32;
                    scene.world.modify_references(at, RightKind::Send, -all);
                }
            }
            Act::SendAndWait => {
                if let Some(at) = scene.send_name(client, port) {
                    let message = scene.message(false);
                    scene.world.send(at, message, Some(0));
                    scene.throw_away();
                }
            }
            Act::Cancel => {
                scene.world.cancel(0);
                scene.throw_away();
            }
            Act::Receive => {
                Self::receive(scene, port);
                scene.throw_away();
            }
            Act::SetLimit => {
                if let Some(at) = scene.receive_name(port) {
                    scene.world.set_queue_limit(at, 1);
                }
            }
            Act::Ask => Self::ask(scene, false),
            Act::AskEarly => Self::ask(scene, true),
            Act::Withdraw => {
                if let Some(at) = scene.receive_name(port) {
                    scene.world.request_no_senders(at, 0, None);
                    scene.put_away(server);
                }
            }
            Act::Move => {
                if let Some(at) = scene.receive_name(port) {
                    scene.world.extract(at, RightKind::Receive);
                    scene.put_away(if at.0 == server { client } else { server });
                }
            }
            Act::End => {
                if let Some(at) = scene.receive_name(port) {
                    scene.world.deallocate(at, RightKind::Receive);
                }
            }
        }
        scene.asked_early &= !has_senders(scene);
    }

    /// Who asked is still waiting if and only if somebody can send, or was to be able to.
    fn check(scene: &Scene) {
        let [port, ..] = scene.ports;
        let Some((space, name)) = scene.receive_name(port) else {
            return;
        };
        let status = scene.world.ipc.receive_status(space, name).unwrap();
        if status.no_senders_requested {
            assert!(has_senders(scene) || scene.asked_early, "missed");
        }
    }
}
