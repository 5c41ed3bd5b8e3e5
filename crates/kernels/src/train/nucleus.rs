//! Entropy of the nucleus of next-token distributions.

use rayon::prelude::*;

use crate::gemm::{Mat, matrix};
use crate::precision::Precision;

/// Logits held at once, in elements: 16 MiB.
const CHUNK: usize = 4 << 20;

/// Entropy, in nats, of `softmax(hidden · weightᵀ / temperature)` cut to its nucleus (the fewest
/// likeliest tokens whose probabilities reach `top_p`) and renormalised: `hidden` `[N, width]`,
/// `weight` `[V, width]`, result `[N]`. `[N, V]` is never kept.
pub fn nucleus_entropy(
    hidden: &[f32],
    weight: &[f32],
    width: usize,
    temperature: f32,
    top_p: f64,
) -> Vec<f32> {
    let (rows, vocabulary) = (hidden.len() / width, weight.len() / width);
    let mut out = vec![0.0; rows];
    let chunk = (CHUNK / vocabulary).max(1);
    for (out, h) in out.chunks_mut(chunk).zip(hidden.chunks(chunk * width)) {
        let shape = [out.len(), width, vocabulary];
        let (h, w) = (Mat::rows(h, width), Mat::rows(weight, width));
        let logits = matrix(Precision::F32, shape, 1.0 / temperature, h, w.t());
        logits
            .par_chunks(vocabulary)
            .zip(out)
            .for_each(|(row, out)| *out = of_logits(row, top_p) as f32);
    }
    out
}

/// The same for one row of logits; NaN when one of them is.
fn of_logits(logits: &[f32], top_p: f64) -> f64 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    // (e, l − max) with e = exp(l − max)
    let relative = |l: f32| f64::from(l) - f64::from(max);
    let total: f64 = logits.iter().map(|&l| relative(l).exp()).sum();
    if !total.is_finite() {
        return f64::NAN;
    }
    // All tokens below this share together weigh less than 1 − top_p: they are outside the nucleus.
    let least = total * (1.0 - top_p).max(0.0) / logits.len() as f64;
    let mut likely: Vec<(f64, f64)> = logits
        .iter()
        .map(|&l| (relative(l).exp(), relative(l)))
        .filter(|(e, _)| *e >= least)
        .collect();
    likely.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (e, l) in likely {
        sum += e;
        weighted += e * l;
        if sum >= top_p * total {
            break;
        }
    }
    (sum.ln() - weighted / sum).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nucleus_counts() {
        // Probabilities 0.5, 0.3, 0.15, 0.05: the nucleus of 0.75 is the first two.
        let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln).to_vec();
        let entropy = |p: &[f64]| -> f64 {
            let sum: f64 = p.iter().sum();
            -p.iter().map(|x| x / sum * (x / sum).ln()).sum::<f64>()
        };
        assert!((of_logits(&logits, 0.75) - entropy(&[0.5, 0.3])).abs() < 1e-6);
        assert!((of_logits(&logits, 1.0) - entropy(&[0.5, 0.3, 0.15, 0.05])).abs() < 1e-6);
        assert_eq!(of_logits(&logits, 0.4), 0.0);
        assert!(of_logits(&[0.0, f32::NAN], 0.9).is_nan());
    }

    #[test]
    fn a_row_is_its_own_product() {
        let hidden = [1.0, 0.0, 0.0, 2.0];
        let weight = [0.3, -1.0, 1.2, 0.4, -0.5, 0.8];
        let found = nucleus_entropy(&hidden, &weight, 2, 0.5, 0.9);
        let first = of_logits(&[0.6, 2.4, -1.0], 0.9);
        let second = of_logits(&[-4.0, 1.6, 3.2], 0.9);
        assert!((f64::from(found[0]) - first).abs() < 1e-6);
        assert!((f64::from(found[1]) - second).abs() < 1e-6);
    }
}
