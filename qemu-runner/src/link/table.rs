//! Which address is behind which port of a switch.

use crate::limits::SWITCH_ADDRESSES;
use std::collections::HashMap;

type Address = [u8; 6];

/// A switch's memory of who sent from where.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<Address, usize>);

/// Where a frame goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To all ports but the one that it came from.
    All,
    /// To one port.
    One(usize),
    /// Nowhere: its receiver is behind the port that it came from, or it is no frame at all.
    Nowhere,
}

impl Table {
    /// Learns from a frame that came in on `port`, and says where it goes.
    pub(super) fn route(&mut self, port: usize, frame: &[u8]) -> Way {
        let (Some(to), Some(from)) = (address(frame, 0), address(frame, 6)) else {
            return Way::Nowhere;
        };
        if frame.len() < 14 {
            return Way::Nowhere;
        }
        self.learn(from, port);
        match self.0.get(&to) {
            Some(&known) if known == port => Way::Nowhere,
            Some(&known) => Way::One(known),
            None => Way::All,
        }
    }

    fn learn(&mut self, from: Address, port: usize) {
        let is_group = from[0] & 1 == 1;
        if !is_group && (self.0.len() < SWITCH_ADDRESSES || self.0.contains_key(&from)) {
            self.0.insert(from, port);
        }
    }
}

fn address(frame: &[u8], at: usize) -> Option<Address> {
    frame.get(at..at + 6)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[..6].copy_from_slice(&[0x52, 0, 0, 0, 0, to]);
        frame[6..12].copy_from_slice(&[0x52, 0, 0, 0, 0, from]);
        frame
    }

    #[test]
    fn learns_where_senders_are() {
        let mut table = Table::default();
        assert_eq!(table.route(0, &frame(2, 1)), Way::All);
        assert_eq!(table.route(1, &frame(1, 2)), Way::One(0));
        assert_eq!(table.route(0, &frame(2, 1)), Way::One(1));
        assert_eq!(table.route(1, &frame(2, 9)), Way::Nowhere);
    }

    #[test]
    fn broadcast_goes_to_all_and_group_senders_are_not_learned() {
        let mut table = Table::default();
        let mut broadcast = frame(0, 0xff);
        broadcast[..12].fill(0xff);
        assert_eq!(table.route(0, &broadcast), Way::All);
        assert_eq!(table.route(1, &broadcast), Way::All);
    }

    #[test]
    fn what_is_too_short_goes_nowhere() {
        let mut table = Table::default();
        for length in 0..14 {
            assert_eq!(table.route(0, &frame(1, 2)[..length]), Way::Nowhere);
        }
    }

    #[test]
    fn invented_addresses_do_not_fill_the_memory() {
        let mut table = Table::default();
        for i in 0..100_000_u32 {
            let mut frame = frame(1, 2);
            frame[8..12].copy_from_slice(&i.to_be_bytes());
            table.route(0, &frame);
        }
        assert!(table.0.len() <= SWITCH_ADDRESSES);
    }
}
