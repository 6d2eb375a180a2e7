//! Taking what a frame carries: a message, or pages of one.
//!
//! Whatever arrives is hostile until checked. A frame counts as arrived only when all that it
//! carries has been taken; so nothing here changes anything before it is known to succeed.

use alloc::vec::Vec;

use norma_flip::Incoming;
use norma_ipc::limits::{MAX_INLINE, MAX_MEMORY, MAX_RIGHTS};
use norma_ipc::{Expects, Format, Ipc, Message, PAGE_SIZE, Page, PageSource};
use norma_wire::layout::{self, BODY_AT, HEAD_BODY, MessageLayout};
use norma_wire::session::{self, Flags, Header};
use norma_wire::{context, descriptor};

use crate::counters::{Counters, Drop};
use crate::deliver::After;
use crate::inbox::{Contents, Label, Parcel};
use crate::session::Session;
use crate::window::before;

/// Where the pages of a frame begin.
const PAGES_AT: usize = layout::HEAD;

/// What a session needs of its node to take a frame.
pub(crate) struct Desk<'a, S: PageSource> {
    pub(crate) ipc: &'a mut Ipc<S::Page>,
    pub(crate) source: &'a mut S,
    pub(crate) counters: &'a mut Counters,
    /// What is left to do when the frame was taken.
    pub(crate) after: &'a mut Option<After<S::Page>>,
}

impl<P: Page> Session<P> {
    /// Takes a message. One that is nothing but its header, and whose turn it is, is delivered
    /// at once.
    #[inline(always)]
    pub(crate) fn take_message<S: PageSource<Page = P>>(
        &mut self,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, P>,
        desk: Desk<'_, S>,
    ) -> Result<(), Drop> {
        let label = Label::of(header);
        let Desk {
            ipc,
            source,
            counters,
            after: left,
        } = desk;
        let bare = header.is_bare() && length == session::LENGTH;
        if !bare || !self.inbox.is_next(label) {
            // Put together only here: the common case does without it in memory.
            let desk = &mut Desk {
                ipc,
                source,
                counters,
                after: left,
            };
            return self.take_content(header, length, frame, desk);
        }
        // Room for REFUSED, should it come to that.
        self.out.promise(1).map_err(|_| Drop::NoMemory)?;
        let Ok(mut message) = ipc.new_message() else {
            self.out.forgive(1);
            return Err(Drop::NoMemory);
        };
        read_header(header, &mut message);
        let contents = Contents::Rights(Vec::new());
        if let Some(after) = self.deliver(ipc, counters, label, message, contents) {
            *left = Some(after);
        }
        Ok(())
    }

    #[inline(never)]
    fn take_content<S: PageSource<Page = P>>(
        &mut self,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, P>,
        desk: &mut Desk<'_, S>,
    ) -> Result<(), Drop> {
        let plan = MessageLayout::parse_message(header, length).map_err(|_| Drop::Malformed)?;
        let memory = header.memory() as usize;
        // Room for REFUSED, should it come to that.
        self.out.promise(1).map_err(|_| Drop::NoMemory)?;
        let label = Label::of(header);
        let here = is_too_large(header) || plan.page_bytes >= memory;
        let now_or_later = here && self.inbox.may_deliver(label);
        let Ok(mut message) = desk.ipc.new_message() else {
            self.out.forgive(1);
            return Err(Drop::NoMemory);
        };
        let spare = match header.rights() {
            0 => Vec::new(),
            _ => core::mem::take(&mut self.spare),
        };
        let read = read_message(header, &plan, frame, here, &mut message, desk, spare);
        if message.has_context() {
            let now = self.liveness.heard_at().nanos();
            message.set_context(message.context().until(now));
        }
        let contents = match read {
            Ok(rights) if header.flags().contains(Flags::NOTIFICATION) => Contents::News(rights),
            Ok(rights) => Contents::Rights(rights),
            Err(Drop::NoMemory) => Contents::Hopeless,
            Err(reason) => {
                desk.ipc.discard(message);
                self.out.forgive(1);
                return Err(reason);
            }
        };
        if now_or_later {
            let Desk { ipc, counters, .. } = desk;
            if let Some(after) = self.deliver(ipc, counters, label, message, contents) {
                *desk.after = Some(after);
            }
            return Ok(());
        }
        let parcel = Parcel {
            label,
            message,
            contents,
        };
        if here {
            // Nothing of it is missing, nor will be, even if there was no memory for all.
            let memory = parcel.message.memory().len();
            return self.put_aside(parcel, memory, &mut [], desk);
        }
        let pages = frame.pages.get_mut(..plan.pages).unwrap_or_default();
        self.put_aside(parcel, memory, pages, desk)
    }

