//! Which rows a step sees: a function of (seed, purpose, position), so that a resumed run needs
//! one number to go on where it stopped.

/// Deterministic stream of 64-bit numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Stream(u64);

impl Stream {
    /// A stream of its own for each (seed, purpose, index).
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        // FNV-1a over the purpose keeps streams of different purposes apart.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in purpose.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut stream =
            Self(seed ^ hash.rotate_left(21) ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93));
        stream.next_u64();
        stream
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (`bound` > 0), without the modulo's bias.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
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

    #[test]
    fn below_is_even_and_bounded() {
        let mut stream = Stream::new(0, "test", 0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&c| (9_500..10_500).contains(&c)),
            "{counts:?}"
        );
    }
}
