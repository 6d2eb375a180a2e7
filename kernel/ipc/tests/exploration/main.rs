//! Every short sequence of the operations that matter, in two spaces with three ports, for what
//! is easily got wrong: no senders, send-once rights, and cycles of receive rights.
//!
//! Owns: the search. From the first state on, each act is done in each state, breadth first;
//! a state that was seen before is not continued. States are compared by what the model of the
//! property tests says of them (the core agrees with it, which is checked after each act), and
//! reached anew from the start, since rights cannot be copied. In every new state all is given
//! up besides, and nothing may be left.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

mod cycles;
mod no_senders;
mod scene;
mod send_once;
#[path = "../properties/world/mod.rs"]
mod world;

use scene::Scene;

/// A kind of game: what can be done, and what must hold besides what the world checks.
trait Acts: Copy + Debug + 'static {
    /// All that can be done.
    fn all() -> Vec<Self>;
    /// Does it, if it can be done.
    fn act(self, scene: &mut Scene);
    /// What must hold now.
    fn check(scene: &Scene);
}

/// Says at the end what led to a failure.
struct Path<'a, A: Debug>(&'a [A]);

impl<A: Debug> Drop for Path<'_, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {:?}", self.0);
        }
    }
}

fn reach<A: Acts>(path: &[A]) -> Scene {
    let mut scene = Scene::new();
    for act in path {
        act.act(&mut scene);
    }
    scene
}

fn fingerprint(scene: &Scene) -> u64 {
    let mut hasher = DefaultHasher::new();
    scene.shape().hash(&mut hasher);
    hasher.finish()
}

/// Does every sequence of at most `depth` acts.
fn explore<A: Acts>(depth: usize) {
    let depth = if cfg!(miri) { 1 } else { depth };
    let mut seen = HashSet::from([fingerprint(&Scene::new())]);
    let mut frontier: Vec<Vec<A>> = vec![Vec::new()];
    let mut transitions = 0;
    for length in 1..=depth {
        let mut next = Vec::new();
        for (mut path, act) in frontier
            .iter()
            .flat_map(|path| A::all().into_iter().map(|act| (path.clone(), act)))
        {
            path.push(act);
            let _path = Path(&path);
            let mut scene = reach(&path[..length - 1]);
            act.act(&mut scene);
            transitions += 1;
            scene.world.check();
            A::check(&scene);
            if seen.insert(fingerprint(&scene)) {
                scene.world.end();
                next.push(path.clone());
            }
        }
        frontier = next;
    }
    println!(
        "{}: {} acts, to depth {depth}: {transitions} transitions, {} states, {} of them not \
         continued",
        std::any::type_name::<A>(),
        A::all().len(),
        seen.len(),
        frontier.len(),
    );
}

#[test]
fn i_20_no_senders_is_told_once_never_early_and_never_missed() {
    explore::<no_senders::Act>(8);
}

#[test]
fn i_7_a_send_once_right_leads_to_one_message_or_one_notification() {
    explore::<send_once::Act>(9);
}

#[test]
fn i_23_no_receive_right_gets_into_its_own_queue() {
    explore::<cycles::Act>(6);
}
