//! A small counter-seeded generator, so that sample `i` never depends on samples `0..i`.

use percept_base::random::SplitMix;

/// SplitMix64 with the numbers that pictures are drawn from.
pub(crate) struct Random(SplitMix);

impl Random {
    /// A stream of its own for every combination of `parts`.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut stream = SplitMix::new(0x5DEE_CE66_D1CE_4E5B);
        for &part in parts {
            stream = SplitMix::new(stream.next_u64() ^ part);
        }
        stream.next_u64();
        Self(stream)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`; `n` must not be 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }

    /// Fisher–Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
