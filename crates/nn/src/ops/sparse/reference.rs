//! The definition, plain and quadratic: what the kernel is compared with, and what runs on devices
//! without a kernel.

use burn::tensor::{Bool, Tensor, TensorData, activation};
use percept_kernels::decode::BLOCK;
use percept_kernels::sparse::nsa::GATES;
use percept_kernels::sparse::{Branches, Keys, Pattern};
use percept_kernels::{Layout, Span};

use crate::ops::masked::{masked_attention, seen};
use crate::tensors::to_vec;

/// The key that stands for the tokens of `keys` `[tokens][dim]`; `marks` says which are punctuation.
pub fn block_key(pattern: &Pattern, keys: &[&[f32]], marks: &[bool]) -> Vec<f64> {
    let mean = |rows: &[&[f32]]| -> Vec<f64> {
        let sum = |d: usize| rows.iter().map(|row| f64::from(row[d])).sum::<f64>();
        (0..keys[0].len())
            .map(|d| sum(d) / rows.len() as f64)
            .collect()
    };
    let all = mean(keys);
    let marked = keys.iter().zip(marks).filter(|&(_, &mark)| mark);
    let marked: Vec<&[f32]> = marked.map(|(key, _)| *key).collect();
    match pattern.keys {
        Keys::Fused { lambda } if !marked.is_empty() => {
            let lambda = f64::from(lambda);
            let both = all.iter().zip(mean(&marked));
            both.map(|(all, some)| lambda * all + (1.0 - lambda) * some)
                .collect()
        }
        _ => all,
    }
}

/// Scores of the blocks `0..blocks` for queries that choose together: `queries` `[heads][dim]`,
/// `keys` those that are complete.
pub fn block_scores(
    pattern: &Pattern,
    queries: &[&[f32]],
    keys: &[Vec<f64>],
    blocks: usize,
    scale: f64,
) -> Vec<f64> {
    let dot = |q: &[f32], key: &[f64]| -> f64 {
        q.iter()
            .zip(key)
            .map(|(&a, b)| f64::from(a) * b)
            .sum::<f64>()
            * scale
    };
    if pattern.per_head() {
        return keys[..blocks]
            .iter()
            .map(|key| dot(queries[0], key))
            .collect();
    }
    let mut shared = vec![0.0; keys.len()];
    for q in queries {
        let scores: Vec<f64> = keys.iter().map(|key| dot(q, key)).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
        for (shared, score) in shared.iter_mut().zip(scores) {
            *shared += (score - max).exp() / total;
        }
    }
    let Keys::Kernels { stride, .. } = pattern.keys else {
        return shared[..blocks].to_vec();
    };
    let ratio = pattern.block / stride;
    let pooled = (0..blocks).map(|block| {
        let window = (block * ratio).saturating_sub(1)..(block + 1) * ratio;
        window
            .filter_map(|kernel| shared.get(kernel))
            .fold(0.0, |m: f64, &s| m.max(s))
    });
    pooled.collect()
}

/// As [`block_scores`] where the choice looks into some groups of sixteen blocks only, by their mean keys: −∞ elsewhere.
fn coarse_scores(
    pattern: &Pattern,
    queries: &[&[f32]],
    keys: &[Vec<f64>],
    groups: usize,
    candidates: &std::ops::Range<usize>,
    scale: f64,
) -> Vec<f64> {
    let exponential = |q: &[f32], key: &[f64]| -> f64 {
        let products = q.iter().zip(key).map(|(&a, b)| f64::from(a) * b);
        (products.sum::<f64>() * scale).exp()
    };
    let means: Vec<Vec<f64>> = (keys.chunks_exact(BLOCK).take(groups))
        .map(|keys| {
            let sum = |d: usize| keys.iter().map(|key| key[d]).sum::<f64>();
            (0..keys[0].len()).map(|d| sum(d) / BLOCK as f64).collect()
        })
        .collect();
    let weight = |group: usize| -> f64 {
        let share = |q: &&[f32]| {
            let total: f64 = means.iter().map(|mean| exponential(q, mean)).sum();
            exponential(q, &means[group]) / total
        };
        queries.iter().map(share).sum()
    };
    let weights: Vec<f64> = (0..groups).map(weight).collect();
    let within = candidates.start / BLOCK..groups.min(candidates.end.div_ceil(BLOCK));
    let mut order: Vec<usize> = within.collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    order.truncate(pattern.coarse);
    let visited = |block: usize| block / BLOCK >= groups || order.contains(&(block / BLOCK));
    let mut scores = vec![0.0; keys.len()];
    for q in queries {
        let mut total: f64 = (0..groups)
            .filter(|group| !order.contains(group))
            .map(|group| BLOCK as f64 * exponential(q, &means[group]))
            .sum();
        let e: Vec<f64> = keys.iter().map(|key| exponential(q, key)).collect();
        total += (0..e.len())
            .filter(|&block| visited(block))
            .map(|block| e[block])
            .sum::<f64>();
        scores
            .iter_mut()
            .zip(&e)
            .for_each(|(score, e)| *score += e / total);
    }
    (0..candidates.end)
        .map(|block| {
            if visited(block) {
                scores[block]
            } else {
                f64::NEG_INFINITY
            }
        })
        .collect()
}

