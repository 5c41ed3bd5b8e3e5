//! Log-probabilities and entropies from hidden states, without logits.

use burn::tensor::Tensor;
use percept_kernels::Precision;
use percept_kernels::train::{LogProb, Second};

use super::parts::{PART, parts};
use crate::host_op::{Input, run};
use crate::recompute::recomputed;
use crate::tensors::{check_rows, has_kernel};

/// Log-probability and entropy at each row of the loss.
#[derive(Debug, Clone)]
pub struct TokenStats {
    /// `[N]` natural logarithm of the target's probability.
    pub log_prob: Tensor<1>,
    /// `[N]` entropy of the distribution, in nats.
    pub entropy: Tensor<1>,
}

impl TokenStats {
    /// The first two of the rows `[2 or more, N]`.
    pub(super) fn of_rows(rows: &Tensor<2>) -> Self {
        Self {
            log_prob: rows.clone().narrow(0, 0, 1).squeeze_dim(0),
            entropy: rows.clone().narrow(0, 1, 1).squeeze_dim(0),
        }
    }
}

/// Log-probability of `targets` and entropy under `softmax(hidden · weightᵀ / temperature)`, its products in
/// `precision`: `hidden` `[N, H]`, `weight` `[V, H]`. Gradients flow from both results. An array `[N, V]` is
/// never kept: the backward pass computes the logits again, chunk by chunk.
///
/// # Panics
/// When the shapes do not fit, a target is not in the vocabulary, or the temperature is not
/// positive.
pub fn linear_log_prob_in(
    precision: Precision,
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    check(&hidden, &weight, targets, temperature);
    if !has_kernel(&hidden) {
        return in_parts(hidden, weight, targets, temperature, PART);
    }
    let rows = on_host(precision, hidden, weight, targets, temperature, None);
    TokenStats::of_rows(&rows)
}

/// [`linear_log_prob_in`] f32.
///
/// # Panics
/// As there.
pub fn linear_log_prob(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    linear_log_prob_in(Precision::F32, hidden, weight, targets, temperature)
}

/// Log-probabilities and entropies `[2, N]`, or `[3, N]` with the divergence from a second distribution.
pub(super) fn on_host(
    precision: Precision,
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
    second: Option<Second>,
) -> Tensor<2> {
    let recorded = hidden.is_tracked() || weight.is_tracked();
    let op = LogProb::new(
        weight.dims(),
        targets.to_vec(),
        temperature,
        precision,
        second,
        recorded,
    );
    run([hidden.into(), weight.into(), Input::none()], op)
}

/// # Panics
/// See [`linear_log_prob_in`].
pub(super) fn check(hidden: &Tensor<2>, weight: &Tensor<2>, targets: &[u32], temperature: f32) {
    let ([rows, width], [vocabulary, weight_width]) = (hidden.dims(), weight.dims());
    assert_eq!(
        width, weight_width,
        "linear_log_prob: widths of hidden and weight"
    );
    assert_eq!(rows, targets.len(), "linear_log_prob: rows and targets");
    assert!(
        temperature > 0.0,
        "linear_log_prob: temperature {temperature}"
    );
    check_rows("linear_log_prob", targets, vocabulary);
}

/// The definition, `part` logits at a time.
fn in_parts(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
    part: usize,
) -> TokenStats {
    let part = (part / weight.dims()[0]).max(1);
    let stats = parts(targets.len(), part).map(|rows| {
        let hidden = hidden.clone().slice([rows.clone()]);
        let targets = targets[rows].to_vec();
        recomputed([hidden, weight.clone()], move |[hidden, weight]| {
            let stats = reference::linear_log_prob(hidden, weight, &targets, temperature);
            Tensor::stack(vec![stats.log_prob, stats.entropy], 0)
        })
    });
    let stats: Vec<Tensor<2>> = stats.collect();
    if stats.is_empty() {
        return reference::linear_log_prob(hidden, weight, targets, temperature);
    }
    TokenStats::of_rows(&Tensor::cat(stats, 1))
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::{Tensor, activation};

    use crate::ops::linear::reference::linear;
    use crate::ops::log_prob::TokenStats;
    use crate::tensors::indices;

    /// See [`crate::linear_log_prob`]. Keeps the whole `[N, V]` array.
    pub fn linear_log_prob(
        hidden: Tensor<2>,
        weight: Tensor<2>,
        targets: &[u32],
        temperature: f32,
    ) -> TokenStats {
        let rows = hidden.dims()[0];
        let targets = indices(targets, &hidden.device()).reshape([rows, 1]);
        let log_probs = activation::log_softmax(linear(hidden, weight, None) / temperature, 1);
        let entropy = -(log_probs.clone().exp() * log_probs.clone()).sum_dim(1);
        TokenStats {
            log_prob: log_probs.gather(1, targets).reshape([rows]),
            entropy: entropy.reshape([rows]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::parts::testing::{close, evaluate, leaf};
    use crate::tensors::to_vec;

    #[test]
    fn parts_of_the_head_make_the_whole() {
        let (leaves, targets) = (
            [leaf(1, [11, 5]), leaf(2, [7, 5])],
            [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3],
        );
        let [hidden, weight] = leaves;
        let both = |stats: TokenStats| Tensor::cat(vec![stats.log_prob, stats.entropy], 0);
        let whole = evaluate(&[hidden.clone(), weight.clone()], |[h, w]| {
            both(reference::linear_log_prob(h, w, &targets, 0.8))
        });
        for part in [1, 21, 28, 1000] {
            let found = evaluate(&[hidden.clone(), weight.clone()], |[h, w]| {
                both(in_parts(h, w, &targets, 0.8, part))
            });
            close(found, whole.clone());
        }
        let none = in_parts(hidden.slice([0..0, 0..5]), weight, &[], 0.8, PART);
        assert!(to_vec(&none.log_prob).is_empty());
    }
}
