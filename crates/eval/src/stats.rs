//! Means with intervals.

use serde::{Deserialize, Deserializer, Serialize};

/// A mean and its 95 % percentile-bootstrap interval over `n` independent rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    #[serde(deserialize_with = "nan_from_null")]
    pub mean: f64,
    /// Lower end of the interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub low: f64,
    /// Upper end of the interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub high: f64,
    /// Rows.
    pub n: usize,
}

/// JSON has no NaN: serde_json writes `null`.
fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Resamples of the bootstrap; more changes the interval by less than its own noise.
const RESAMPLES: usize = 2_000;

/// Mean of `values` with a 95 % percentile-bootstrap interval (Efron 1979; seeded, so the same
/// values give the same interval). An empty slice gives NaN with `n` = 0.
///
/// ```
/// let e = percept_eval::estimate(&[1.0, 0.0, 1.0, 1.0]);
/// assert_eq!(e.mean, 0.75);
/// assert!(e.low <= e.mean && e.mean <= e.high);
/// ```
pub fn estimate(values: &[f64]) -> Estimate {
    let n = values.len();
    if n == 0 {
        return Estimate {
            mean: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
            n,
        };
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut state = 0x5eed_u64;
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| values[below(&mut state, n)]).sum::<f64>() / n as f64)
        .collect();
    let (low, high) = percentile_interval(&mut means);
    Estimate { mean, low, high, n }
}

/// The middle 95 % of bootstrap means.
pub(crate) fn percentile_interval(means: &mut [f64]) -> (f64, f64) {
    means.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| means[((means.len() - 1) as f64 * q).round() as usize];
    (at(0.025), at(0.975))
}

/// A uniform number below `bound` (splitmix64).
pub(crate) fn below(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((u128::from(z) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_has_the_binomial_width() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
        let e = estimate(&values);
        let half = 1.96 * (0.25f64 * 0.75 / 400.0).sqrt();
        assert!((e.low - (0.25 - half)).abs() < 0.006, "{e:?}");
        assert!((e.high - (0.25 + half)).abs() < 0.006, "{e:?}");
    }

    #[test]
    fn equal_values_have_no_width_and_nothing_has_no_mean() {
        let e = estimate(&[1.0; 10]);
        assert_eq!((e.low, e.mean, e.high), (1.0, 1.0, 1.0));
        assert!(estimate(&[]).mean.is_nan());
    }
}
