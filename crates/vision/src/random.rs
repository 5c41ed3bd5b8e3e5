//! Random numbers that are a function of seed and position: an edit does not depend on what was edited before.

use percept_base::random::{SplitMix, splitmix};

/// The stream of these numbers.
pub(crate) fn stream(numbers: &[u64]) -> SplitMix {
    let mix = |state: u64, number: &u64| splitmix(state ^ number);
    SplitMix::new(numbers.iter().fold(0x243f_6a88_85a3_08d3, mix))
}
