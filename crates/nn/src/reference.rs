//! The definition of every operator in Burn's tensor operations: what the kernels are compared
//! with, and what runs on devices without a kernel.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use crate::{Layout, Span, TokenStats};

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
        causal.then(|| mask(span.prefix_len, span.len, &device))
    })
}

/// Attention of each span to its prefix and itself; `mask` of a span, `[1 or heads, len, prefix + len]`, is
/// added to its scores.
pub(crate) fn masked_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Layout,
    scale: f32,
    mask: impl Fn(&Span) -> Option<Tensor<3>>,
) -> Tensor<3> {
    let [_, heads, dim] = q.dims();
    let [_, kv_heads, _] = k.dims();
    let group = heads / kv_heads;
    // [tokens, kv heads, dim] to [heads, tokens, dim], each K/V head repeated for its group.
    let spread = |x: Tensor<3>| {
        let tokens = x.dims()[0];
        x.reshape([tokens, kv_heads, 1, dim])
            .repeat_dim(2, group)
            .reshape([tokens, heads, dim])
            .swap_dims(0, 1)
    };
    let outputs = layout.spans().iter().map(|span| {
        let part = |x: &Tensor<3>| {
            let own = x.clone().narrow(0, span.start, span.len);
            match span.prefix_len {
                0 => own,
                len => Tensor::cat(vec![x.clone().narrow(0, span.prefix_start, len), own], 0),
            }
        };
        let queries = q.clone().narrow(0, span.start, span.len).swap_dims(0, 1);
        let scores = queries.matmul(spread(part(&k)).swap_dims(1, 2)) * scale;
        let dtype = scores.dtype();
        let scores = match mask(span) {
            Some(mask) => scores + mask.cast(dtype),
            None => scores,
        };
        activation::softmax(scores, 2)
            .matmul(spread(part(&v)))
            .swap_dims(0, 1)
    });
    Tensor::cat(outputs.collect(), 0)
}

/// `[1, len, prefix + len]`: −∞ where a query must not look.
fn mask(prefix: usize, len: usize, device: &Device) -> Tensor<3> {
    let width = prefix + len;
    let value = |at: usize| {
        if at % width > prefix + at / width {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    let values: Vec<f32> = (0..len * width).map(value).collect();
    Tensor::from_data(
        TensorData::new(values, [1, len, width]),
        &device.clone().inner(),
    )
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
    activation::gelu(x)
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

fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let data = TensorData::new(values, [ids.len()]);
    Tensor::from_data(data, &device.clone().inner())
}
