//! The definitions of attention and of the output head in parts that the backward pass computes
//! again: what runs on devices without a kernel of their own. Of `[tokens, tokens]` and of
//! `[tokens, vocabulary]`, one part exists at a time.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::recompute::recomputed;
use crate::{Layout, Span, TokenStats, reference};

/// Elements of one array of a part: 128 MiB. A part has to fill a graphics card, and several arrays
/// of its size exist at a time.
const PART: usize = 1 << 25;

/// Scores that are kept rather than computed again, in elements over all spans: 64 MiB.
const KEPT: usize = 1 << 24;

/// `0..rows` in parts of `part` rows.
fn parts(rows: usize, part: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows)
        .step_by(part)
        .map(move |start| start..(start + part).min(rows))
}

/// See [`crate::linear_log_prob`].
pub(crate) fn linear_log_prob(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    log_prob_in_parts(hidden, weight, targets, temperature, PART)
}

fn log_prob_in_parts(
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
    let both = Tensor::cat(stats, 1);
    TokenStats {
        log_prob: both.clone().narrow(0, 0, 1).squeeze_dim(0),
        entropy: both.narrow(0, 1, 1).squeeze_dim(0),
    }
}

/// See [`crate::attention`].
pub(crate) fn attention(
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
        let [keys, values] = [&k, &v].map(|x| reference::seen(x, span));
        let part = (part / (heads * (span.prefix_len + span.len))).max(1);
        let q = q.clone();
        parts(span.len, part).map(move |rows| {
            let past = span.prefix_len + if causal { rows.end } else { span.len };
            let [keys, values] = [&keys, &values].map(|x| x.clone().narrow(0, 0, past));
            let queries = q.clone().narrow(0, span.start + rows.start, rows.len());
            recomputed([queries, keys, values], move |[q, k, v]| {
                let mask = causal.then(|| reference::future(q.dims()[0], past, &q.device()));
                reference::attend(q, k, v, mask, scale)
            })
        })
    });
    Tensor::cat(outputs.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_vec;
    use burn::tensor::{Device, TensorData};

    fn leaf<const D: usize>(seed: usize, shape: [usize; D]) -> Tensor<D> {
        let len = shape.iter().product();
        let values: Vec<f32> = (0..len)
            .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
            .autodiff()
            .require_grad()
    }

    /// `f(leaves)`, and the gradients of `Σ c·f(leaves)`.
    fn evaluate<const D: usize, const E: usize, const N: usize>(
        leaves: &[Tensor<D>; N],
        f: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) -> Vec<Vec<f32>> {
        let out = f(leaves.clone());
        let c = leaf(99, out.dims()).inner();
        let mut grads = (out.clone() * c).sum().backward();
        let mut all = vec![to_vec(&out)];
        all.extend(
            leaves
                .iter()
                .map(|leaf| to_vec(&leaf.grad_remove(&mut grads).unwrap())),
        );
        all
    }

    fn close(found: Vec<Vec<f32>>, expected: Vec<Vec<f32>>) {
        for (found, expected) in found.iter().zip(&expected) {
            let scale = expected.iter().fold(1e-2f32, |m, e| m.max(e.abs()));
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= 1e-5 * scale, "{f} for {e}");
            }
        }
    }

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
                both(log_prob_in_parts(h, w, &targets, 0.8, part))
            });
            close(found, whole.clone());
        }
        let none = linear_log_prob(hidden.slice([0..0, 0..5]), weight, &[], 0.8);
        assert!(to_vec(&none.log_prob).is_empty());
    }
}