/// For each token and query head, `[tokens · heads]`, the chosen blocks, ascending.
pub fn choices(
    pattern: &Pattern,
    q: &Tensor<3>,
    k: &Tensor<3>,
    layout: &Layout,
    marks: &[bool],
    scale: f32,
) -> Vec<Vec<u32>> {
    let ([tokens, heads, dim], [_, kv_heads, _]) = (q.dims(), k.dims());
    let (q, k, group) = (to_vec(q), to_vec(k), heads / kv_heads);
    let mut found = vec![Vec::new(); tokens * heads];
    for (span, head) in layout
        .spans()
        .iter()
        .flat_map(|span| (0..kv_heads).map(move |head| (span, head)))
    {
        let text: Vec<usize> = span.text().collect();
        let row = |token: usize| &k[(token * kv_heads + head) * dim..][..dim];
        let keys: Vec<Vec<f64>> = (0..pattern.key_count(text.len()))
            .map(|key| {
                let (first, len) = pattern.key_tokens(key);
                let tokens = &text[first..first + len];
                let rows: Vec<&[f32]> = tokens.iter().map(|&token| row(token)).collect();
                let marks: Vec<bool> = tokens
                    .iter()
                    .map(|&token| marks.get(token).copied().unwrap_or(false))
                    .collect();
                block_key(pattern, &rows, &marks)
            })
            .collect();
        for place in 0..span.len {
            let (token, seen) = (span.start + place, span.prefix_len + place + 1);
            let candidates = pattern.candidates(seen);
            if candidates.is_empty() {
                continue;
            }
            let visible = &keys[..pattern.key_count(seen)];
            let together = if pattern.per_head() { 1 } else { group };
            for first in (head * group..(head + 1) * group).step_by(together) {
                let queries: Vec<&[f32]> = (first..first + together)
                    .map(|h| &q[(token * heads + h) * dim..][..dim])
                    .collect();
                let scores = match (pattern.keys, pattern.groups(seen)) {
                    (Keys::None, _) => vec![0.0; candidates.end],
                    (_, Some(groups)) => {
                        let scale = f64::from(scale);
                        coarse_scores(pattern, &queries, visible, groups, &candidates, scale)
                    }
                    _ => block_scores(pattern, &queries, visible, candidates.end, scale.into()),
                };
                let mut order: Vec<usize> = candidates.clone().collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
                order.truncate(pattern.top_k);
                order.sort_unstable();
                for h in first..first + together {
                    found[token * heads + h] = order.iter().map(|&block| block as u32).collect();
                }
            }
        }
    }
    found
}

/// Attention of each query to what is always seen and to the blocks `chosen` by
/// [`choices`]: a soft-max with −∞ everywhere else.
pub fn attention(
    pattern: &Pattern,
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Layout,
    chosen: &[Vec<u32>],
    scale: f32,
) -> Tensor<3> {
    let [_, heads, _] = q.dims();
    let device = q.device().inner();
    masked_attention(q, k, v, layout, scale, |span| {
        let all = span.prefix_len + span.len;
        let mut mask = Vec::with_capacity(heads * span.len * all);
        for head in 0..heads {
            for place in 0..span.len {
                let seen = span.prefix_len + place + 1;
                let chosen = &chosen[(span.start + place) * heads + head];
                let candidates = pattern.candidates(seen);
                mask.extend((0..all).map(|at| {
                    let block = at / pattern.block;
                    let kept = !candidates.contains(&block) || chosen.contains(&(block as u32));
                    at >= seen || !kept
                }));
            }
        }
        let mask = TensorData::new(mask, [heads, span.len, all]);
        Some(Tensor::from_data(mask, &device))
    })
}

