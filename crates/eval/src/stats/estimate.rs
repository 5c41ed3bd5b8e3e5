//! Means with intervals.

use percept_base::random::SplitMix;
use serde::{Deserialize, Deserializer, Serialize};

use super::bounds::{RESAMPLES, Z, percentile_interval, widened};
use super::ranges::{ANY, Range, SHARE};

/// A mean and its 95 % interval over `n` independent rows.
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

/// Mean of `values` with a 95 % interval: Wilson's where every value is 0 or 1, else the percentile bootstrap. Values
/// that all lie in `[0, 1]` are taken for shares, whose interval has a width also where all are equal.
///
/// ```
/// let e = percept_eval::estimate(&[1.0, 0.0, 1.0, 1.0]);
/// assert_eq!(e.mean, 0.75);
/// assert!(e.low <= e.mean && e.mean <= e.high);
/// // Ten right answers of ten do not make a model that is never wrong.
/// let e = percept_eval::estimate(&[1.0; 10]);
/// assert!(e.low < 0.75 && e.high == 1.0);
/// ```
pub fn estimate(values: &[f64]) -> Estimate {
    let shares = values.iter().all(|value| (0.0..=1.0).contains(value));
    estimate_in(values, if shares { SHARE } else { ANY })
}

/// Mean of `values`, which can lie in `range`, with a 95 % interval. Where every value is one of the two ends (right or
/// wrong), it is Wilson's (1927), which knows the ends; else the percentile bootstrap (Efron 1979; seeded, so the same
/// values give the same interval), which is widened where all values are equal. An empty slice gives NaN with
/// `n` = 0.
pub fn estimate_in(values: &[f64], range: Range) -> Estimate {
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
    if values
        .iter()
        .all(|&value| value == range.0 || value == range.1)
    {
        let (low, high) = wilson((mean - range.0) / (range.1 - range.0), n);
        let scaled = |share: f64| range.0 + share * (range.1 - range.0);
        return Estimate {
            mean,
            low: scaled(low),
            high: scaled(high),
            n,
        };
    }
    let mut draws = SplitMix::new(0x5eed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| values[draws.below(n)]).sum::<f64>() / n as f64)
        .collect();
    let interval = percentile_interval(&mut means);
    let (low, high) = widened(mean, interval, n, range);
    Estimate { mean, low, high, n }
}

/// Wilson's score interval of a share of `n` rows.
fn wilson(share: f64, n: usize) -> (f64, f64) {
    let n = n as f64;
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // At the ends exactly the ends: rounding must not leave the mean outside.
    let low = if share == 0.0 {
        0.0
    } else {
        (centre - half) / scale
    };
    let high = if share == 1.0 {
        1.0
    } else {
        (centre + half) / scale
    };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::DIFFERENCE;

    #[test]
    fn interval_has_the_binomial_width() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
        let e = estimate(&values);
        let half = 1.96 * (0.25f64 * 0.75 / 400.0).sqrt();
        assert!((e.low - (0.25 - half)).abs() < 0.006, "{e:?}");
        assert!((e.high - (0.25 + half)).abs() < 0.006, "{e:?}");
    }

    #[test]
    fn all_right_and_all_wrong_have_wilsons_width() {
        // F2. R's `binom::binom.wilson(10, 10)`: 0.7224672 to 1; `(0, 500)`: 0 to 0.0076243.
        let all = estimate(&[1.0; 10]);
        assert_eq!((all.mean, all.high), (1.0, 1.0));
        assert!((all.low - 0.722_467_2).abs() < 1e-6, "{all:?}");
        let none = estimate(&[0.0; 500]);
        assert_eq!((none.low, none.mean), (0.0, 0.0));
        assert!((none.high - 0.007_624_3).abs() < 1e-6, "{none:?}");
        assert!(estimate(&[]).mean.is_nan());
    }

    #[test]
    fn wilson_is_never_outside_and_never_without_width() {
        for n in 1..60 {
            for right in 0..=n {
                let values: Vec<f64> = (0..n).map(|i| f64::from(i < right)).collect();
                let e = estimate(&values);
                assert!(0.0 <= e.low && e.low <= e.mean, "{e:?}");
                assert!(e.mean <= e.high && e.high <= 1.0, "{e:?}");
                assert!(e.high - e.low > 0.5 / f64::from(n + 4), "{e:?}");
            }
        }
    }

    #[test]
    fn equal_values_between_the_ends_have_a_width_where_the_ends_are_known() {
        let e = estimate(&[0.5; 96]);
        assert!(
            (e.low - 0.48).abs() < 0.01 && (e.high - 0.52).abs() < 0.01,
            "{e:?}"
        );
        let same = estimate_in(&[0.0; 96], DIFFERENCE);
        assert!(
            (same.low + same.high).abs() < 1e-12 && same.high > 0.03,
            "{same:?}"
        );
        let unknown = estimate(&[5.0; 10]);
        assert_eq!((unknown.low, unknown.high), (5.0, 5.0));
    }
}
