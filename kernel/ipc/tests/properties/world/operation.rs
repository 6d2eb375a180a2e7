//! What can be done, and bytes that say what to do.
//!
//! Names, rights, messages and ports are chosen by number among those at hand. Random bytes
//! become operations here, for the property tests and for the fuzzer alike, and a failure shows
//! operations, not bytes.

use norma_ipc::{About, Disposition, Name, Reason, RightKind, limits};

/// What a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Rights that are at hand, up to two of them.
    pub rights: [Option<u8>; 2],
    pub reply: Reply,
    pub bytes: usize,
    /// Out-of-line pages of its own, and whether one is shared with a message at hand.
    pub pages: u8,
    pub shared: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Nothing,
    /// A right at hand.
    Right(u8),
    /// A call by that thread.
    Call(u32),
    /// A call that is taken back before it is made.
    TakenBack(u32),
}

/// A name that the caller chooses.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// One that there was before.
    Old(u8),
    Other(Name),
}

/// How a right at hand is given up.
#[derive(Debug, Clone, Copy)]
pub enum Release {
    Plain,
    Because(Reason),
    /// Its session is over.
    Forget,
}

#[derive(Debug, Clone, Copy)]
pub enum Operation {
    Poll,
    AllocatePort {
        space: u8,
    },
    AllocatePortAs {
        space: u8,
        name: Wanted,
    },
    AllocateSet {
        space: u8,
    },
    AllocateDeadName {
        space: u8,
    },
    MakeRight {
        name: u8,
        kind: RightKind,
    },
    CopySend {
        name: u8,
    },
    CopyIn {
        name: u8,
        disposition: Disposition,
    },
    Extract {
        name: u8,
        kind: RightKind,
    },
    Insert {
        space: u8,
        right: u8,
    },
    InsertAs {
        space: u8,
        right: u8,
        name: Wanted,
    },
    Rename {
        name: u8,
        to: Wanted,
    },
    ModifyReferences {
        name: u8,
        kind: RightKind,
        change: i32,
    },
    Deallocate {
        name: u8,
        kind: RightKind,
    },
    Destroy {
        name: u8,
    },
    Release {
        right: u8,
        how: Release,
    },
    MoveMember {
        name: u8,
        set: Option<u8>,
    },
    Send {
        name: u8,
        content: Content,
        wait: Option<u32>,
    },
    SendTo {
        right: u8,
        content: Content,
        wait: Option<u32>,
    },
    Post {
        port: u8,
        content: Content,
        wait: Option<u32>,
    },
    Reply {
        message: u8,
    },
    Receive {
        name: u8,
        limit: usize,
    },
    ReceiveOrWait {
        thread: u32,
        name: u8,
        limit: usize,
    },
    CallAtOnce {
        thread: u32,
        name: u8,
        content: Content,
    },
    AnswerAtOnce {
        thread: u32,
        name: u8,
        message: u8,
    },
    AwaitReply {
        thread: u32,
    },
    TakeCompletion {
        thread: u32,
    },
    Cancel {
        thread: u32,
    },
    RenewReplyPort {
        thread: u32,
    },
    UnregisterThread {
        thread: u32,
    },
    WaitOutside {
        thread: u32,
    },
    Complete {
        thread: u32,
        value: u32,
    },
    Discard {
        message: u8,
        rights_first: bool,
        because: Reason,
    },
    SetQueueLimit {
        name: u8,
        limit: u16,
    },
    SetSequence {
        name: u8,
        sequence: u32,
    },
    SetMakeSends {
        name: u8,
        make_sends: u32,
    },
    Request {
        name: u8,
        about: About,
        notify: u8,
    },
    WithdrawRequest {
        name: u8,
        about: About,
    },
    RequestNoSenders {
        name: u8,
        sync: u32,
        notify: Option<u8>,
    },
    RequestPortDestroyed {
        name: u8,
        notify: Option<u8>,
    },
    KillPort {
        port: u8,
    },
    DestroySpace {
        space: u8,
    },
    ImportSendOnce,
    CreateProxy {
        with_right: bool,
    },
    Carried {
        proxy: u8,
    },
    HoldBack {
        proxy: u8,
        hold: bool,
    },
    NextToCarry {
        proxy: u8,
    },
    Depart {
        right: u8,
        home: u32,
    },
    NextQueued {
        proxy: u8,
        give_back: bool,
    },
    BeginArrival {
        proxy: Option<u8>,
    },
    UndoArrival {
        right: u8,
    },
    DeliverArriving {
        right: u8,
        content: Content,
    },
    SetState {
        right: u8,
        limit: u16,
        send_onces: u32,
    },
    Open {
        right: u8,
    },
    Claim {
        port: u8,
    },
    Watch {
        port: u8,
    },
    WantRoom {
        port: u8,
    },
}

