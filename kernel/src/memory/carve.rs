//! Which memory is free at boot: what the memory map offers, less what is in use.
//!
//! Owns: the arithmetic of regions. Pure, so that odd memory maps are tested on the host.

use crate::limits::MEMORY_REGIONS;
use heapless::Vec;

/// Physical addresses from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
}

impl Region {
    /// A region of `size` bytes; one that would run past the end of the address space is cut.
    pub const fn new(start: u64, size: u64) -> Self {
        Self {
            start,
            end: start.saturating_add(size),
        }
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Bytes in it.
    pub const fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The whole pages of `page` bytes inside it.
    pub const fn shrink_to(&self, page: u64) -> Self {
        Self {
            start: self.start.saturating_add(page - 1) & !(page - 1),
            end: self.end & !(page - 1),
        }
    }

    /// The whole pages of `page` bytes that it touches.
    pub const fn grow_to(&self, page: u64) -> Self {
        Self {
            start: self.start & !(page - 1),
            end: (self.end & !(page - 1)) + if self.end & (page - 1) == 0 { 0 } else { page },
        }
    }
}

/// Some regions.
pub type Regions = Vec<Region, MEMORY_REGIONS>;

/// The whole frames of `available` that touch nothing in `used`. What does not fit into the
/// list is left unused.
pub fn carve(available: &[Region], used: &[Region]) -> Regions {
    let mut free = Regions::new();
    for region in available {
        let mut start = region.start;
        while start < region.end {
            let next = used
                .iter()
                .filter(|taken| taken.end > start && !taken.is_empty())
                .min_by_key(|taken| taken.start);
            let (end, behind) = match next {
                Some(taken) if taken.start < region.end => (taken.start, taken.end),
                _ => (region.end, region.end),
            };
            let part = Region { start, end }.shrink_to(super::FRAME as u64);
            if !part.is_empty() {
                let _ = free.push(part);
            }
            start = behind;
        }
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(start: u64, end: u64) -> Region {
        Region { start, end }
    }

    #[test]
    fn cuts_out_the_middle_and_rounds_inwards() {
        let free = carve(&[region(0x1000, 0x10000)], &[region(0x4100, 0x5f00)]);
        assert_eq!(free, [region(0x1000, 0x4000), region(0x6000, 0x10000)]);
    }

    #[test]
    fn cuts_across_regions() {
        let free = carve(
            &[region(0, 0x3000), region(0x4000, 0x8000)],
            &[region(0x2000, 0x5000), region(0x7800, 0x9000)],
        );
        assert_eq!(free, [region(0, 0x2000), region(0x5000, 0x7000)]);
    }

    #[test]
    fn nothing_is_left_of_what_is_all_used() {
        assert!(carve(&[region(0x1000, 0x2000)], &[region(0, 0x3000)]).is_empty());
    }

    #[test]
    fn grows_and_shrinks() {
        assert_eq!(region(1, 4097).grow_to(4096), region(0, 8192));
        assert_eq!(region(1, 4097).shrink_to(4096), region(4096, 4096));
        assert_eq!(Region::new(u64::MAX, 10).end, u64::MAX);
    }

    fn any_region() -> impl Strategy<Value = Region> {
        (0u64..0x40_000, 0u64..0x10_000).prop_map(|(start, size)| Region::new(start, size))
    }

    proptest! {
        #[test]
        fn a_free_frame_is_available_and_unused(
            available in prop::collection::vec(any_region(), 0..4),
            used in prop::collection::vec(any_region(), 0..6),
        ) {
            let inside = |regions: &[Region], at: u64| {
                regions.iter().any(|region| (region.start..region.end).contains(&at))
            };
            for free in carve(&available, &used) {
                prop_assert_eq!(free.start % 4096, 0);
                prop_assert_eq!(free.end % 4096, 0);
                for at in (free.start..free.end).step_by(256) {
                    prop_assert!(inside(&available, at));
                    prop_assert!(!inside(&used, at));
                }
            }
        }
    }
}
