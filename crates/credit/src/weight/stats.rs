//! What is reported of weights.

use rayon::prelude::*;

use crate::Stats;

/// Tokens per task; fixed, so that sums do not depend on the number of threads.
pub(crate) const CHUNK: usize = 1 << 14;

/// Keys of [`spread`].
pub(crate) struct Keys {
    pub mean: &'static str,
    pub min: &'static str,
    pub max: &'static str,
    /// Share of trained tokens whose weight is not 1.
    pub touched: &'static str,
    /// `(Σw)² / (n Σw²)`: the share of tokens that carry the gradient.
    pub effective: &'static str,
}

/// The keys of a part.
macro_rules! keys {
    ($part:literal) => {
        $crate::weight::Keys {
            mean: concat!("credit/", $part, "/weight/mean"),
            min: concat!("credit/", $part, "/weight/min"),
            max: concat!("credit/", $part, "/weight/max"),
            touched: concat!("credit/", $part, "/touched_ratio"),
            effective: concat!("credit/", $part, "/effective_ratio"),
        }
    };
}
pub(crate) use keys;

/// Statistics of the weights of the tokens for which `counts` is true; nothing without one.
pub(crate) fn spread(keys: &Keys, weight: &[f32], counts: &[bool]) -> Stats {
    let of_chunk = |(weight, counts): (&[f32], &[bool])| {
        let mut found = (
            0usize,
            0.0f64,
            0.0f64,
            0usize,
            f32::INFINITY,
            f32::NEG_INFINITY,
        );
        for (&w, _) in weight.iter().zip(counts).filter(|(_, counts)| **counts) {
            found.0 += 1;
            found.1 += f64::from(w);
            found.2 += f64::from(w).powi(2);
            found.3 += usize::from(w != 1.0);
            found.4 = found.4.min(w);
            found.5 = found.5.max(w);
        }
        found
    };
    let chunks = weight.par_chunks(CHUNK).zip(counts.par_chunks(CHUNK));
    let parts: Vec<_> = chunks.map(of_chunk).collect();
    let (mut n, mut sum, mut squares, mut touched) = (0, 0.0, 0.0, 0);
    let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
    for part in parts {
        n += part.0;
        sum += part.1;
        squares += part.2;
        touched += part.3;
        (min, max) = (min.min(part.4), max.max(part.5));
    }
    if n == 0 {
        return Stats::new();
    }
    let count = n as f64;
    let effective = if squares > 0.0 {
        sum * sum / (count * squares)
    } else {
        0.0
    };
    Stats::from([
        (keys.mean, sum / count),
        (keys.min, f64::from(min)),
        (keys.max, f64::from(max)),
        (keys.touched, touched as f64 / count),
        (keys.effective, effective),
    ])
}
