//! Which rows a step sees: a function of (seed, purpose, position), so that a resumed run needs
//! one number to go on where it stopped.

use percept_base::random::{SplitMix, fnv1a};

/// Deterministic stream of 64-bit numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Stream(SplitMix);

impl Stream {
    /// A stream of its own for each (seed, purpose, index).
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        let hash = fnv1a(purpose.bytes());
        let seed = seed ^ hash.rotate_left(21) ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut stream = SplitMix::new(seed);
        stream.next_u64();
        Self(stream)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

/// Seed of the dropout masks of one forward pass, by its place in the run, so that a resumed run draws the
/// same ones.
pub(crate) fn dropout_seed(
    seed: u64,
    global_step: usize,
    mini_batch: usize,
    micro_batch: usize,
) -> u64 {
    let place = (global_step as u64) << 40 | (mini_batch as u64) << 20 | micro_batch as u64;
    Stream::new(seed, "dropout", place).next_u64()
}

/// The endless order of a data set's rows: each epoch is a permutation of its own.
#[derive(Debug, Clone)]
pub struct RowOrder {
    len: usize,
    seed: u64,
    shuffle: bool,
    epoch: Option<(u64, Vec<u32>)>,
}

impl RowOrder {
    /// Order of `len` rows; without `shuffle`, file order in every epoch.
    pub fn new(len: usize, seed: u64, shuffle: bool) -> Self {
        Self {
            len,
            seed,
            shuffle,
            epoch: None,
        }
    }

    /// The row at `position` of the endless order.
    pub fn row(&mut self, position: u64) -> usize {
        let len = self.len.max(1) as u64;
        let (epoch, offset) = (position / len, (position % len) as usize);
        if !self.shuffle {
            return offset;
        }
        if self
            .epoch
            .as_ref()
            .is_none_or(|(number, _)| *number != epoch)
        {
            self.epoch = Some((epoch, permutation(self.len, self.seed, epoch)));
        }
        self.epoch
            .as_ref()
            .map_or(offset, |(_, rows)| rows[offset] as usize)
    }
}

fn permutation(len: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..len as u32).collect();
    Stream::new(seed, "row order", epoch).shuffle(&mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_visits_every_row_once_in_its_own_order() {
        let mut order = RowOrder::new(100, 7, true);
        let epochs: Vec<Vec<usize>> = (0..3)
            .map(|e| (0..100).map(|i| order.row(e * 100 + i)).collect())
            .collect();
        for rows in &epochs {
            let mut sorted = rows.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..100));
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_ne!(epochs[1], epochs[2]);
    }

    #[test]
    fn a_position_names_its_row_without_history() {
        let mut walked = RowOrder::new(13, 1, true);
        let rows: Vec<usize> = (0..60).map(|p| walked.row(p)).collect();
        assert_eq!(RowOrder::new(13, 1, true).row(47), rows[47]);
    }
}
