-- What the numbers of the protocol are called (docs/wire.md).
--
-- Owns the names alone; a test compares them with the code (tests/captures/names.rs), so each
-- table keeps this shape: one `[number] = "NAME"` to a line.

local names = {}

-- Chapter 2.
names.flip_type = {
    [1] = "LOCATE",
    [2] = "HEREIS",
    [3] = "UNIDATA",
    [4] = "MULTIDATA",
    [5] = "NOTHERE",
    [6] = "UNTRUSTED",
}

names.flip_flag = {
    [0x04] = "SECURITY",
    [0x08] = "ALL",
    [0x10] = "UNREACHABLE",
    [0x20] = "UNSAFE",
    [0x40] = "ANNOUNCE",
    [0x80] = "SETTLED",
}

-- Chapter 6.
names.kind = {
    [1] = "HELLO",
    [2] = "WELCOME",
    [3] = "MESSAGE",
    [4] = "PART",
    [5] = "ACK",
    [6] = "PROBE",
    [7] = "RESET",
    [8] = "CONTROL",
}

names.flag = {
    [0x01] = "BIG_ENDIAN",
    [0x02] = "CONTEXT",
    [0x04] = "RPC",
    [0x08] = "SEND_ONCE",
    [0x10] = "FRESH",
    [0x20] = "TYPED",
    [0x40] = "CONFIRM",
    [0x80] = "NOTIFICATION",
}

-- Chapter 9.
names.right = {
    [1] = "SEND",
    [2] = "SENDONCE",
    [3] = "RECEIVE",
    [4] = "CLAIM",
    [5] = "REPLY",
}

names.origin = {
    [1] = "SENDER",
    [2] = "RECEIVER",
    [3] = "THIRD",
}

-- Chapter 11.
names.control = {
    [1] = "RELEASE",
    [2] = "DEAD",
    [3] = "REFUSED",
    [4] = "ROOM",
    [5] = "NO_REPLY",
    [6] = "MOVED",
    [7] = "SPENT",
}

names.refusal = {
    [1] = "queue full",
    [2] = "port dead",
    [3] = "no memory",
    [4] = "port moved",
}

-- W-90.
names.operation = {
    [1] = "LOOK_UP",
    [2] = "ACQUIRE",
    [3] = "ACQUIRED",
    [4] = "TAKEN",
    [5] = "WAITS",
    [16] = "SPECIAL_PORT",
}

-- W-91 and W-98.
names.status = {
    [0] = "done",
    [1] = "not there",
    [2] = "no such operation",
    [3] = "name is taken",
    [4] = "no memory",
    [5] = "not understood",
    [6] = "port is dead",
}

-- W-97, and what may be asked there (W-98).
names.slot = {
    [1] = "cards",
    [2] = "node",
    [3] = "names",
}

names.service = {
    [1] = { [1] = "statistics of the cards" },
    [2] = { [1] = "about the node", [2] = "where is this port", [3] = "entry", [4] = "table" },
    [3] = { [1] = "look up here", [2] = "check in" },
}

-- W-130.
names.notification = {
    [1] = "SEND_ONCE_DESTROYED",
    [2] = "DEAD_NAME",
    [3] = "NAME_DELETED",
    [4] = "NO_SENDERS",
    [5] = "RECEIVE_RIGHT",
    [6] = "ROOM",
    [7] = "STATE",
}

names.reason = {
    [1] = "destroyed",
    [2] = "moved",
    [3] = "unanswered",
    [4] = "a node died",
    [5] = "no such name",
    [6] = "no memory",
    [7] = "circular",
}

-- Chapter 13.
names.item = {
    [1] = "UNSIGNED",
    [2] = "SIGNED",
    [3] = "FLOAT",
    [4] = "BOOLEAN",
    [5] = "BYTES",
    [6] = "TEXT",
    [7] = "LIST",
    [8] = "RECEIVE_RIGHTS",
    [9] = "SEND_RIGHTS",
    [10] = "SEND_ONCE_RIGHTS",
}

return names
