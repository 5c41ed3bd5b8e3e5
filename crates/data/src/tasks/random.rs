//! A small counter-seeded generator, so that sample `i` never depends on samples `0..i`.

use percept_base::random::{GOLDEN, finalise};

/// SplitMix64 (Steele, Lea & Flood, 2014): 64 bits of state, passes BigCrush, no dependencies, same bits everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for every combination of `parts`.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut random = Self(0x5DEE_CE66_D1CE_4E5B);
        for &part in parts {
            random.0 = random.next() ^ part;
        }
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        finalise(self.0)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`; `n` must not be 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        // Multiply-shift (Lemire, 2019); the bias of n / 2^64 is beyond measure here.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Fisher–Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
