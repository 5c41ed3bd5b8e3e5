//! Random numbers by counter: the value at an index depends on seed, name and index alone, so
//! nothing depends on the order of initialisation or on the number of threads.

use percept_base::random::{GOLDEN, finalise, fnv1a};
use rayon::prelude::*;

/// One stream of random numbers.
#[derive(Debug, Clone, Copy)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        Self(finalise(finalise(seed) ^ fnv1a(name.bytes())))
    }

    /// 64 random bits.
    pub fn bits(self, index: u64) -> u64 {
        finalise(self.0.wrapping_add(index.wrapping_mul(GOLDEN)))
    }

    /// Uniform in (0, 1).
    pub fn uniform(self, index: u64) -> f64 {
        ((self.bits(index) >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal (Box–Muller).
    pub fn normal(self, index: u64) -> f64 {
        let (u, v) = (self.uniform(2 * index), self.uniform(2 * index + 1));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// `len` values of `f(stream, index)`.
    pub fn fill(self, len: usize, f: impl Fn(Self, u64) -> f32 + Sync) -> Vec<f32> {
        (0..len)
            .into_par_iter()
            .with_min_len(4096)
            .map(|i| f(self, i as u64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_mean_0_and_variance_1() {
        let stream = Stream::new(7, "weights");
        let values: Vec<f64> = (0..100_000).map(|i| stream.normal(i)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }

    #[test]
    fn streams_of_two_names_are_uncorrelated() {
        let (a, b) = (Stream::new(7, "a"), Stream::new(7, "b"));
        let sum: f64 = (0..100_000).map(|i| a.normal(i) * b.normal(i)).sum();
        assert!((sum / 1e5).abs() < 0.02);
    }
}