    /// Keeps the head of a message whose pages or whose turn have not come yet, with the first
    /// `pages`, which are whole.
    fn put_aside<S: PageSource<Page = P>>(
        &mut self,
        parcel: Parcel<P>,
        memory: usize,
        pages: &mut [P],
        desk: &mut Desk<'_, S>,
    ) -> Result<(), Drop> {
        let Session { inbox, out, .. } = self;
        let count = parcel.message.memory().pages().len() + pages.len();
        let index = match inbox.partial(parcel.label.sequence, memory, 0, count) {
            Ok(index) => index,
            Err(reason) => {
                out.forgive(1);
                desk.ipc.discard(parcel.message);
                return Err(reason);
            }
        };
        inbox.put_parcel(index, parcel);
        let used = pages.len() * PAGE_SIZE;
        inbox.put_pages(index, 0, pages, used, desk.source);
        Ok(())
    }

    pub(crate) fn take_part(
        &mut self,
        header: &Header<'_>,
        length: usize,
        frame: &mut Incoming<'_, P>,
        source: &mut impl PageSource<Page = P>,
    ) -> Result<(), Drop> {
        let plan = MessageLayout::parse(header, length).map_err(|_| Drop::Malformed)?;
        let memory = header.memory() as usize;
        let first = header.reply() as usize;
        let end = first
            .checked_mul(PAGE_SIZE)
            .and_then(|at| at.checked_add(plan.page_bytes));
        // Whole pages, or up to the last byte; and never before its own MESSAGE.
        let fits = end.is_some_and(|end| {
            end == memory || (end < memory && plan.page_bytes.is_multiple_of(PAGE_SIZE))
        });
        if !fits || !before(header.destination(), header.sequence()) {
            return Err(Drop::Malformed);
        }
        if memory > MAX_MEMORY {
            // Its message is refused: it has arrived, and is not kept (W-22).
            return Ok(());
        }
        let index = self
            .inbox
            .partial(header.destination(), memory, first, plan.pages)?;
        let pages = frame.pages.get_mut(..plan.pages).ok_or(Drop::Malformed)?;
        self.inbox
            .put_pages(index, first, pages, plan.page_bytes, source);
        Ok(())
    }
}

/// Reads what the header says of a message.
#[inline(always)]
fn read_header<P>(header: &Header<'_>, message: &mut Message<P>) {
    message.set_id(header.id());
    // Bit for bit the same, see the test below.
    let flags = header.flags().bits() as u8;
    message.set_expects(Expects::from_bits(flags));
    message.set_format(Format::from_bits(flags));
}

/// There will never be memory for such a message: its sender learns that, and does not repeat it.
#[inline(always)]
fn is_too_large(header: &Header<'_>) -> bool {
    (usize::from(header.inline()) > MAX_INLINE)
        | (usize::from(header.rights()) > MAX_RIGHTS)
        | (header.memory() as usize > MAX_MEMORY)
}

/// Reads a message off its frame; with `whole`, its memory too. Returns its rights.
#[inline(always)]
fn read_message<S: PageSource>(
    header: &Header<'_>,
    plan: &MessageLayout,
    frame: &mut Incoming<'_, S::Page>,
    whole: bool,
    message: &mut Message<S::Page>,
    desk: &mut Desk<'_, S>,
    spare: Vec<descriptor::Repr>,
) -> Result<Vec<descriptor::Repr>, Drop> {
    if is_too_large(header) {
        return Err(Drop::NoMemory);
    }
    let inline = usize::from(header.inline());
    if inline > 0 {
        read_inline(frame, plan, inline, message)?;
        desk.counters.inline_copies += 1;
    }
    // After the data, which are plain bytes until the header says more.
    read_header(header, message);
    // Most messages have nothing else.
    if header.rights() == 0 && plan.pages == 0 && !header.flags().contains(Flags::CONTEXT) {
        return Ok(Vec::new());
    }
    read_rest(header, plan, frame, whole, message, desk.source, spare)
}

