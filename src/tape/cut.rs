//! Where epochs are cut.

use crate::config::limits::{EPOCH_TICKS_MIN, epoch_ticks};

/// Where epochs are cut. Results never depend on it; the other two are there to show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By what has gathered, up to a bound that follows the number of symbols touched.
    Adaptive,
    /// After this many entries.
    Every(usize),
    /// After a random number of entries, from a seed.
    Random(u64),
}

impl Cut {
    /// The most entries of the next epoch, if `touched` symbols were touched by the one before.
    pub(super) fn next_limit(&mut self, touched: usize) -> u64 {
        match *self {
            Cut::Adaptive => epoch_ticks(touched) as u64,
            Cut::Every(entries) => entries.max(1) as u64,
            Cut::Random(seed) => {
                *self = Cut::Random(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
                1 + split_mix(seed) % (2 * EPOCH_TICKS_MIN as u64)
            }
        }
    }
}

/// One draw of `SplitMix64` (Steele, Lea, Flood 2014).
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
