//! Random numbers that are functions of a seed and of counters: no state to store, the same bits on any number of
//! threads. Each algorithm is here once.

/// What SplitMix64 adds in each step: 2⁶⁴ divided by the golden ratio, odd.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose every output bit depends on every input
/// bit.
pub fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The step of SplitMix64 from the state `x`: [`finalise`] of `x +` [`GOLDEN`].
pub fn splitmix(x: u64) -> u64 {
    finalise(x.wrapping_add(GOLDEN))
}

/// The generator SplitMix64: a state that [`GOLDEN`] is added to, and [`finalise`].
#[derive(Debug, Clone)]
pub struct SplitMix(u64);

impl SplitMix {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        finalise(self.0)
    }

    /// Shuffles (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// A number below `bound`: the upper half of a product with 64 bits, whose bias is below `bound / 2⁶⁴`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }
}

/// FNV-1a of bytes, 64 bits: streams of different names are kept apart by it.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The upper 53 bits as a number in [0, 1).
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform number in [0, 1) that depends on its coordinates only.
pub fn uniform(seed: u64, a: u64, b: u64, c: u64) -> f64 {
    let mut x = seed;
    for part in [a, b, c] {
        x = splitmix(x ^ part.wrapping_mul(GOLDEN).rotate_left(17));
    }
    unit(splitmix(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_those_of_the_published_generators() {
        // The first numbers of SplitMix64 with seed 1234567 (Vigna's splitmix64.c), and FNV-1a of "a".
        let mut stream = SplitMix::new(1_234_567);
        assert_eq!(stream.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(stream.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(fnv1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn below_is_even_and_bounded() {
        let mut stream = SplitMix::new(0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|&c| (9_500..10_500).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn uniform_numbers_differ_in_each_coordinate() {
        let base = uniform(1, 2, 3, 4);
        for other in [
            uniform(2, 2, 3, 4),
            uniform(1, 3, 3, 4),
            uniform(1, 2, 4, 4),
            uniform(1, 2, 3, 5),
        ] {
            assert!((0.0..1.0).contains(&other));
            assert_ne!(base, other);
        }
    }
}
