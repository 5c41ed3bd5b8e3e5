//! Log-probabilities with the divergence from a second distribution, without logits.

use burn::tensor::Tensor;
use percept_kernels::Precision;
use percept_kernels::train::Second;

use super::log_prob::{self, TokenStats, check, on_host};
use crate::host_op::Constant;
use crate::tensors::has_kernel;

/// [`linear_log_prob_in`](crate::linear_log_prob_in) with the divergence from a second distribution over the whole
/// vocabulary, `KL(p ‖ q) = Σ p·(log p − log q)` in nats, `[N]`: `p` is the distribution of
/// `hidden` and `weight`, `q` that of `second`, the hidden states `[N, H₂]` and head `[V, H₂]` of a
/// frozen model at the same temperature. Gradients flow to `hidden` and `weight`; the second model
/// gets none. Seen from `p`, the model in training, it is the reverse divergence, which TRL's
/// `kl_penalty = "full"` takes too.
///
/// # Panics
/// As [`linear_log_prob_in`](crate::linear_log_prob_in), and when the shapes of `second` do not fit.
pub fn linear_log_prob_kl_in(
    precision: Precision,
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
    second: [Tensor<2>; 2],
) -> (TokenStats, Tensor<1>) {
    check(&hidden, &weight, targets, temperature);
    let [second_hidden, second_weight] = second.map(|x| x.inner());
    check(&second_hidden, &second_weight, targets, temperature);
    assert_eq!(
        weight.dims()[0],
        second_weight.dims()[0],
        "linear_log_prob_kl: vocabularies"
    );
    if !has_kernel(&hidden) {
        let second = [second_hidden, second_weight];
        let kl = reference::linear_kl(hidden.clone(), weight.clone(), second, temperature);
        let stats = log_prob::reference::linear_log_prob(hidden, weight, targets, temperature);
        return (stats, kl);
    }
    let width = second_hidden.dims()[1];
    let [second_hidden, second_weight] =
        [second_hidden, second_weight].map(|x| Box::new(Constant::new(x)));
    let second = Second::new(second_hidden, second_weight, width);
    let all = on_host(
        precision,
        hidden,
        weight,
        targets,
        temperature,
        Some(second),
    );
    let kl = all.clone().narrow(0, 2, 1).squeeze_dim(0);
    (TokenStats::of_rows(&all), kl)
}

/// [`linear_log_prob_kl_in`] f32.
///
/// # Panics
/// As there.
pub fn linear_log_prob_kl(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
    second: [Tensor<2>; 2],
) -> (TokenStats, Tensor<1>) {
    linear_log_prob_kl_in(Precision::F32, hidden, weight, targets, temperature, second)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::{Tensor, activation};

    use crate::ops::linear::reference::linear;

    /// The divergence of [`crate::linear_log_prob_kl`]: `Σ p·(log p − log q)` of each row.
    /// Keeps whole `[N, V]` arrays.
    pub fn linear_kl(
        hidden: Tensor<2>,
        weight: Tensor<2>,
        [other_hidden, other_weight]: [Tensor<2>; 2],
        temperature: f32,
    ) -> Tensor<1> {
        let rows = hidden.dims()[0];
        let log_p = activation::log_softmax(linear(hidden, weight, None) / temperature, 1);
        let log_q =
            activation::log_softmax(linear(other_hidden, other_weight, None) / temperature, 1);
        (log_p.clone().exp() * (log_p - log_q))
            .sum_dim(1)
            .reshape([rows])
    }
}
