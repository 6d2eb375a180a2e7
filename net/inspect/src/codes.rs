//! Numbers in rows that stand for one of several things, and for several at once.

macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$code_doc:meta])* $code:ident = $number:literal $word:literal,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$code_doc])* $code = $number,)*
        }

        impl $name {
            /// The code of that number.
            pub fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$code),)*
                    _ => None,
                }
            }

            /// The word for it, in which tools print it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)*
                }
            }

            /// The word for a number; `unknown` for one of a later version.
            pub fn word_for(number: u64) -> &'static str {
                Self::from_number(number).map_or("unknown", Self::word)
            }
        }

        impl From<$name> for u64 {
            fn from(code: $name) -> u64 {
                code as u64
            }
        }
    )*};
}

codes! {
    /// What a thread does.
    ThreadState {
        /// It runs: it answers this question.
        Running = 1 "running",
        /// It could run.
        Ready = 2 "ready",
        /// It waits.
        Blocked = 3 "blocked",
    }

    /// What a thread waits for.
    Wait {
        /// Nothing that has to do with ports: it sleeps, or waits for another thread.
        Nothing = 0 "nothing",
        /// A message at a port.
        Receive = 1 "receive",
        /// A message at any port of a set.
        ReceiveSet = 2 "receive_set",
        /// The answer to its call.
        Answer = 3 "answer",
        /// Room at a port.
        Send = 4 "send",
        /// That a name is found, or is settled.
        Name = 5 "name",
        /// It is over.
        Over = 6 "over",
    }

    /// Who has a receive right.
    Holder {
        /// A space.
        Space = 0 "space",
        /// A message that is under way.
        Transit = 1 "transit",
        /// A message in a queue.
        Queued = 2 "queued",
        /// A thread, for its answers.
        Thread = 3 "thread",
        /// Nobody here.
        Elsewhere = 4 "elsewhere",
    }

    /// How far a session is.
    Stage {
        /// The peer is being asked.
        Connecting = 0 "connecting",
        /// It was offered.
        Offered = 1 "offered",
        /// It is in use.
        Established = 2 "established",
    }

    /// What a counter's value is.
    Kind {
        /// It only grows, until the node is started anew.
        Counter = 0 "counter",
        /// It is what there is now.
        Gauge = 1 "gauge",
    }
}

/// Bits of [`Ports::flags`](crate::rows::Ports::flags).
pub mod port {
    /// It is dead.
    pub const DEAD: u64 = 1;
    /// A thread waits to receive from it.
    pub const RECEIVERS: u64 = 2;
    /// A thread waits to send to it.
    pub const SENDERS: u64 = 4;
}

/// Bits of [`Names::flags`](crate::rows::Names::flags) and of
/// [`Exports::flags`](crate::rows::Exports::flags).
pub mod right {
    /// The receive right.
    pub const RECEIVE: u64 = 1;
    /// Send rights.
    pub const SEND: u64 = 2;
    /// A send-once right.
    pub const SEND_ONCE: u64 = 4;
    /// A port set.
    pub const SET: u64 = 8;
    /// The port is dead.
    pub const DEAD: u64 = 16;
    /// It only keeps the port: nobody can send by it.
    pub const PINNED: u64 = 32;
}
