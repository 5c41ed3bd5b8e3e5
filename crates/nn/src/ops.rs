//! The operators of the training path. Each is defined in [`crate::reference`]; the choice of a
//! kernel is made here and nowhere else.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor, TensorData};

use crate::host_op::run;
use crate::kernels::attention::Attention;
use crate::kernels::linear::Linear;
use crate::kernels::log_prob::LogProb;
use crate::kernels::norm::RmsNorm;
use crate::kernels::pointwise::{Rotary, SwiGlu};
use crate::kernels::rows::{Gather, Scatter};
use crate::{Layout, reference};

/// Whether the tensors of a device are host memory, so that the CPU kernels apply.
fn on_host(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// Stands for an input that an operation does not have.
fn nothing() -> burn::backend::DispatchTensor {
    Tensor::<1>::zeros([0], &Device::flex()).into_dispatch()
}

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
    if !on_host(&q.device()) {
        return reference::attention(q, k, v, layout, causal, scale);
    }
    let [tokens, heads, dim] = q.dims();
    let kv_heads = k.dims()[1];
    let layout = Arc::clone(layout);
    let log_z = OnceLock::new();
    let op = Attention { tokens, heads, kv_heads, dim, causal, scale, layout, log_z };
    run([q.into_dispatch(), k.into_dispatch(), v.into_dispatch()], op)
}

/// `x / sqrt(mean(x²) + eps) · weight` over the last axis: `[T, H]`, `[H]` (arXiv 1910.07467).
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    if !on_host(&x.device()) {
        return reference::rms_norm(x, weight, eps);
    }
    let [rows, width] = x.dims();
    let op = RmsNorm { rows, width, eps: eps as f32 };
    run([x.into_dispatch(), weight.into_dispatch(), nothing()], op)
}

/// Layer normalisation over the last axis: `[T, H]`, `[H]`, `[H]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    reference::layer_norm(x, weight, bias, eps)
}

/// Rotary position embedding in the rotate-half form of transformers: `x` `[T, H, D]`, tables
/// `[T, D]` without gradient.
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    if !on_host(&x.device()) {
        return reference::rotary(x, cos, sin);
    }
    let [tokens, heads, dim] = x.dims();
    let inputs = [x.into_dispatch(), cos.into_dispatch(), sin.into_dispatch()];
    run(inputs, Rotary { tokens, heads, dim })
}

/// `silu(gate) · up`, both `[T, H]`.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    if !on_host(&gate.device()) {
        return reference::swiglu(gate, up);
    }
    let [rows, width] = gate.dims();
    run([gate.into_dispatch(), up.into_dispatch(), nothing()], SwiGlu { rows, width })
}

/// `x · weightᵀ + bias`: `[T, I]`, `[O, I]` as checkpoints store it, `[O]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if !on_host(&x.device()) {
        return reference::linear(x, weight, bias);
    }
    let [rows, inputs] = x.dims();
    let outputs = weight.dims()[0];
    let bias = bias.map_or_else(nothing, Tensor::into_dispatch);
    run([x.into_dispatch(), weight.into_dispatch(), bias], Linear { rows, inputs, outputs })
}

/// Rows of an embedding table: `[V, H]`, result `[ids, H]`; the backward pass adds into the rows.
pub fn embedding(weight: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    if !on_host(&weight.device()) {
        return reference::embedding(weight, ids);
    }
    let [rows, width] = weight.dims();
    let op = Gather { rows, width, index: ids.to_vec() };
    run([weight.into_dispatch(), nothing(), nothing()], op)
}

/// The rows `index` of `x`, repetition allowed; the backward pass adds them up.
pub fn gather_rows(x: Tensor<2>, index: &[u32]) -> Tensor<2> {
    embedding(x, index)
}

/// `x` with row `index[i]` replaced by `rows[i]`; `index` has no repetition.
pub fn scatter_rows(x: Tensor<2>, index: &[u32], rows: Tensor<2>) -> Tensor<2> {
    if !on_host(&x.device()) {
        return reference::scatter_rows(x, index, rows);
    }
    let [count, width] = x.dims();
    let op = Scatter { rows: count, width, index: index.to_vec() };
    run([x.into_dispatch(), rows.into_dispatch(), nothing()], op)
}

/// Log-probability of `targets` and entropy under `softmax(hidden · weightᵀ / temperature)`:
/// `hidden` `[N, H]`, `weight` `[V, H]`. Gradients flow from both results.
pub fn linear_log_prob(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    if !on_host(&hidden.device()) {
        return reference::linear_log_prob(hidden, weight, targets, temperature);
    }
    let [rows, width] = hidden.dims();
    let op = LogProb {
        width,
        vocabulary: weight.dims()[0],
        targets: targets.to_vec(),
        temperature,
        log_z: OnceLock::new(),
    };
    let both: Tensor<2> = run([hidden.into_dispatch(), weight.into_dispatch(), nothing()], op);
    TokenStats {
        log_prob: both.clone().narrow(0, 0, 1).reshape([rows]),
        entropy: both.narrow(0, 1, 1).reshape([rows]),
    }
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
