//! Draws that a seed and a place in the benchmark fix.

use percept_base::random::uniform;

/// One stream of random numbers.
#[derive(Clone)]
pub(super) struct Random {
    seed: u64,
    task: u64,
    sample: u64,
    at: u64,
}

impl Random {
    pub(super) fn new(seed: u64, task: usize, sample: usize) -> Self {
        Self {
            seed,
            task: task as u64,
            sample: sample as u64,
            at: 0,
        }
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.at += 1;
        let drawn = uniform(self.seed, self.task, self.sample, self.at);
        ((drawn * n as f64) as usize).min(n.saturating_sub(1))
    }

    pub(super) fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `n` different numbers below `bound`, ascending.
    pub(super) fn places(&mut self, n: usize, bound: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..bound).collect();
        self.shuffle(&mut all);
        all.truncate(n);
        all.sort_unstable();
        all
    }

    /// `n` letters from `first` on in the alphabet.
    pub(super) fn letters(&mut self, n: usize, first: u8) -> String {
        (0..n)
            .map(|_| char::from(first + self.below(26) as u8))
            .collect()
    }

    /// Seven digits.
    pub(super) fn number(&mut self) -> String {
        (1_000_000 + self.below(9_000_000)).to_string()
    }

    /// A version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let mut hex = |n: usize| -> String {
            (0..n)
                .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
                .collect()
        };
        let (a, b, c, d, e) = (hex(8), hex(4), hex(3), hex(3), hex(12));
        let variant = *self.of(&['8', '9', 'a', 'b']);
        format!("{a}-{b}-4{c}-{variant}{d}-{e}")
    }
}
