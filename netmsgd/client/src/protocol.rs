//! What goes over the unix socket between a program and its daemon.
//!
//! A socket of type `SOCK_SEQPACKET`: each packet is one request or one answer, and at most one
//! memory file travels with it. Every request has one answer, but for [`Operation::Release`],
//! which has none; the next request of a connection is read when the answer to the one before has
//! been written. Numbers are little-endian. `docs/netmsgd.md` is the specification.
//!
//! Owns: the layout, written and read in one place for both ends. Leaves to others: what the
//! operations do. A packet is as hostile as a frame: nothing here panics on one.

use norma_ipc::{Context, Disposition, RightKind};

/// Version of the protocol: the first thing that a daemon checks.
pub const VERSION: u32 = 1;

/// Bytes of the head of a request, and of an answer.
pub const HEAD: usize = 32;

/// Bytes of the head of a message in a packet.
pub const MESSAGE: usize = 40;

/// Bytes of what travels with a call besides its data, where there is anything.
pub const CONTEXT: usize = 32;

/// Bytes of a right in a message.
pub const RIGHT: usize = 8;

/// To wait without end.
pub const FOREVER: u64 = u64::MAX;

macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($(#[$each:meta])* $name:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $($(#[$each])* $name = $number,)*
        }

        impl $type {
            /// What has this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

numbered! {
    /// What a request asks for.
    Operation {
        /// Begins a task (`token` zero), or joins the one with that token. The tail is the token,
        /// 16 bytes; `value` is [`VERSION`]. Answer: the token, and the node's name behind it.
        Hello = 1,
        /// A new port. Answer: the name of its receive right.
        NewPort = 2,
        /// Gives up a right of `kind` under `name`; as a receive right, also a set. There is no
        /// answer.
        Release = 3,
        /// Makes a right of `kind` from the receive right under `name`. Answer: its name.
        Make = 4,
        /// One more send right to the same port. Answer: its name.
        Copy = 5,
        /// Sends the message in the tail to `name`.
        Send = 6,
        /// The same, and waits for the reply. Answer: a message.
        Call = 7,
        /// The same, and waits until it is known what became of the message.
        SendConfirmed = 8,
        /// Takes a message from the port or set under `name`, of at most `value` bytes of inline
        /// data. Answer: a message or a notification.
        Receive = 9,
        /// Sends the message in the tail to the send-once right `other`, then receives from
        /// `name`.
        ReplyAndReceive = 10,
        /// Makes the send right under `name` known to the cluster as the text in the tail. With
        /// `other`, a send-once right that is used when another node has the name.
        CheckIn = 11,
        /// The same, and waits until that is certain.
        Claim = 12,
        /// Makes a text unknown that this task has checked in. Answer: `value` 1 if it was known.
        CheckOut = 13,
        /// Looks a text up; with `value` 1 it waits for it. Answer: the name of a send right.
        LookUp = 14,
        /// Asks to be told about the death of what is under `name`; `other` is the send-once
        /// right that is used. Answer: the name of the one before, or 0.
        NotifyDeath = 15,
        /// The same about room in the queue.
        NotifyRoom = 16,
        /// The same when there are no senders; `value` is the count that the caller knows of.
        NotifyNoSenders = 17,
        /// How many messages the queue of `name` holds before senders wait: `value`.
        SetQueueLimit = 18,
        /// Whether the port of `name` is dead. Answer: `value` 1 if it is.
        IsDead = 19,
        /// A new port set. Answer: its name.
        NewSet = 20,
        /// Puts the port `name` into the set `other`, or out of any where that is 0.
        Move = 21,
    }
}

numbered! {
    /// What an answer is.
    Answer {
        /// It is done; `name` and `value` say more where the operation says so.
        Done = 1,
        /// A message is in the tail.
        Message = 2,
        /// A notification: `what` says which, `name`, `value` and the failure what of it.
        Notification = 3,
        /// It failed: `what` is a [`Cause`]. With [`RETURNED`] in the flags, the tail says under
        /// which names the rights of the message are that was not sent.
        Failed = 4,
    }
}

/// A flag of an answer: the message was not sent, and what was in it is the sender's again.
pub const RETURNED: u8 = 1;

numbered! {
    /// Why a request failed. The names are those of [`crate::Failure`].
    Cause {
        /// The time given was not enough.
        TimedOut = 1,
        /// The queue is full.
        Full = 2,
        /// Nothing was there to receive.
        Empty = 3,
        /// The port was destroyed.
        PortDied = 4,
        /// The receiver dropped the call.
        Unanswered = 5,
        /// The node died; `value` is its address, its name is in the tail.
        NodeDied = 6,
        /// Nobody has checked that name in.
        NameUnknown = 7,
        /// A name has 1 to 63 bytes.
        BadName = 8,
        /// This node has the name already.
        NameTaken = 9,
        /// Another node has it; its name is in the tail.
        NameTakenBy = 10,
        /// No memory, or a quota is used up.
        NoMemory = 11,
        /// The right cannot be used for that.
        InvalidRight = 12,
        /// The name denotes nothing.
        InvalidName = 13,
        /// The receive right was moved away.
        Moved = 14,
        /// A receive right would lie in its own queue.
        Circular = 15,
        /// The message has `value` bytes of inline data.
        TooLarge = 16,
        /// A number is out of its range.
        OutOfRange = 17,
        /// The port is not in that set.
        NotInSet = 18,
        /// The request makes no sense.
        BadRequest = 19,
        /// The daemon serves as many tasks or connections as it can.
        TooMany = 20,
    }
}

numbered! {
    /// What a notification says.
    News {
        /// A send-once right was given up; `value` and the tail say why, as for a failure.
        SendOnce = 1,
        /// The right under `name` is dead.
        DeadName = 2,
        /// `name` was given up.
        NameDeleted = 3,
        /// Nobody can send any more; `value` send rights were made until now.
        NoSenders = 4,
        /// A receive right came back, under `name`.
        PortDestroyed = 5,
        /// There is room in the queue of `name`.
        Room = 6,
    }
}

/// The head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub operation: Operation,
    /// A kind of right, where one is asked for.
    pub kind: RightKind,
    /// On what.
    pub name: u32,
    /// What else is needed for it.
    pub other: u32,
    /// A number.
    pub value: u32,
    /// How long to wait, in nanoseconds; 0 not at all, [`FOREVER`].
    pub patience: u64,
}

impl Request {
    /// A request for an operation on a name.
    #[must_use]
    pub const fn new(operation: Operation, name: u32) -> Self {
        Self {
            operation,
            kind: RightKind::Send,
            name,
            other: 0,
            value: 0,
            patience: FOREVER,
        }
    }

    /// Appends the head.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.operation as u8, kind_number(self.kind), 0, 0]);
        for number in [self.name, self.other, self.value] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.patience.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
    }

    /// Reads the head of a packet; the tail is what is behind it.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<(Self, &[u8])> {
        let mut fields = Fields(packet);
        let request = Self {
            operation: Operation::from_number(fields.u8()?)?,
            kind: kind(fields.u8()?)?,
            name: {
                fields.skip(2)?;
                fields.u32()?
            },
            other: fields.u32()?,
            value: fields.u32()?,
            patience: fields.u64()?,
        };
        fields.skip(8)?;
        Some((request, fields.0))
    }
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it is.
    pub answer: Answer,
    /// Which failure or notification.
    pub what: u8,
    /// [`RETURNED`].
    pub flags: u8,
    /// The [`Cause`] behind a notification, or 0.
    pub cause: u8,
    /// A name.
    pub name: u32,
    /// A number.
    pub value: u64,
    /// The length of the text at the beginning of the tail.
    pub text: u32,
}