pub const KINDS: [RightKind; 3] = [RightKind::Send, RightKind::SendOnce, RightKind::Receive];

fn kind(byte: u8) -> RightKind {
    KINDS[usize::from(byte) % 3]
}

fn disposition(byte: u8) -> Disposition {
    match byte % 6 {
        0 => Disposition::MoveReceive,
        1 => Disposition::MoveSend,
        2 => Disposition::CopySend,
        3 => Disposition::MakeSend,
        4 => Disposition::MakeSendOnce,
        _ => Disposition::MoveSendOnce,
    }
}

fn about(byte: u8) -> About {
    if byte & 1 == 0 {
        About::Death
    } else {
        About::Room
    }
}

fn wanted([c, d]: [u8; 2]) -> Wanted {
    let name = |index: u32, generation: u32| {
        Wanted::Other(Name::from_raw(
            (generation << limits::NAME_INDEX_BITS) | index,
        ))
    };
    match c % 8 {
        0..=2 => Wanted::Old(d),
        // The first index that is too large for the quota, and the largest there is.
        3 if d < 128 => name(super::QUOTA + limits::RESTING_NAMES, 1),
        3 => name((1 << limits::NAME_INDEX_BITS) - 1, 1),
        // Generations 0, which no name has, to the last.
        _ => name(u32::from(d % 32), [0, 1, 2, 4095][usize::from(d / 32) % 4]),
    }
}

fn limit(byte: u8) -> usize {
    [usize::MAX, usize::MAX, usize::MAX, 0, 8, 64][usize::from(byte) % 6]
}

fn content([c, d]: [u8; 2]) -> Content {
    let thread = u32::from(c >> 4);
    Content {
        rights: [1, 2].map(|bit| (c & bit != 0).then_some(d)),
        reply: match c & 12 {
            4 if d & 1 == 0 => Reply::Call(thread),
            4 => Reply::TakenBack(thread),
            8 => Reply::Right(d),
            _ => Reply::Nothing,
        },
        bytes: [0, 1, 8, 9, 64, 300][usize::from(d) % 6],
        pages: (c ^ d) % 4 / 2 + (c ^ d) % 7 / 6,
        shared: d % 5 == 4,
    }
}

fn reason(byte: u8) -> Reason {
    if byte & 1 == 0 {
        Reason::Unanswered
    } else {
        Reason::NodeDied(9)
    }
}

fn change([c, d]: [u8; 2]) -> i32 {
    match c % 8 {
        0 => i32::MAX,
        1 => i32::MIN,
        _ => i32::from(d % 7) - 3,
    }
}

