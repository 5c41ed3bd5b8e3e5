//! Attention by its definition, with a mask for each span: what the definitions of all attentions share.

use burn::tensor::{Bool, Device, Tensor, activation};
use percept_kernels::{Layout, Span};

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