impl Reply {
    /// That it is done.
    pub const DONE: Reply = Reply {
        answer: Answer::Done,
        what: 0,
        flags: 0,
        cause: 0,
        name: 0,
        value: 0,
        text: 0,
    };

    /// Appends the head.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.answer as u8, self.what, self.flags, self.cause]);
        out.extend_from_slice(&self.name.to_le_bytes());
        out.extend_from_slice(&self.value.to_le_bytes());
        out.extend_from_slice(&self.text.to_le_bytes());
        out.extend_from_slice(&[0; 12]);
    }

    /// Reads the head of a packet, the text, and what is behind it.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut fields = Fields(packet);
        let reply = Self {
            answer: Answer::from_number(fields.u8()?)?,
            what: fields.u8()?,
            flags: fields.u8()?,
            cause: fields.u8()?,
            name: fields.u32()?,
            value: fields.u64()?,
            text: fields.u32()?,
        };
        fields.skip(12)?;
        let text = fields.take(reply.text as usize)?;
        Some((reply, text, fields.0))
    }
}

/// The head of a message in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHead {
    /// The identifier.
    pub id: u32,
    /// What is known about the inline data ([`norma_ipc::Format::bits`]).
    pub format: u8,
    /// Rights in it, besides the reply right.
    pub rights: u16,
    /// Bytes of inline data.
    pub data: u32,
    /// On which name it came, or 0.
    pub port: u32,
    /// As which one it came there.
    pub sequence: u32,
    /// The name of the right to which a reply goes, or 0.
    pub reply: u32,
    /// Bytes of out-of-line memory: they lie at the beginning of the memory file.
    pub memory: u64,
}

