//! Cycles: receive rights go into queues of ports whose receive rights are in queues, also by
//! way of threads that wait for room and of requests to give them back.

use norma_ipc::*;

use crate::Acts;
use crate::scene::Scene;

#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// The receive right of one port goes into a message to another, or to the same.
    Put(usize, usize),
    /// The same, and a thread waits while there is no room: the first port holds one message.
    PutAndWait(usize, usize),
    Cancel,
    /// All that is in a port's first message, or news, is taken out.
    Take(usize),
    /// A receive right that is given up is to come back to another port, or the same.
    ComeBack(usize, usize),
    /// A receive right is given up.
    End(usize),
    /// A message without rights, which takes up room.
    Fill(usize),
}

impl Acts for Act {
    fn all() -> Vec<Self> {
        let mut all = vec![Act::Cancel, Act::Fill(0)];
        for one in 0..3 {
            all.extend([Act::Take(one), Act::End(one)]);
            all.extend((0..3).map(|other| Act::Put(one, other)));
        }
        all.extend([1, 2].map(|one| Act::PutAndWait(one, 0)));
        all.extend([(0, 1), (1, 0), (1, 1), (1, 2)].map(|(one, other)| Act::ComeBack(one, other)));
        all
    }

    fn act(self, scene: &mut Scene) {
        let _ = self.try_act(scene);
    }

    /// Every live port can be received from once all above it have been.
    fn check(scene: &Scene) {
        let model = &scene.world.model;
        for (id, port) in &model.ports {
            let within = model
                .above(*id)
                .is_some_and(|above| model.lies_in(above, *id));
            assert!(!within, "{id:?} lies in its own queue");
            assert!(
                port.dead.is_some() || model.can_be_reached(*id),
                "{id:?} is lost"
            );
        }
    }
}

impl Act {
    fn try_act(self, scene: &mut Scene) -> Option<()> {
        let ports = scene.ports;
        let server = scene.server;
        match self {
            Act::Put(one, other) | Act::PutAndWait(one, other) => {
                let at = scene.receive_name(ports[one])?;
                scene.world.extract(at, RightKind::Receive);
                let wait = matches!(self, Act::PutAndWait(..)).then_some(0);
                scene.post(ports[other], wait);
                // It may be refused.
                scene.put_away(server);
            }
            Act::Cancel => {
                scene.world.cancel(0);
                scene.put_away(server);
            }
            Act::Take(one) => {
                scene
                    .world
                    .receive(scene.receive_name(ports[one])?, usize::MAX);
                scene.put_away(server);
            }
            Act::ComeBack(one, other) => {
                let at = scene.receive_name(ports[one])?;
                let there = scene.receive_name(ports[other])?;
                scene.world.make_right(there, RightKind::SendOnce);
                let notify = scene.world.rights.pop();
                scene.world.request_port_destroyed(at, notify);
                scene.put_away(server);
            }
            Act::End(one) => {
                scene
                    .world
                    .deallocate(scene.receive_name(ports[one])?, RightKind::Receive);
            }
            Act::Fill(one) => {
                scene.post(ports[one], None);
                scene.throw_away();
            }
        }
        Some(())
    }
}
