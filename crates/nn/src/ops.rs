//! The operators of the training path. Each is defined in [`crate::reference`]; the choice of a
//! kernel is made here and nowhere else.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use crate::{Layout, reference};

/// Log-probability and entropy at each row of the loss.
#[derive(Debug, Clone)]
pub struct TokenStats {
    /// `[N]` natural logarithm of the target's probability.
    pub log_prob: Tensor<1>,
    /// `[N]` entropy of the distribution, in nats.
    pub entropy: Tensor<1>,
}

/// Variable-length attention with shared prefixes and grouped queries: each span of `layout` sees
/// its whole prefix and itself, causally or fully.
///
/// `q` `[T, Hq, D]`, `k` and `v` `[T, Hkv, D]` with `Hq` a multiple of `Hkv`; result `[T, Hq, D]`.
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Arc<Layout>,
    causal: bool,
    scale: f32,
) -> Tensor<3> {
    reference::attention(q, k, v, layout, causal, scale)
}

/// `x / sqrt(mean(x²) + eps) · weight` over the last axis: `[T, H]`, `[H]` (arXiv 1910.07467).
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    reference::rms_norm(x, weight, eps)
}

/// Layer normalisation over the last axis: `[T, H]`, `[H]`, `[H]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    reference::layer_norm(x, weight, bias, eps)
}

/// Rotary position embedding in the rotate-half form of transformers: `x` `[T, H, D]`, tables
/// `[T, D]` without gradient.
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    reference::rotary(x, cos, sin)
}

/// `silu(gate) · up`, both `[T, H]`.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    reference::swiglu(gate, up)
}

/// `x · weightᵀ + bias`: `[T, I]`, `[O, I]` as checkpoints store it, `[O]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    reference::linear(x, weight, bias)
}

/// Rows of an embedding table: `[V, H]`, result `[ids, H]`; the backward pass adds into the rows.
pub fn embedding(weight: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    reference::embedding(weight, ids)
}

/// The rows `index` of `x`, repetition allowed; the backward pass adds them up.
pub fn gather_rows(x: Tensor<2>, index: &[u32]) -> Tensor<2> {
    reference::embedding(x, index)
}

/// `x` with row `index[i]` replaced by `rows[i]`; `index` has no repetition.
pub fn scatter_rows(x: Tensor<2>, index: &[u32], rows: Tensor<2>) -> Tensor<2> {
    reference::scatter_rows(x, index, rows)
}

/// Log-probability of `targets` and entropy under `softmax(hidden · weightᵀ / temperature)`:
/// `hidden` `[N, H]`, `weight` `[V, H]`. Gradients flow from both results.
pub fn linear_log_prob(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    reference::linear_log_prob(hidden, weight, targets, temperature)
}

/// `Σ x·c` as a `[1]` tensor; `c` has no gradient. What a loss computed on the host needs to send
/// its gradient back.
///
/// # Panics
/// When the lengths differ.
pub fn dot(x: Tensor<1>, c: &[f32]) -> Tensor<1> {
    assert_eq!(x.dims()[0], c.len(), "one coefficient per value");
    let device = x.device().inner();
    let c = Tensor::<1>::from_data(TensorData::new(c.to_vec(), [c.len()]), &device);
    (x * c).sum()
}

/// The values of a tensor on the host, row-major, without its autodiff graph.
pub fn to_vec<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().into_data().try_into_vec().expect("tensors of this crate are f32")
}