const HAS_CONTEXT: u8 = 1;

impl MessageHead {
    /// Appends the head, and the context if it is not the default.
    pub fn emit(&self, context: Context, out: &mut Vec<u8>) {
        let has_context = context != Context::default();
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&[self.format, u8::from(has_context) * HAS_CONTEXT]);
        out.extend_from_slice(&self.rights.to_le_bytes());
        for number in [self.data, self.port, self.sequence, self.reply] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.memory.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        if has_context {
            out.extend_from_slice(&context.deadline.to_le_bytes());
            out.extend_from_slice(&context.trace);
            out.extend_from_slice(&[context.priority, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}

/// A message in a packet.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    /// Its head.
    pub head: MessageHead,
    /// What travels with the call.
    pub context: Context,
    rights: &'a [u8],
    /// The inline data.
    pub data: &'a [u8],
}

impl<'a> MessageView<'a> {
    /// Reads a message that fills the rest of a packet.
    #[must_use]
    pub fn parse(tail: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(tail);
        let mut head = MessageHead {
            id: fields.u32()?,
            format: fields.u8()?,
            ..MessageHead::default()
        };
        let flags = fields.u8()?;
        head.rights = fields.u16()?;
        head.data = fields.u32()?;
        head.port = fields.u32()?;
        head.sequence = fields.u32()?;
        head.reply = fields.u32()?;
        head.memory = fields.u64()?;
        fields.skip(8)?;
        let mut context = Context::default();
        if flags & HAS_CONTEXT != 0 {
            context.deadline = fields.u64()?;
            context.trace = *fields.take(16)?.first_chunk()?;
            context.priority = fields.u8()?;
            fields.skip(7)?;
        }
        let rights = fields.take(usize::from(head.rights) * RIGHT)?;
        let data = fields.take(head.data as usize)?;
        fields.0.is_empty().then_some(Self {
            head,
            context,
            rights,
            data,
        })
    }

    /// The rights: names, and what [`emit_right`] said of each.
    pub fn rights(&self) -> impl Iterator<Item = (u32, u8)> + use<'a> {
        let (rights, _) = self.rights.as_chunks::<RIGHT>();
        rights.iter().map(|right| {
            let [a, b, c, d, what, ..] = *right;
            (u32::from_le_bytes([a, b, c, d]), what)
        })
    }
}

/// Appends a right; `what` is a [`disposition_number`] or a [`kind_number`].
pub fn emit_right(name: u32, what: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&name.to_le_bytes());
    out.extend_from_slice(&[what, 0, 0, 0]);
}

/// A kind of right as a number.
#[must_use]
pub const fn kind_number(kind: RightKind) -> u8 {
    match kind {
        RightKind::Receive => 1,
        RightKind::Send => 2,
        RightKind::SendOnce => 3,
    }
}

/// The reverse of [`kind_number`].
#[must_use]
pub const fn kind(number: u8) -> Option<RightKind> {
    match number {
        1 => Some(RightKind::Receive),
        2 => Some(RightKind::Send),
        3 => Some(RightKind::SendOnce),
        _ => None,
    }
}

/// How a right goes into a message, as a number.
#[must_use]
pub const fn disposition_number(disposition: Disposition) -> u8 {
    match disposition {
        Disposition::MoveReceive => 1,
        Disposition::MoveSend => 2,
        Disposition::MoveSendOnce => 3,
        Disposition::CopySend => 4,
        Disposition::MakeSend => 5,
        Disposition::MakeSendOnce => 6,
    }
}

/// The reverse of [`disposition_number`].
#[must_use]
pub const fn disposition(number: u8) -> Option<Disposition> {
    match number {
        1 => Some(Disposition::MoveReceive),
        2 => Some(Disposition::MoveSend),
        3 => Some(Disposition::MoveSendOnce),
        4 => Some(Disposition::CopySend),
        5 => Some(Disposition::MakeSend),
        6 => Some(Disposition::MakeSendOnce),
        _ => None,
    }
}

/// Reads numbers off the beginning.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
