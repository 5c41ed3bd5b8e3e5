//! How Δ and its rivals are distributed.

/// Shares of values by bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Lower end of the first bin.
    pub low: f64,
    /// Width of a bin.
    pub width: f64,
    /// Share of all values in each bin; the first and the last also hold what lies outside.
    pub shares: Vec<f64>,
}

/// A histogram of the finite ones of `values` over `low..high`.
pub fn histogram(values: impl Iterator<Item = f64>, low: f64, high: f64, bins: usize) -> Histogram {
    let width = (high - low) / bins as f64;
    let mut counts = vec![0usize; bins];
    let mut total = 0usize;
    for value in values.filter(|v| v.is_finite()) {
        let bin = ((value - low) / width).floor().max(0.0) as usize;
        counts[bin.min(bins - 1)] += 1;
        total += 1;
    }
    let shares = counts
        .into_iter()
        .map(|count| count as f64 / total.max(1) as f64)
        .collect();
    Histogram { low, width, shares }
}

/// How few tokens carry the change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sparsity {
    /// Tokens.
    pub tokens: usize,
    /// Mean of Δ.
    pub mean: f64,
    /// Mean of |Δ|.
    pub mean_abs: f64,
    /// Share of tokens with |Δ| above each threshold, as (threshold, share).
    pub above: Vec<(f64, f64)>,
    /// Part of the sum of |Δ| in the tokens of the largest |Δ|, as (share of tokens, part).
    pub carried: Vec<(f64, f64)>,
}

/// Sparsity of `deltas`.
///
/// ```
/// let s = percept_eval::direction::sparsity(&[0.0; 99].iter().copied().chain([-5.0]).collect::<Vec<_>>());
/// assert_eq!(s.carried[0], (0.01, 1.0));
/// ```
pub fn sparsity(deltas: &[f64]) -> Sparsity {
    let mut sizes: Vec<f64> = deltas.iter().map(|d| d.abs()).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let count = sizes.len().max(1) as f64;
    let sum: f64 = sizes.iter().sum();
    let above = [0.01, 0.1, 0.3, 1.0, 3.0].map(|threshold| {
        let first_below = sizes.partition_point(|size| *size > threshold);
        (threshold, first_below as f64 / count)
    });
    let carried = [0.01, 0.05, 0.1, 0.2].map(|share| {
        let top = (share * count).round() as usize;
        let part: f64 = sizes.iter().take(top).sum();
        (share, if sum > 0.0 { part / sum } else { 0.0 })
    });
    Sparsity {
        tokens: deltas.len(),
        mean: deltas.iter().sum::<f64>() / count,
        mean_abs: sum / count,
        above: above.to_vec(),
        carried: carried.to_vec(),
    }
}

/// Probability that a value of `high` is above one of `low`, ties counted half (the area under
/// the ROC curve): 0.5 where a number does not tell the two apart. NaN without values.
pub fn auc(low: &[f64], high: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = low.iter().map(|v| (*v, false)).collect();
    all.extend(high.iter().map(|v| (*v, true)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let highs = equal.iter().filter(|(_, is_high)| *is_high).count() as f64;
        let lows = equal.len() as f64 - highs;
        wins += highs * (below + lows / 2.0);
        below += lows;
    }
    wins / (low.len() as f64 * high.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bin() {
        let values = [-9.0, -0.5, 0.1, 0.9, 99.0, f64::NAN];
        let h = histogram(values.into_iter(), -1.0, 1.0, 4);
        assert_eq!(h.shares, [0.2, 0.2, 0.2, 0.4]);
        assert_eq!(h.width, 0.5);
    }

    #[test]
    fn planted_changes_are_found() {
        let mut deltas = vec![0.0; 90];
        deltas.extend([2.0; 5]);
        deltas.extend([-2.0; 5]);
        let s = sparsity(&deltas);
        assert_eq!((s.tokens, s.mean), (100, 0.0));
        assert_eq!(
            s.above,
            [(0.01, 0.1), (0.1, 0.1), (0.3, 0.1), (1.0, 0.1), (3.0, 0.0)]
        );
        assert_eq!(
            s.carried,
            [(0.01, 0.1), (0.05, 0.5), (0.1, 1.0), (0.2, 1.0)]
        );
        assert!(sparsity(&[]).carried.iter().all(|(_, part)| *part == 0.0));
    }

    #[test]
    fn auc_is_that_of_pairs() {
        assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), 0.0);
        assert_eq!(auc(&[1.0, 3.0], &[2.0, 3.0]), 0.625);
        assert!(auc(&[], &[1.0]).is_nan());
    }
}
