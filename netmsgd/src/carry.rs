//! Messages between programs and the core: from a packet into a body of the core's, and back.
//!
//! Owns: which rights go where, and the one copy of out-of-line memory on each way. Why a copy: a
//! program can change, shorten or take back the pages of its memory file at any time. The daemon
//! never maps it, so nothing that a program does to it can hurt the daemon or change a message
//! under way; and only memory files are read, for a read of another file may wait for ever.

use crate::answer::Failure;
use crate::daemon::Daemon;
use crate::page::Page;
use norma_client::protocol::{
    Answer, Cause, MessageHead, MessageView, RETURNED, Reply, disposition, emit_right, kind_number,
};
use norma_ipc::limits::MAX_MEMORY;
use norma_ipc::{
    Disposition, Format, Memory, Message, Name, PAGE_SIZE, Page as _, PageSource, Right, RightKind,
};
use rustix::fs::{MemfdFlags, fcntl_get_seals, memfd_create};
use rustix::io::{Errno, IoSlice, IoSliceMut, preadv, pwritev};
use std::os::fd::OwnedFd;

/// Pages that are read or written by one system call.
const PAGES_AT_ONCE: usize = 256;

/// The names under which what is in a message that was not sent is its sender's again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    rights: Vec<(u32, u8)>,
    reply: u32,
}

impl Daemon {
    /// Makes a message of what a program sends.
    ///
    /// # Errors
    /// Why not, and under which names its rights are now.
    pub(crate) fn take_in(
        &mut self,
        place: u32,
        view: &MessageView<'_>,
        file: Option<OwnedFd>,
    ) -> Result<Message<Page>, (Failure, Names)> {
        let mut names = Names {
            rights: view
                .rights()
                .map(|(name, what)| (name, kind_of(what)))
                .collect(),
            reply: view.head.reply,
        };
        let mut message = match self.core.ipc().new_message() {
            Ok(message) => message,
            Err(_) => return Err((Cause::NoMemory.into(), names)),
        };
        let filled = self
            .fill(place, view, file, &mut message)
            .and_then(|()| self.move_in(place, view, &mut message, &mut names));
        match filled {
            Ok(()) => Ok(message),
            Err(failure) => {
                self.core.ipc().discard(message);
                Err((failure, names))
            }
        }
    }

    /// All but the rights.
    fn fill(
        &mut self,
        place: u32,
        view: &MessageView<'_>,
        file: Option<OwnedFd>,
        message: &mut Message<Page>,
    ) -> Result<(), Failure> {
        message.set_id(view.head.id);
        message.set_context(view.context.until(self.now.nanos()));
        message.set_data(view.data).map_err(|_| Cause::NoMemory)?;
        message.set_format(Format::from_bits(view.head.format));
        if view.head.memory == 0 {
            return Ok(());
        }
        let length = usize::try_from(view.head.memory).unwrap_or(usize::MAX);
        if length > MAX_MEMORY {
            return Err(Cause::NoMemory.into());
        }
        let file = file.ok_or(Cause::BadRequest)?;
        let account = self.task_of(place).map(|task| task.account.clone());
        let source = self.core.source();
        source.on_account_of(account);
        let read = read_memory(&file, length, source, message.memory_mut());
        source.on_account_of(None);
        read.map_err(Failure::from)
    }

