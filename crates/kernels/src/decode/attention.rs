//! Soft-max attention of the query heads of one key-value head over a [`KvCache`].
//!
//! Reductions, in an order that depends only on the number of tokens seen: a score is one chain of multiply-adds over
//! the head's values; the sum of exponentials runs in sixteen lanes (token `t` in lane `t mod 16`), folded 8, 4, 2, 1;
//! a value is the sum of two chains, over the even and over the odd tokens. Where the prompt ends and the sequence's
//! own tokens begin, how many sequences are in the batch and how queries are grouped does not enter.

use super::blocks::Blocks;
use super::grid;
use super::kv::{BLOCK, KvCache};
use super::views::{Rows, RowsMut};
use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use std::cell::RefCell;

thread_local! {
    /// Scores of one call, `[queries][blocks × 16]`.
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out [queries, head_dim] = softmax(scale · q·Kᵀ)·V` for the query heads `q [queries, head_dim]` that share the
/// key-value head `head` of `layer`, over the first `tokens` tokens of `cache`.
///
/// # Panics
/// When `tokens` is 0 or more than the cache holds, or `q` and `out` are not the same whole heads.
pub fn attend(
    cache: &KvCache,
    layer: usize,
    head: usize,
    tokens: usize,
    q: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    attend_isa(cache, layer, head, tokens, q, scale, out, Isa::detect());
}

#[allow(clippy::too_many_arguments)]
fn attend_isa(
    cache: &KvCache,
    layer: usize,
    head: usize,
    tokens: usize,
    q: &[f32],
    scale: f32,
    out: &mut [f32],
    isa: Isa,
) {
    let shape = cache.shape();
    assert!(
        tokens > 0 && tokens <= cache.len(),
        "{tokens} tokens of {}",
        cache.len()
    );
    assert!(
        layer < shape.layers && head < shape.heads,
        "layer {layer}, head {head} of {shape:?}"
    );
    assert!(
        q.len() == out.len() && q.len().is_multiple_of(shape.head_dim),
        "whole heads of {}",
        shape.head_dim
    );
    let blocks = &cache.blocks()[..tokens.div_ceil(BLOCK)];
    let queries = q.len() / shape.head_dim;
    let (keys, values) = shape.offsets(layer, head);
    SCORES.with_borrow_mut(|scores| {
        let needed = queries * blocks.len() * BLOCK;
        if scores.len() < needed {
            scores.resize(needed.next_power_of_two(), 0.0);
        }
        let (head_dim, padded) = (shape.head_dim, shape.padded());
        let attention = Attention {
            blocks,
            keys,
            values,
            head_dim,
            padded,
            tokens,
            q,
            queries,
            scale,
            scores,
            out,
        };
        dispatch(isa, attention);
    });
}

/// The parts of attention of some queries over blocks; `tokens` of them count.
pub(crate) struct Attention<'a, L> {
    pub blocks: L,
    /// Where keys `[d][16]` begin in a block.
    pub keys: usize,
    /// Where values `[16][padded]` begin.
    pub values: usize,
    pub head_dim: usize,
    pub padded: usize,
    pub tokens: usize,
    /// `[queries, head_dim]`
    pub q: &'a [f32],
    pub queries: usize,
    pub scale: f32,
    /// `[queries, blocks · 16]`
    pub scores: &'a mut [f32],
    /// `[queries, head_dim]`
    pub out: &'a mut [f32],
}

impl<L: Blocks> Kernel for Attention<'_, L> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        // SAFETY: shapes were checked by the caller.
        unsafe {
            self.all_scores::<S>();
            let mut query = 0;
            while query < self.queries {
                if query + 2 <= self.queries {
                    let totals = [self.softmax::<S>(query), self.softmax::<S>(query + 1)];
                    self.values::<S, 2>(query, totals);
                    query += 2;
                } else {
                    let totals = [self.softmax::<S>(query)];
                    self.values::<S, 1>(query, totals);
                    query += 1;
                }
            }
        }
    }
}

impl<L: Blocks> Attention<'_, L> {
    /// Scaled scores of all queries.
    #[inline(always)]
    pub(crate) unsafe fn all_scores<S: Lanes>(&mut self) {
        let row = self.blocks.len() * BLOCK;
        let q = Rows::new(self.q, self.head_dim, self.queries);
        let out = RowsMut::new(self.scores, row, self.queries);
        // SAFETY: shapes were checked by the caller.
        unsafe { grid::scores::<S, _>(q, self.head_dim, self.scale, (self.blocks, self.keys), out) }
    }

    /// Turns the scores of a query into `e^(s − max)` (0 for lanes past the last token) and returns their sum.
    #[inline(always)]
    pub(crate) unsafe fn softmax<S: Lanes>(&mut self, query: usize) -> f32 {
        let row = self.blocks.len() * BLOCK;
        let scores = &mut self.scores[query * row..(query + 1) * row];
        // SAFETY: a row is whole vectors.
        unsafe { grid::softmax::<S>(scores, self.tokens) }
    }

    /// The weighted sums of the values of `G` queries, up to four vectors at a time.
    #[inline(always)]
    pub(crate) unsafe fn values<S: Lanes, const G: usize>(
        &mut self,
        query: usize,
        totals: [f32; G],
    ) {
        let mut column = 0;
        while column < self.padded {
            let vectors = ((self.padded - column) / LANES).min(4);
            // SAFETY: `vectors` whole vectors follow `column` in a value row.
            unsafe {
                match vectors {
                    4 => self.value_tile::<S, G, 4>(query, column, totals),
                    3 => self.value_tile::<S, G, 3>(query, column, totals),
                    2 => self.value_tile::<S, G, 2>(query, column, totals),
                    _ => self.value_tile::<S, G, 1>(query, column, totals),
                }
            }
            column += vectors * LANES;
        }
    }

    #[inline(always)]
    unsafe fn value_tile<S: Lanes, const G: usize, const N: usize>(
        &mut self,
        query: usize,
        column: usize,
        totals: [f32; G],
    ) {
        let row = self.blocks.len() * BLOCK;
        // SAFETY: every block has sixteen value rows of `padded` values; scores past the last token are 0 and the
        // values there finite (zero, or of later tokens), so that they add nothing.
        unsafe {
            let mut even = [[S::splat(0.0); N]; G];
            let mut odd = [[S::splat(0.0); N]; G];
            let scores = self.scores.as_ptr().add(query * row);
            for i in 0..self.blocks.len() {
                let mut v = self.blocks.block(i).add(self.values + column);
                let p = scores.add(i * BLOCK);
                // A bound the compiler does not know: it would unroll the whole block and spill its loads.
                for t in (0..(self.tokens - i * BLOCK).min(BLOCK)).step_by(2) {
                    add_token::<S, G, N>(&mut even, v, p.add(t), row);
                    v = v.wrapping_add(self.padded);
                    add_token::<S, G, N>(&mut odd, v, p.add(t + 1), row);
                    v = v.wrapping_add(self.padded);
                }
            }
            for g in 0..G {
                let factor = S::splat(1.0 / totals[g]);
                let out = self
                    .out
                    .as_mut_ptr()
                    .add((query + g) * self.head_dim + column);
                for n in 0..N {
                    let y = even[g][n].add(odd[g][n]).mul(factor);
                    let left = self.head_dim - column - n * LANES;
                    if left >= LANES {
                        y.store(out.add(n * LANES));
                    } else {
                        y.store_part(out.add(n * LANES), left);
                    }
                }
            }
        }
    }
}

/// `sums[g] += p[g]·v` for the value row at `v` and the weights at `p`, `p + row`, …
#[inline(always)]
unsafe fn add_token<S: Lanes, const G: usize, const N: usize>(
    sums: &mut [[S; N]; G],
    v: *const f32,
    p: *const f32,
    row: usize,
) {
    // SAFETY: the caller has `N` vectors at `v` and `G` rows of weights at `p`.
    unsafe {
        let mut values = [S::splat(0.0); N];
        for (n, value) in values.iter_mut().enumerate() {
            *value = S::load(v.add(n * LANES));
        }
        for (g, sums) in sums.iter_mut().enumerate() {
            let weight = S::splat(*p.add(g * row));
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = weight.fma(values[n], *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::KvShape;
    use crate::testing::{close, values};

    #[test]
    fn attention_is_its_definition_on_every_instruction_set() {
        for (head_dim, queries, tokens) in [
            (8, 2, 1),
            (12, 1, 5),
            (16, 3, 16),
            (32, 2, 100),
            (64, 5, 33),
            (80, 4, 70),
            (128, 8, 49),
        ] {
            let shape = KvShape {
                layers: 2,
                heads: 2,
                head_dim,
            };
            let mut cache = KvCache::new(shape);
            cache.grow(tokens + 3);
            let keys: Vec<Vec<f32>> = (0..tokens + 3)
                .map(|t| values(2 * head_dim, t as u64))
                .collect();
            let vals: Vec<Vec<f32>> = (0..tokens + 3)
                .map(|t| values(2 * head_dim, 1000 + t as u64))
                .collect();
            for t in 0..tokens + 3 {
                cache.write(1, t, &keys[t], &vals[t]);
            }
            let q = values(queries * head_dim, 7);
            let mut expected = Vec::new();
            for q in q.chunks(head_dim) {
                let dot = |t: usize| -> f64 {
                    q.iter()
                        .zip(&keys[t][head_dim..])
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum()
                };
                let scores: Vec<f64> = (0..tokens).map(|t| (dot(t) * 0.3).exp()).collect();
                let total: f64 = scores.iter().sum();
                expected.extend((0..head_dim).map(|d| {
                    scores
                        .iter()
                        .zip(&vals)
                        .map(|(s, v)| s / total * f64::from(v[head_dim + d]))
                        .sum::<f64>()
                }));
            }
            let mut first = None;
            for isa in Isa::all() {
                let mut out = vec![f32::NAN; q.len()];
                attend_isa(&cache, 1, 1, tokens, &q, 0.3, &mut out, isa);
                close(&out, &expected, 2e-6);
                let bits: Vec<u32> = out.iter().map(|x| x.to_bits()).collect();
                assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "{isa:?}");
                // One query at a time gives the same bits.
                for (q, together) in q.chunks(head_dim).zip(out.chunks(head_dim)) {
                    let mut alone = vec![0.0; head_dim];
                    attend_isa(&cache, 1, 1, tokens, q, 0.3, &mut alone, isa);
                    assert_eq!(alone, together);
                }
            }
        }
    }
}
