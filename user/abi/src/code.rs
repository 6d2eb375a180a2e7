//! How a call ended: 0, or why it failed.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// Why a call failed. 0 is that it has not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Code {
            $($(#[$doc])* $name = $value,)*
        }

        impl Code {
            /// The code of this number; `None` for 0 and for what is not known.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($value => Some(Code::$name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The time given was not enough.
    TimedOut = 1,
    /// The operation was told to give up.
    Cancelled = 2,
    /// The queue is full.
    Full = 3,
    /// The queue is empty.
    Empty = 4,
    /// The port was destroyed.
    PortDied = 5,
    /// The receiver dropped the call.
    Unanswered = 6,
    /// The node of the receiver died; with it comes its address.
    NodeDied = 7,
    /// Nobody has checked that name in.
    NameUnknown = 8,
    /// That cannot be a name.
    BadName = 9,
    /// This node has checked that name in already.
    NameTaken = 10,
    /// There is no memory, or the task's quota is used up.
    NoMemory = 11,
    /// The right cannot be used for that.
    InvalidRight = 12,
    /// A message does not say what was expected.
    BadMessage = 13,
    /// The name denotes nothing.
    InvalidName = 14,
    /// The receive right was moved away.
    Moved = 15,
    /// A receive right would lie in its own queue.
    Circular = 16,
    /// What was received does not fit; with it come the bytes of its data.
    TooLarge = 17,
    /// A number is out of its range.
    OutOfRange = 18,
    /// The port is not in that set.
    NotInSet = 19,
    /// The name denotes something already.
    NameInUse = 20,
    /// The space has rights to that port under another name, which comes with it.
    RightHeld = 21,
    /// A notification came in place of a message.
    Notified = 22,
    /// What was asked does not exist there.
    NotSupported = 23,
    /// An address does not denote memory of the task that can be used like that.
    BadAddress = 24,
    /// There is no call of that number.
    NoSuchCall = 25,
    /// There are as many threads as there can be.
    TooManyThreads = 26,
    /// Another node has checked that name in.
    NameTakenBy = 27,
}

impl Code {
    /// Its number.
    pub const fn number(self) -> u64 {
        self as u64
    }
}