    /// Moves the rights in, or none of them.
    fn move_in(
        &mut self,
        place: u32,
        view: &MessageView<'_>,
        message: &mut Message<Page>,
        names: &mut Names,
    ) -> Result<(), Failure> {
        let space = self.space_of(place).ok_or(Cause::BadRequest)?;
        let mut moved = 0;
        let mut failed = None;
        for (name, what) in view.rights() {
            let pushed = match disposition(what) {
                Some(disposition) => {
                    let name = Name::from_raw(name);
                    let ipc = self.core.ipc();
                    ipc.push_right(space, name, disposition, message)
                        .map_err(|error| self.refused(error))
                }
                None => Err(Cause::BadRequest.into()),
            };
            if let Err(failure) = pushed {
                failed = Some(failure);
                break;
            }
            moved += 1;
        }
        if failed.is_none() && view.head.reply != 0 {
            let name = Name::from_raw(view.head.reply);
            let taken = self.core.ipc().extract(space, name, RightKind::SendOnce);
            match taken {
                Ok(right) => match message.set_reply(right) {
                    Ok(()) => {
                        message.set_expects_reply(true);
                        names.reply = 0;
                    }
                    Err(right) => self.core.ipc().release(right),
                },
                Err(error) => failed = Some(self.refused(error)),
            }
        }
        let Some(failure) = failed else {
            return Ok(());
        };
        let back = self.move_back(place, message);
        for (at, name) in back.rights.into_iter().enumerate().take(moved) {
            names.rights[at] = name;
        }
        Err(failure)
    }

    /// Gives the rights in a message that was not sent back to the program's space.
    fn move_back(&mut self, place: u32, message: &mut Message<Page>) -> Names {
        let mut names = Names::default();
        let Some(space) = self.space_of(place) else {
            return names;
        };
        let count = message.rights().len();
        while let Ok(Some((kind, name))) = self.core.ipc().take_right(space, message) {
            names.rights.push((name.raw(), kind_number(kind)));
        }
        // What found no name: other threads of the program have used up its names meanwhile.
        names.rights.resize(count, (0, 0));
        if let Some(right) = message.take_reply() {
            message.set_expects_reply(false);
            names.reply = self.name(place, right);
        }
        names
    }

    /// Names a right in the space of a thread's task, or releases it and gives 0.
    pub(crate) fn name(&mut self, place: u32, right: Right) -> u32 {
        let Some(space) = self.space_of(place) else {
            self.core.ipc().release(right);
            return 0;
        };
        match self.core.ipc().insert(space, right) {
            Ok(name) => name.raw(),
            Err(refused) => {
                self.core.ipc().release(refused.right);
                0
            }
        }
    }

    /// Answers that a message was not sent, and gives back what was in it.
    pub(crate) fn give_back(&mut self, place: u32, failure: Failure, mut message: Message<Page>) {
        let names = self.move_back(place, &mut message);
        self.core.ipc().discard(message);
        self.returned(place, failure, &names);
    }

    /// Answers that a message was not sent; `names` is where its rights are.
    pub(crate) fn returned(&mut self, place: u32, failure: Failure, names: &Names) {
        let head = MessageHead {
            rights: names.rights.len() as u16,
            reply: names.reply,
            ..MessageHead::default()
        };
        let packet = self.begin_failure(RETURNED, failure);
        head.emit(norma_ipc::Context::default(), packet);
        for (name, what) in &names.rights {
            emit_right(*name, *what, packet);
        }
        self.finish(place, None);
    }

    /// Answers with a message. A right that finds no name, for the program has as many as it may
    /// have, is released, and its name is 0.
    pub(crate) fn hand_out(&mut self, place: u32, mut message: Message<Page>) {
        let file = match write_memory(message.memory()) {
            Ok(file) => file,
            Err(_) => {
                // As if the program had received it and died: whoever waits for an answer learns.
                self.core.ipc().discard(message);
                return self.fail(place, Cause::NoMemory);
            }
        };
        let reply = message
            .take_reply()
            .map_or(0, |right| self.name(place, right));
        let mut rights = std::mem::take(&mut self.named);
        rights.clear();
        if let Some(space) = self.space_of(place) {
            let count = message.rights().len();
            while let Ok(Some((kind, name))) = self.core.ipc().take_right(space, &mut message) {
                rights.push((name.raw(), kind_number(kind)));
            }
            rights.resize(count, (0, 0));
        }
        let head = MessageHead {
            id: message.id(),
            format: message.format().bits(),
            rights: rights.len() as u16,
            data: message.data().len() as u32,
            port: message.port().map_or(0, Name::raw),
            sequence: message.sequence(),
            reply,
            memory: message.memory().len() as u64,
        };
        let context = message.context().left(self.now.nanos());
        let answer = Reply {
            answer: Answer::Message,
            ..Reply::DONE
        };
        let packet = self.begin(&answer, &[]);
        head.emit(context, packet);
        for (name, what) in &rights {
            emit_right(*name, *what, packet);
        }
        packet.extend_from_slice(message.data());
        self.named = rights;
        self.core.ipc().discard(message);
        self.finish(place, file);
    }
}

