//! Intervals of ratios and other functions of sums.

use percept_base::random::SplitMix;

use super::bounds::{RESAMPLES, percentile_interval, widened};
use super::estimate::Estimate;
use super::ranges::Range;

/// `M` functions of the columns' sums over `rows`, with 95 % percentile-bootstrap intervals over rows
/// (Efron 1979; seeded). A row is what was drawn independently: an image with all its questions, a
/// caption. Resamples in which a function has no value (a ratio over nothing) are left out of its
/// interval. Where all resamples agree, the interval is widened within the function's range.
pub fn intervals<const K: usize, const M: usize>(
    rows: &[[f64; K]],
    ranges: [Range; M],
    functions: impl Fn(&[f64; K]) -> [f64; M],
) -> [Estimate; M] {
    let add = |mut sums: [f64; K], row: &[f64; K]| {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
        sums
    };
    let whole = functions(&rows.iter().fold([0.0; K], add));
    let mut drawn: [Vec<f64>; M] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
    let mut draws = SplitMix::new(0x5eed);
    for _ in 0..if rows.is_empty() { 0 } else { RESAMPLES } {
        let picked = (0..rows.len()).map(|_| &rows[draws.below(rows.len())]);
        let values = functions(&picked.fold([0.0; K], add));
        for (all, value) in drawn.iter_mut().zip(values) {
            all.extend(value.is_finite().then_some(value));
        }
    }
    std::array::from_fn(|m| {
        let (low, high) = match drawn[m].as_mut_slice() {
            [] => (f64::NAN, f64::NAN),
            values => {
                let interval = percentile_interval(values);
                widened(whole[m], interval, rows.len(), ranges[m])
            }
        };
        Estimate {
            mean: whole[m],
            low,
            high,
            n: rows.len(),
        }
    })
}

/// `a / b`, NaN where `b` is 0.
pub fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { f64::NAN } else { a / b }
}
