//! What the IPC core calls a remote right.
//!
//! Owns: how a session and what is in its tables become one number, and back.

use norma_ipc::RemoteToken;

/// The place of a session that there is not: what leads there is for the node itself.
pub(crate) const NODE_ITSELF: u32 = 0x7fff;

/// In the place of a session: a bare send-once right of a third node, of which the session knows
/// where its giver has it from (`claim`). Who looks for a session at this place finds none, so
/// that those who know nothing of third nodes need not ask.
pub(crate) const FOREIGN: u32 = 0x4000;

/// The place of the session from which a right is, by what [`parse_token`] says.
pub(crate) const fn home_of(place: u32) -> u32 {
    place & !FOREIGN
}

const _: () = assert!(home_of(NODE_ITSELF) as usize >= crate::limits::MAX_SESSIONS);
const _: () = assert!(FOREIGN as usize >= crate::limits::MAX_SESSIONS);

/// What the IPC core calls a remote right: which session, and which import or export of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A stand-in, by its place in the import table.
    Import(u32),
    /// A bare send-once right, by the peer's export index.
    Once(u32),
}

/// Bit 63: a bare send-once right. Bits 48..63: the session's place. Bits 32..48: its
/// generation. Bits 0..32: import place or export index.
#[inline]
pub(crate) const fn token(session: u32, generation: u16, destination: Destination) -> RemoteToken {
    let (once, low) = match destination {
        Destination::Import(place) => (0, place),
        Destination::Once(index) => (1 << 63, index),
    };
    RemoteToken(once | ((session as u64) << 48) | ((generation as u64) << 32) | low as u64)
}

/// The reverse of [`token`]: session, its generation, destination.
#[inline]
pub(crate) const fn parse_token(token: RemoteToken) -> (u32, u16, Destination) {
    let low = token.0 as u32;
    let destination = if token.0 >> 63 == 0 {
        Destination::Import(low)
    } else {
        Destination::Once(low)
    };
    (
        ((token.0 >> 48) & 0x7fff) as u32,
        (token.0 >> 32) as u16,
        destination,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for destination in [Destination::Import(7), Destination::Once(u32::MAX)] {
            let token = token(4095, u16::MAX, destination);
            assert_eq!(parse_token(token), (4095, u16::MAX, destination));
        }
    }
}
