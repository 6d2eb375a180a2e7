//! How many rights were ever made and destroyed, for the audit; nothing at all without it.

/// Two counters under the feature `audit`, else empty.
#[derive(Debug)]
pub(crate) struct Tally {
    #[cfg(feature = "audit")]
    pub(crate) created: u64,
    #[cfg(feature = "audit")]
    pub(crate) destroyed: u64,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Tally {
            #[cfg(feature = "audit")]
            created: 0,
            #[cfg(feature = "audit")]
            destroyed: 0,
        }
    }

    /// A right was made.
    #[inline]
    pub(crate) fn create(&mut self) {
        self.create_many(1);
    }

    /// So many rights were made.
    #[inline]
    pub(crate) fn create_many(&mut self, count: u32) {
        #[cfg(feature = "audit")]
        {
            self.created += u64::from(count);
        }
        let _ = count;
    }

    /// So many rights were destroyed or used up.
    #[inline]
    pub(crate) fn destroy(&mut self, count: u32) {
        #[cfg(feature = "audit")]
        {
            self.destroyed += u64::from(count);
        }
        let _ = count;
    }
}