/// Reads rights, call context and, with `whole`, memory. Returns the rights.
#[inline(never)]
fn read_rest<S: PageSource>(
    header: &Header<'_>,
    plan: &MessageLayout,
    frame: &mut Incoming<'_, S::Page>,
    whole: bool,
    message: &mut Message<S::Page>,
    source: &mut S,
    mut descriptors: Vec<descriptor::Repr>,
) -> Result<Vec<descriptor::Repr>, Drop> {
    let inline = usize::from(header.inline());
    if header.rights() > 0 {
        let count = usize::from(header.rights());
        descriptors.try_reserve(count).map_err(|_| Drop::NoMemory)?;
        for number in 0..count {
            let at = inline + number * descriptor::LENGTH;
            let mut bytes = [0; descriptor::LENGTH];
            let bytes = match frame.head.get(BODY_AT + at..).and_then(<[u8]>::first_chunk) {
                // The only one mostly is here.
                Some(bytes) if at + descriptor::LENGTH <= HEAD_BODY => bytes,
                _ => {
                    read_stream(frame, plan, at, &mut bytes)?;
                    &bytes
                }
            };
            let view = descriptor::Descriptor::from_array(bytes).map_err(|_| Drop::Malformed)?;
            descriptors.push(descriptor::Repr::parse(&view));
        }
    }
    if header.flags().contains(Flags::CONTEXT) {
        let mut bytes = [0; context::LENGTH];
        read_stream(frame, plan, plan.stream - bytes.len(), &mut bytes)?;
        let call = context::Repr::parse(&context::Context::from_array(&bytes));
        message.set_context(norma_ipc::Context {
            deadline: call.deadline,
            trace: call.trace,
            priority: call.priority,
        });
    }
    if whole && plan.pages > 0 {
        let memory = header.memory() as usize;
        let pages = frame.pages.get_mut(..memory.div_ceil(PAGE_SIZE));
        let pages = pages.ok_or(Drop::Malformed)?;
        message
            .memory_mut()
            .take_over(pages, memory, source)
            .map_err(|_| Drop::NoMemory)?;
    }
    Ok(descriptors)
}

/// Reads inline data: the first 64 bytes from the head, the rest from the trailer.
#[inline]
fn read_inline<P: norma_ipc::Page>(
    frame: &Incoming<'_, P>,
    plan: &MessageLayout,
    inline: usize,
    message: &mut Message<P>,
) -> Result<(), Drop> {
    let in_head = inline.min(HEAD_BODY);
    let head = frame
        .head
        .get(BODY_AT..BODY_AT + in_head)
        .ok_or(Drop::Malformed)?;
    message.set_data(head).map_err(|_| Drop::NoMemory)?;
    let mut left = inline - in_head;
    for page in frame.pages.iter().skip(plan.pages) {
        if left == 0 {
            break;
        }
        let count = left.min(PAGE_SIZE);
        message
            .extend_data(&page.bytes()[..count])
            .map_err(|_| Drop::NoMemory)?;
        left -= count;
    }
    if left == 0 {
        Ok(())
    } else {
        Err(Drop::Malformed)
    }
}

/// Reads `out.len()` bytes of the stream from `at` on; they may lie across head and trailer.
fn read_stream<P: norma_ipc::Page>(
    frame: &Incoming<'_, P>,
    plan: &MessageLayout,
    at: usize,
    out: &mut [u8],
) -> Result<(), Drop> {
    let in_head = HEAD_BODY.saturating_sub(at).min(out.len());
    let (first, rest) = out.split_at_mut(in_head);
    let behind = (at + in_head).saturating_sub(HEAD_BODY);
    let trailer = PAGES_AT + plan.pages * PAGE_SIZE;
    let found = frame.copy_to(BODY_AT + at.min(HEAD_BODY), first)
        && (rest.is_empty() || frame.copy_to(trailer + behind, rest));
    if found { Ok(()) } else { Err(Drop::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use norma_ipc::ByteOrder;

    #[test]
    fn a_message_keeps_its_format_in_the_bits_of_the_header() {
        let format = |typed, order| u16::from(Format::new(typed, order).bits());
        assert_eq!(format(false, ByteOrder::Little), 0);
        assert_eq!(format(false, ByteOrder::Big), Flags::BIG_ENDIAN.bits());
        assert_eq!(format(true, ByteOrder::Little), Flags::TYPED.bits());
        let expects = |expects: Expects| u16::from(expects.bits());
        assert_eq!(expects(Expects::NOTHING), 0);
        assert_eq!(expects(Expects::REPLY), Flags::RPC.bits());
        assert_eq!(expects(Expects::RECEIPT), Flags::CONFIRM.bits());
    }
}
