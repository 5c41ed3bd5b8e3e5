//! Intervals from resampled means.

use super::ranges::Range;

/// Resamples of the bootstrap; more changes the interval by less than its own noise.
pub(crate) const RESAMPLES: usize = 2_000;

/// 97.5 % of a normal distribution lie below.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// An interval without a width says that no resample differs, not that nothing is unknown: of `n` rows, a share of up
/// to `z²/(n + z²)` could be otherwise (Wilson's interval of what was never seen), by as much as `range` allows. Where
/// a range has no end, nothing is known to widen by.
pub(crate) fn widened(mean: f64, (low, high): (f64, f64), n: usize, range: Range) -> (f64, f64) {
    let unseen = Z * Z / (n as f64 + Z * Z);
    let flat = (high - low).abs() <= 1e-12 * mean.abs().max(1.0);
    if !flat || n == 0 || !range.0.is_finite() || !range.1.is_finite() {
        return (low, high);
    }
    let down = unseen * (mean - range.0).max(0.0);
    let up = unseen * (range.1 - mean).max(0.0);
    (mean - down, mean + up)
}

/// The middle 95 % of bootstrap means.
pub(crate) fn percentile_interval(means: &mut [f64]) -> (f64, f64) {
    means.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| means[((means.len() - 1) as f64 * q).round() as usize];
    (at(0.025), at(0.975))
}
