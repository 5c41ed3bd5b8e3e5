//! Variable-length attention with shared prefixes.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_kernels::train::Attention;
use percept_kernels::{Layout, Span};

use super::masked::{attend, future, seen};
use super::parts::{PART, parts};
use crate::host_op::run;
use crate::recompute::recomputed;
use crate::tensors::has_kernel;

/// Scores that are kept rather than computed again, in elements over all spans: 64 MiB.
const KEPT: usize = 1 << 24;

/// Variable-length attention with shared prefixes and grouped queries: each span of `layout` sees
/// its whole prefix and itself, causally or fully.
///
/// `q` `[T, Hq, D]`, `k` and `v` `[T, Hkv, D]` with `Hq` a multiple of `Hkv`; result `[T, Hq, D]`.
///
/// # Panics
/// When the shapes do not fit each other or `layout`.
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Arc<Layout>,
    causal: bool,
    scale: f32,
) -> Tensor<3> {
    let ([tokens, heads, dim], [kv_tokens, kv_heads, kv_dim]) = (q.dims(), k.dims());
    assert!(
        k.dims() == v.dims() && kv_tokens == tokens && kv_dim == dim,
        "attention: q {:?}, k {:?}, v {:?}",
        q.dims(),
        k.dims(),
        v.dims()
    );
    assert!(
        kv_heads > 0 && heads.is_multiple_of(kv_heads),
        "attention: {heads} heads are no multiple of {kv_heads} key/value heads"
    );
    let covered = layout.len();
    assert_eq!(
        covered, tokens,
        "attention: the layout covers {covered} tokens of {tokens}"
    );
    if !has_kernel(&q) {
        return in_parts(q, k, v, layout, causal, scale);
    }
    let op = Attention::new([heads, kv_heads, dim], Arc::clone(layout), causal, scale);
    run([q.into(), k.into(), v.into()], op)
}

/// The definition, in parts where the scores are many.
fn in_parts(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Arc<Layout>,
    causal: bool,
    scale: f32,
) -> Tensor<3> {
    let heads = q.dims()[1];
    let scores = |span: &Span| heads * span.len * (span.prefix_len + span.len);
    if layout.spans().iter().map(scores).sum::<usize>() <= KEPT {
        return reference::attention(q, k, v, layout, causal, scale);
    }
    attention_in_parts(q, k, v, layout, causal, scale, PART)
}

fn attention_in_parts(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Layout,
    causal: bool,
    scale: f32,
    part: usize,
) -> Tensor<3> {
    let heads = q.dims()[1];
    let outputs = layout.spans().iter().flat_map(|span| {
        let [keys, values] = [&k, &v].map(|x| seen(x, span));
        let part = (part / (heads * (span.prefix_len + span.len))).max(1);
        let q = q.clone();
        parts(span.len, part).map(move |rows| {
            let past = span.prefix_len + if causal { rows.end } else { span.len };
            let [keys, values] = [&keys, &values].map(|x| x.clone().narrow(0, 0, past));
            let queries = q.clone().narrow(0, span.start + rows.start, rows.len());
            recomputed([queries, keys, values], move |[q, k, v]| {
                let mask = causal.then(|| future(q.dims()[0], past, &q.device()));
                attend(q, k, v, mask, scale)
            })
        })
    });
    Tensor::cat(outputs.collect(), 0)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;
    use percept_kernels::Layout;

    use crate::ops::masked::{future, masked_attention};

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::parts::testing::{close, evaluate, leaf};

    #[test]
    fn parts_of_attention_make_the_whole() {
        let spans = [(0, 9, 0, 0), (9, 5, 2, 7), (14, 1, 0, 0), (15, 6, 9, 5)];
        let spans = spans.map(|(start, len, prefix_start, prefix_len)| Span {
            start,
            len,
            prefix_start,
            prefix_len,
        });
        let layout = Layout::new(spans.to_vec(), 21).unwrap();
        let [k, v] = [2, 3].map(|seed| leaf(seed, [21, 2, 6]).detach());
        let leaves = [leaf(1, [21, 4, 6])];
        for (causal, part) in [(true, 1), (true, 100), (false, 150), (true, 10_000)] {
            let attend = |[q]: [Tensor<3>; 1]| {
                attention_in_parts(q, k.clone(), v.clone(), &layout, causal, 0.7, part)
            };
            let whole = |[q]: [Tensor<3>; 1]| {
                reference::attention(q, k.clone(), v.clone(), &layout, causal, 0.7)
            };
            close(evaluate(&leaves, attend), evaluate(&leaves, whole));
            let three = [1, 2, 3].map(|seed| leaf(seed, [21, 2, 6]));
            close(
                evaluate(&three, |[q, k, v]| {
                    attention_in_parts(q, k, v, &layout, causal, 0.7, part)
                }),
                evaluate(&three, |[q, k, v]| {
                    reference::attention(q, k, v, &layout, causal, 0.7)
                }),
            );
        }
    }
}
