//! Entropy of the nucleus of next-token distributions.

use burn::tensor::Tensor;
use percept_kernels::train;

use crate::tensors::to_vec;

/// Entropy, in nats, of `softmax(hidden · weightᵀ / temperature)` cut to its nucleus (the fewest
/// likeliest tokens whose probabilities reach `top_p`) and renormalised: `hidden` `[N, H]`,
/// `weight` `[V, H]`, result `[N]`. Computed on the host, without gradient; `[N, V]` is never
/// kept.
///
/// # Panics
/// When the widths differ, or `top_p` or `temperature` is not positive.
pub fn nucleus_entropy(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    temperature: f32,
    top_p: f64,
) -> Vec<f32> {
    let ([_, width], [_, weight_width]) = (hidden.dims(), weight.dims());
    assert_eq!(width, weight_width, "nucleus_entropy: widths");
    assert!(
        temperature > 0.0 && top_p > 0.0,
        "nucleus_entropy: temperature {temperature}, top_p {top_p}"
    );
    let (hidden, weight) = (to_vec(hidden), to_vec(weight));
    train::nucleus_entropy(&hidden, &weight, width, temperature, top_p)
}
