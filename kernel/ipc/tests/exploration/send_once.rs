//! Send-once rights: used, dropped, sent about, spent on requests, while the ports to which they
//! lead wait, move and die. The world counts them.

use norma_ipc::*;

use crate::Acts;
use crate::scene::Scene;

#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// The server makes a right for the client.
    Make,
    /// Whoever has it sends with it, or gives it up.
    Use,
    Drop,
    /// It goes into a message to the second port, as a right or as that for the reply.
    IntoMessage,
    AsReply,
    /// The server takes it out of that message, destroys it, or replies.
    TakeOut,
    Discard,
    Answer,
    /// It is spent on a request to be told of the death of the second port.
    Request,
    Withdraw,
    /// The server receives from the first port, or a thread waits there.
    Receive,
    Wait,
    Look,
    /// The receive right of the first port moves, goes into a message to the second, or is given
    /// up; or the second port ends.
    Move,
    ReceiveIntoMessage,
    End,
    EndCarrier,
}

impl Acts for Act {
    fn all() -> Vec<Self> {
        use Act::*;
        vec![
            Make,
            Use,
            Drop,
            IntoMessage,
            AsReply,
            TakeOut,
            Discard,
            Answer,
            Request,
            Withdraw,
            Receive,
            Wait,
            Look,
            Move,
            ReceiveIntoMessage,
            End,
            EndCarrier,
        ]
    }

    fn act(self, scene: &mut Scene) {
        // Without what it needs an act does nothing.
        let _ = self.try_act(scene);
    }

    /// The world counts the rights, and in the end finds that none was lost.
    fn check(_: &Scene) {}
}

impl Act {
    fn try_act(self, scene: &mut Scene) -> Option<()> {
        let [port, carrier, _] = scene.ports;
        let Scene { server, client, .. } = *scene;
        match self {
            Act::Make => {
                let at = scene.receive_name(port)?;
                scene.world.make_right(at, RightKind::SendOnce);
                scene.put_away(client);
            }
            Act::Use => {
                let at = scene.once_name(port)?;
                let message = scene.message(false);
                scene.world.send(at, message, None);
                scene.throw_away();
            }
            Act::Drop => {
                let at = scene.once_name(port)?;
                scene.world.deallocate(at, RightKind::SendOnce);
            }
            Act::IntoMessage | Act::AsReply => {
                let at = scene.once_name(port)?;
                scene.world.extract(at, RightKind::SendOnce);
                let message = scene.message(matches!(self, Act::AsReply));
                scene.world.post(carrier, message, None);
                scene.put_away(client);
            }
            Act::TakeOut => {
                scene
                    .world
                    .receive(scene.receive_name(carrier)?, usize::MAX);
                scene.put_away(server);
            }
            Act::Discard => {
                scene
                    .world
                    .receive(scene.receive_name(carrier)?, usize::MAX);
                scene.throw_away();
                scene.put_away(server);
            }
            Act::Answer => {
                scene
                    .world
                    .receive(scene.receive_name(carrier)?, usize::MAX);
                let message = scene.world.messages.pop()?;
                scene.world.reply(message);
                scene.put_away(server);
            }
            Act::Request => {
                let at = scene.receive_name(carrier)?;
                let right = scene.once_name(port)?;
                scene.world.extract(right, RightKind::SendOnce);
                let notify = scene.world.rights.pop()?;
                scene.world.request(at, About::Death, notify);
                scene.put_away(client);
            }
            Act::Withdraw => {
                let at = scene.receive_name(carrier)?;
                scene.world.withdraw_request(at, About::Death);
                scene.put_away(client);
            }
            Act::Receive => {
                scene.world.receive(scene.receive_name(port)?, usize::MAX);
                scene.throw_away();
            }
            Act::Wait => {
                let at = scene.receive_name(port)?;
                scene.world.receive_or_wait(0, at, usize::MAX);
                scene.throw_away();
            }
            Act::Look => {
                scene.world.take_completion(0);
                scene.throw_away();
            }
            Act::Move => {
                let at = scene.receive_name(port)?;
                scene.world.extract(at, RightKind::Receive);
                scene.put_away(if at.0 == server { client } else { server });
            }
            Act::ReceiveIntoMessage => {
                let at = scene.receive_name(port)?;
                scene.world.extract(at, RightKind::Receive);
                scene.post(carrier, None);
                scene.put_away(client);
            }
            Act::End => {
                scene
                    .world
                    .deallocate(scene.receive_name(port)?, RightKind::Receive);
            }
            Act::EndCarrier => {
                scene
                    .world
                    .deallocate(scene.receive_name(carrier)?, RightKind::Receive);
            }
        }
        Some(())
    }
}
