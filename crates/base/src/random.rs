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

    /// A number below `bound`: the upper half of a product with 64 bits, whose bias is below `bound / 2⁶⁴`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }
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
