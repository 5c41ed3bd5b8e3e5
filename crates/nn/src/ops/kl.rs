//! Log-probabilities with the divergence from a second distribution, without logits.

use burn::tensor::Tensor;
use percept_kernels::Precision;
use percept_kernels::train::{KlDirection, Second};

use super::log_prob::{self, TokenStats, check, on_host};
use crate::host_op::Constant;
use crate::tensors::has_kernel;

/// [`linear_log_prob_in`](crate::linear_log_prob_in) with the divergence from a second distribution over the whole
/// vocabulary, `KL(p ‖ q) = Σ p·(log p − log q)` in nats, `[N]`, or, in the direction
/// [`Forward`](KlDirection::Forward), `KL(q ‖ p) = Σ q·(log q − log p)`: `p` is the distribution of
/// `hidden` and `weight`, `q` that of `second`, the hidden states `[N, H₂]` and head `[V, H₂]` of a
/// frozen model at the same temperature. Gradients flow to `hidden` and `weight`; the second model
/// gets none. Seen from `p`, the model in training, the first is the reverse divergence, which TRL's
/// `kl_penalty = "full"` takes too; token-level DPO (CHiP, HALVA) takes the other.
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
    direction: KlDirection,
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
        let kl = match direction {
            KlDirection::Reverse => reference::linear_kl,
            KlDirection::Forward => reference::linear_forward_kl,
        };
        let kl = kl(hidden.clone(), weight.clone(), second, temperature);
        let stats = log_prob::reference::linear_log_prob(hidden, weight, targets, temperature);
        return (stats, kl);
    }
    let width = second_hidden.dims()[1];
    let [second_hidden, second_weight] =
        [second_hidden, second_weight].map(|x| Box::new(Constant::new(x)));
    let second = Second::new(second_hidden, second_weight, width, direction);
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

/// [`linear_log_prob_kl_in`] f32, the reverse divergence.
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
    linear_log_prob_kl_in(
        Precision::F32,
        hidden,
        weight,
        targets,
        temperature,
        second,
        KlDirection::Reverse,
    )
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
        let log_p = log_softmax(hidden, weight, temperature);
        let log_q = log_softmax(other_hidden, other_weight, temperature);
        divergence(log_p, log_q)
    }

    /// The same the other way round: `Σ q·(log q − log p)` of each row.
    pub fn linear_forward_kl(
        hidden: Tensor<2>,
        weight: Tensor<2>,
        [other_hidden, other_weight]: [Tensor<2>; 2],
        temperature: f32,
    ) -> Tensor<1> {
        let log_p = log_softmax(hidden, weight, temperature);
        let log_q = log_softmax(other_hidden, other_weight, temperature);
        divergence(log_q, log_p)
    }

    fn log_softmax(hidden: Tensor<2>, weight: Tensor<2>, temperature: f32) -> Tensor<2> {
        activation::log_softmax(linear(hidden, weight, None) / temperature, 1)
    }

    fn divergence(log_p: Tensor<2>, log_q: Tensor<2>) -> Tensor<1> {
        let rows = log_p.dims()[0];
        (log_p.clone().exp() * (log_p - log_q))
            .sum_dim(1)
            .reshape([rows])
    }
}