impl Operation {
    /// What these bytes say: what to do, and with what. The more often something is needed for
    /// others, or the more there is to it, the more values of the first byte mean it.
    pub fn decode([what, a, b, c, d]: [u8; 5]) -> Self {
        use Operation::*;
        let thread = u32::from(b);
        let wait = (b & 1 != 0).then_some(u32::from(b >> 1));
        let content = content([c, d]);
        match what % 120 {
            0..=2 => Poll,
            3..=7 => AllocatePort { space: a },
            8 => AllocatePortAs {
                space: a,
                name: wanted([c, d]),
            },
            9..=10 => AllocateSet { space: a },
            11 => AllocateDeadName { space: a },
            12..=17 => MakeRight {
                name: a,
                kind: kind(b),
            },
            18 => CopySend { name: a },
            19..=20 => CopyIn {
                name: a,
                disposition: disposition(c),
            },
            21..=24 => Extract {
                name: a,
                kind: kind(c),
            },
            25..=30 => Insert { space: a, right: b },
            31 => InsertAs {
                space: a,
                right: b,
                name: wanted([c, d]),
            },
            32 => Rename {
                name: a,
                to: wanted([c, d]),
            },
            33..=34 => ModifyReferences {
                name: a,
                kind: kind(b),
                change: change([c, d]),
            },
            35..=37 => Deallocate {
                name: a,
                kind: kind(c),
            },
            38 => Destroy { name: a },
            39 => Release {
                right: a,
                how: how(c),
            },
            40..=42 => MoveMember {
                name: a,
                set: (c % 4 != 0).then_some(b),
            },
            43..=52 => Send {
                name: a,
                content,
                wait,
            },
            53..=55 => SendTo {
                right: a,
                content,
                wait,
            },
            56 => Post {
                port: a,
                content,
                wait,
            },
            57..=59 => Reply { message: a },
            60..=63 => Receive {
                name: a,
                limit: limit(c),
            },
            64..=68 => ReceiveOrWait {
                thread,
                name: a,
                limit: limit(c),
            },
            69 => AwaitReply { thread },
            70..=72 => TakeCompletion { thread },
            73..=74 => Cancel { thread },
            75 if c % 2 == 0 => RenewReplyPort { thread },
            75 => UnregisterThread { thread },
            76 if c % 2 == 0 => WaitOutside { thread },
            76 => Complete {
                thread,
                value: c.into(),
            },
            77..=78 => Discard {
                message: a,
                rights_first: c & 1 != 0,
                because: reason(d),
            },
            79..=80 => SetQueueLimit {
                name: a,
                limit: u16::from(c) % 4,
            },
            81 if c % 2 == 0 => SetSequence {
                name: a,
                sequence: u32::MAX - u32::from(d % 3),
            },
            81 => SetMakeSends {
                name: a,
                make_sends: u32::MAX - u32::from(d % 3),
            },
            82..=85 => Request {
                name: a,
                about: about(c),
                notify: d,
            },
            86 => WithdrawRequest {
                name: a,
                about: about(c),
            },
            87..=88 => RequestNoSenders {
                name: a,
                sync: (c % 4).into(),
                notify: notify([c, d]),
            },
            89..=90 => RequestPortDestroyed {
                name: a,
                notify: notify([c, d]),
            },
            91 if c % 2 == 0 => KillPort { port: a },
            92 if c % 4 == 0 => DestroySpace { space: a },
            91 | 92 => AllocateSet { space: a },
            93 => ImportSendOnce,
            94 => CreateProxy {
                with_right: c % 4 != 0,
            },
            95 => Carried { proxy: a },
            96 => HoldBack {
                proxy: a,
                hold: c & 1 != 0,
            },
            97 => NextToCarry { proxy: a },
            98 => Watch { port: a },
            99 => WantRoom { port: a },
            // Mostly by a thread that has a reply port, without a reply right in the message.
            100..=103 => CallAtOnce {
                thread,
                name: a,
                content: match content.reply {
                    super::Reply::Nothing => Content {
                        reply: super::Reply::TakenBack(thread),
                        ..content
                    },
                    _ => content,
                },
            },
            108..=110 => Depart {
                right: a,
                home: u32::from(c % 3),
            },
            111..=112 => NextQueued {
                proxy: a,
                give_back: c % 8 == 0,
            },
            113..=114 => BeginArrival {
                proxy: (c % 4 != 0).then_some(a),
            },
            115 if c % 4 == 0 => UndoArrival { right: a },
            115 | 116 => DeliverArriving {
                right: a,
                content: Content {
                    reply: super::Reply::Nothing,
                    ..content
                },
            },
            117 => SetState {
                right: a,
                limit: u16::from(c % 4),
                send_onces: u32::from(d % 3),
            },
            118 => Open { right: a },
            119 => Claim { port: a },
            _ => AnswerAtOnce {
                thread,
                name: a,
                message: c,
            },
        }
    }
}

fn how(byte: u8) -> Release {
    match byte % 4 {
        0 => Release::Because(Reason::NodeDied(9)),
        1 => Release::Forget,
        _ => Release::Plain,
    }
}

/// Mostly a right, sometimes only the end of the request before.
fn notify([c, d]: [u8; 2]) -> Option<u8> {
    (c / 4 % 8 != 0).then_some(d)
}
