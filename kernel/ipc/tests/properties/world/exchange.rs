//! Calls and answers as one step: what they do, the operations of which they consist would have
//! done, and what they leave alone comes back as it was.

use norma_ipc::*;

use super::World;
use super::model::{At, Fate, Letter, Source, Target};
use super::page::CountedPage;

impl World {
    pub fn call_at_once(&mut self, thread: usize, at: At, message: Message<CountedPage>) {
        let mut letter = Letter::of(&message);
        let target = match self.entry(at) {
            Ok(entry) if entry.sends > 0 => Some(entry.target),
            _ => None,
        };
        let to = self.ipc.send_target(at.0, at.1);
        assert_eq!(to.map(Target::Port), target);
        let (Some(to), Some(target)) = (to, target) else {
            self.messages.push(message);
            return;
        };
        match self.ipc.call_at_once(ThreadId(thread as u32), to, message) {
            Err(message) => {
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            Ok(ThreadId(server)) => {
                let home = self.model.threads[thread].reply.unwrap();
                let right = (RightKind::SendOnce, Target::Port(home));
                self.model.count(right);
                assert_eq!(letter.reply.replace(right), None);
                letter.expects_reply = true;
                let fate = self.model.deliver(target, false, letter, None);
                assert_eq!(fate, Fate::Handed(server as usize));
                let found = self.take_or_wait(thread, Source::Port(home), usize::MAX);
                assert_eq!(found, Ok(None));
            }
        }
    }

    pub fn answer_at_once(&mut self, thread: usize, at: At, message: Message<CountedPage>) {
        let letter = Letter::of(&message);
        let answered = self
            .ipc
            .answer_at_once(ThreadId(thread as u32), at.0, at.1, message);
        match answered {
            Err(message) => {
                assert_eq!(Letter::of(&message), letter);
                self.messages.push(message);
            }
            Ok(ThreadId(caller)) => {
                let mut answer = letter;
                answer.expects_reply = false;
                let right = answer.reply.take().unwrap();
                let fate = self.deliver_with(right, answer, None);
                assert_eq!(fate, Fate::Handed(caller as usize));
                let source = self.source(at).unwrap();
                let found = self.take_or_wait(thread, source, usize::MAX);
                assert_eq!(found, Ok(None));
            }
        }
    }
}