/// What kind of right a disposition makes.
fn kind_of(what: u8) -> u8 {
    disposition(what).map_or(0, |what| kind_number(Disposition::kind(what)))
}

/// Reads the first `length` bytes of a memory file into fresh pages.
fn read_memory(
    file: &OwnedFd,
    length: usize,
    source: &mut impl PageSource<Page = Page>,
    memory: &mut Memory<Page>,
) -> Result<(), Cause> {
    // Only memory files have seals.
    fcntl_get_seals(file).map_err(|_| Cause::BadRequest)?;
    let count = length.div_ceil(PAGE_SIZE);
    memory.reserve(count).map_err(|_| Cause::NoMemory)?;
    let mut at = 0;
    while at < length {
        let take = (length - at).min(PAGES_AT_ONCE * PAGE_SIZE);
        let mut pages: Vec<Page> = Vec::with_capacity(PAGES_AT_ONCE);
        let given = source.allocate_many(take.div_ceil(PAGE_SIZE), |page| pages.push(page));
        if given * PAGE_SIZE < take {
            return Err(Cause::NoMemory);
        }
        read_pages(file, at, take, &mut pages)?;
        for page in pages {
            let used = (length - at).min(PAGE_SIZE);
            memory.push(page, used).map_err(|_| Cause::NoMemory)?;
            at += used;
        }
    }
    Ok(())
}

fn read_pages(file: &OwnedFd, at: usize, length: usize, pages: &mut [Page]) -> Result<(), Cause> {
    let mut parts: Vec<IoSliceMut<'_>> = Vec::with_capacity(pages.len());
    let mut left = length;
    for page in pages.iter_mut() {
        // They are fresh: nobody shares them.
        let bytes = page.bytes_mut().ok_or(Cause::NoMemory)?;
        let (used, padding) = bytes.split_at_mut(left.min(PAGE_SIZE));
        padding.fill(0);
        left -= used.len();
        parts.push(IoSliceMut::new(used));
    }
    let mut parts = &mut parts[..];
    let mut done = 0;
    while done < length {
        match preadv(file, parts, (at + done) as u64) {
            Err(Errno::INTR) => {}
            // It has fewer bytes than was said.
            Ok(0) | Err(_) => return Err(Cause::BadRequest),
            Ok(count) => {
                done += count;
                IoSliceMut::advance_slices(&mut parts, count);
            }
        }
    }
    Ok(())
}

/// Writes a region into a new memory file, if there is anything in it.
fn write_memory(memory: &Memory<Page>) -> Result<Option<OwnedFd>, Errno> {
    if memory.is_empty() {
        return Ok(None);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("norma-message", flags)?;
    let (mut at, mut left) = (0_usize, memory.len());
    for pages in memory.pages().chunks(PAGES_AT_ONCE) {
        let mut parts: Vec<IoSlice<'_>> = Vec::with_capacity(pages.len());
        for page in pages {
            let used = left.min(PAGE_SIZE);
            parts.push(IoSlice::new(&page.bytes()[..used]));
            left -= used;
        }
        let mut parts = &mut parts[..];
        while !parts.is_empty() {
            match pwritev(&file, parts, at as u64) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
                Ok(0) => return Err(Errno::NOSPC),
                Ok(count) => {
                    at += count;
                    IoSlice::advance_slices(&mut parts, count);
                }
            }
        }
    }
    Ok(Some(file))
}