/// NSA with the blocks `chosen` by [`choices`] of its selected pattern: see [`nsa::attention`](super::nsa::attention).
pub fn nsa(
    branches: &Branches,
    [q, k, v]: [Tensor<3>; 3],
    gates: Tensor<2>,
    layout: &Layout,
    chosen: &[Vec<u32>],
    scale: f32,
) -> Tensor<3> {
    let [tokens, heads, _] = q.dims();
    let gates = activation::sigmoid(gates).reshape([tokens, heads, GATES]);
    let Branches { selected, window } = branches;
    let qkv = || [q.clone(), k.clone(), v.clone()];
    let compressed = compressed(qkv(), layout, selected.block, scale);
    let [q2, k2, v2] = qkv();
    let selected = attention(selected, q2, k2, v2, layout, chosen, scale);
    let window = last_tokens(qkv(), layout, *window, scale);
    let parts = [compressed, selected, window].into_iter().enumerate();
    parts
        .map(|(branch, part)| part * gates.clone().narrow(2, branch, 1))
        .reduce(|sum, part| sum + part)
        .expect("there are three branches")
}

/// Attention to the last `window` tokens.
fn last_tokens([q, k, v]: [Tensor<3>; 3], layout: &Layout, window: usize, scale: f32) -> Tensor<3> {
    let device = q.device().inner();
    masked_attention(q, k, v, layout, scale, |span| {
        let all = span.prefix_len + span.len;
        let mask = (0..span.len).flat_map(|place| {
            let end = span.prefix_len + place + 1;
            let seen = end.saturating_sub(window)..end;
            (0..all).map(move |at| !seen.contains(&at))
        });
        let mask = TensorData::new(mask.collect::<Vec<bool>>(), [1, span.len, all]);
        Some(Tensor::from_data(mask, &device))
    })
}

/// Attention to the means of complete blocks of `block` tokens; 0 where there is none.
fn compressed([q, k, v]: [Tensor<3>; 3], layout: &Layout, block: usize, scale: f32) -> Tensor<3> {
    let ([_, heads, dim], [_, kv_heads, _]) = (q.dims(), k.dims());
    let device = q.device().inner();
    // [kv heads repeated for their group, blocks, dim]
    let means = |x: &Tensor<3>, span: &Span, blocks: usize| {
        seen(x, span)
            .narrow(0, 0, blocks * block)
            .reshape([blocks, block, kv_heads * dim])
            .mean_dim(1)
            .reshape([blocks, kv_heads, 1, dim])
            .repeat_dim(2, heads / kv_heads)
            .reshape([blocks, heads, dim])
            .swap_dims(0, 1)
    };
    let outputs = layout.spans().iter().flat_map(|span| {
        let blocks = (span.prefix_len + span.len) / block;
        // Queries before the end of the first block see nothing.
        let blind = (block - 1).saturating_sub(span.prefix_len).min(span.len);
        let queries = q.clone().narrow(0, span.start, span.len);
        let nothing = (blind > 0).then(|| queries.clone().narrow(0, 0, blind) * 0.0);
        let seeing = (blind < span.len).then(|| {
            let mask = (blind..span.len).flat_map(|place| {
                let complete = (span.prefix_len + place + 1) / block;
                (0..blocks).map(move |at| at >= complete)
            });
            let rows = span.len - blind;
            let mask = TensorData::new(mask.collect::<Vec<bool>>(), [1, rows, blocks]);
            let mask = Tensor::<3, Bool>::from_data(mask, &device);
            let queries = queries.narrow(0, blind, rows).swap_dims(0, 1);
            let scores = queries.matmul(means(&k, span, blocks).swap_dims(1, 2)) * scale;
            let mask = mask.expand([heads, rows, blocks]);
            activation::softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 2)
                .matmul(means(&v, span, blocks))
                .swap_dims(0, 1)
        });
        nothing.into_iter().chain(seeing)
    });
    Tensor::cat(outputs.collect(), 0)
}
