//! The definition of every operator in Burn's tensor operations: what the kernels are compared
//! with, and what runs on devices without a kernel.

use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use crate::{AdamW, Layout, Moments, Span, TokenStats};

/// See [`crate::attention`].
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Layout,
    causal: bool,
    scale: f32,
) -> Tensor<3> {
    let device = q.device();
    masked_attention(q, k, v, layout, scale, |span| {
        causal.then(|| future(span.len, span.prefix_len + span.len, &device))
    })
}

/// Attention of each span to its prefix and itself; see [`attend`] for the `mask` of a span.
pub(crate) fn masked_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Layout,
    scale: f32,
    mask: impl Fn(&Span) -> Option<Tensor<3, Bool>>,
) -> Tensor<3> {
    let outputs = layout.spans().iter().map(|span| {
        let queries = q.clone().narrow(0, span.start, span.len);
        attend(queries, seen(&k, span), seen(&v, span), mask(span), scale)
    });
    Tensor::cat(outputs.collect(), 0)
}

/// The rows of keys or values that a span sees: its prefix, then itself.
pub(crate) fn seen(x: &Tensor<3>, span: &Span) -> Tensor<3> {
    let own = x.clone().narrow(0, span.start, span.len);
    match span.prefix_len {
        0 => own,
        len => Tensor::cat(vec![x.clone().narrow(0, span.prefix_start, len), own], 0),
    }
}

/// Attention of `q` `[queries, Hq, D]` to all of `k` and `v` `[keys, Hkv, D]`, but not where `mask`,
/// `[1 or Hq, queries, keys]`, is true.
pub(crate) fn attend(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    mask: Option<Tensor<3, Bool>>,
    scale: f32,
) -> Tensor<3> {
    let [queries, heads, dim] = q.dims();
    let [keys, kv_heads, _] = k.dims();
    // [keys, kv heads, dim] to [heads, keys, dim], each K/V head repeated for its group.
    let spread = |x: Tensor<3>| {
        x.reshape([keys, kv_heads, 1, dim])
            .repeat_dim(2, heads / kv_heads)
            .reshape([keys, heads, dim])
            .swap_dims(0, 1)
    };
    let scores = q.swap_dims(0, 1).matmul(spread(k).swap_dims(1, 2)) * scale;
    let scores = match mask {
        Some(mask) => scores.mask_fill(mask.expand([heads, queries, keys]), f32::NEG_INFINITY),
        None => scores,
    };
    activation::softmax(scores, 2)
        .matmul(spread(v))
        .swap_dims(0, 1)
}

/// `[1, queries, keys]`: where the last `queries` of `keys` tokens would look ahead.
pub(crate) fn future(queries: usize, keys: usize, device: &Device) -> Tensor<3, Bool> {
    let past = (keys - queries) as i64;
    Tensor::tril_mask([1, queries, keys], past, &device.clone().inner())
}

/// See [`crate::rms_norm`].
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let root = (x.clone().square().mean_dim(1) + eps).sqrt();
    x / root * weight.unsqueeze()
}

/// See [`crate::layer_norm`].
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let mean = x.clone().mean_dim(1);
    rms_norm(x - mean, weight, eps) + bias.unsqueeze()
}

/// See [`crate::rotary`].
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    let [tokens, _, dim] = x.dims();
    let first = x.clone().narrow(2, 0, dim / 2);
    let second = x.clone().narrow(2, dim / 2, dim / 2);
    let turned = Tensor::cat(vec![-second, first], 2);
    x * cos.reshape([tokens, 1, dim]) + turned * sin.reshape([tokens, 1, dim])
}

/// See [`crate::swiglu`].
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    activation::silu(gate) * up
}

/// See [`crate::gelu`].
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    // Burn's own backward pass of gelu is that of its tanh form on devices, off by 1e-3.
    (x.clone() * std::f64::consts::FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        * x
        * 0.5
}

/// See [`crate::quick_gelu`].
pub fn quick_gelu(x: Tensor<2>) -> Tensor<2> {
    x.clone() * activation::sigmoid(x * 1.702)
}

/// See [`crate::linear`].
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

/// See [`crate::embedding`].
pub fn embedding(weight: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = indices(ids, &weight.device());
    weight.select(0, ids)
}

/// See [`crate::scatter_rows`].
pub fn scatter_rows(x: Tensor<2>, index: &[u32], rows: Tensor<2>) -> Tensor<2> {
    let index = indices(index, &x.device());
    let old = x.clone().select(0, index.clone());
    x.select_assign(0, index, rows - old, IndexingUpdateOp::Add)
}

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

/// The divergence of [`crate::Precision::linear_log_prob_kl`]: `Σ p·(log p − log q)` of each row.
/// Keeps whole `[N, V]` arrays.
pub fn linear_kl(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    [other_hidden, other_weight]: [Tensor<2>; 2],
    temperature: f32,
) -> Tensor<1> {
    let rows = hidden.dims()[0];
    let log_p = activation::log_softmax(linear(hidden, weight, None) / temperature, 1);
    let log_q = activation::log_softmax(linear(other_hidden, other_weight, None) / temperature, 1);
    (log_p.clone().exp() * (log_p - log_q))
        .sum_dim(1)
        .reshape([rows])
}

/// See [`AdamW::step`].
pub fn adamw(
    adamw: &AdamW,
    values: Tensor<1>,
    grad: Tensor<1>,
    moments: &mut Moments,
    step: usize,
) -> Tensor<1> {
    let (size, root) = adamw.corrections(step);
    let grad = grad * adamw.grad_scale;
    let first = moments.first.clone() * adamw.beta1 + grad.clone() * (1.0 - adamw.beta1);
    let second = moments.second.clone() * adamw.beta2 + grad.square() * (1.0 - adamw.beta2);
    (moments.first, moments.second) = (first.clone(), second.clone());
    let change = first * size / (second.sqrt() / root + adamw.eps);
    values * (1.0 - adamw.lr * adamw.weight_decay) - change
}

fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let data = TensorData::new(values, [ids.len()]);
    Tensor::from_data(data, &device.clone().inner())
}
