//! What the backward passes of sparse attention share.
//!
//! Scores and `dP = do·vᵀ` again, `dS = scale·P∘(dP − Σ P∘dP)`, `dq = dS·k`, `dk = dSᵀ·q`,
//! `dv = Pᵀ·do`. Tasks are cut by family of spans and key/value head, so no two write to one row and every sum has one
//! order, whatever the number of threads.

use rayon::prelude::*;

use crate::decode::attention::Attention;
use crate::decode::blocks::Blocks;
use crate::decode::kv::BLOCK;
use crate::decode::{KvCache, KvShape};
use crate::layout::{Layout, Span};
use crate::op::INPUTS;
use crate::shared::Shared;
use crate::simd::{LANES, Lanes};

/// The keys and values `[tokens, heads, head_dim]` that a span sees, its prefix first, in a cache of one layer.
pub(super) fn span_cache(
    span: &Span,
    [heads, head_dim]: [usize; 2],
    k: &[f32],
    v: &[f32],
) -> KvCache {
    let mut cache = KvCache::new(KvShape {
        layers: 1,
        heads,
        head_dim,
    });
    cache.grow(span.prefix_len + span.len);
    let width = heads * head_dim;
    for (place, token) in span.text().enumerate() {
        let row = token * width..(token + 1) * width;
        cache.write(0, place, &k[row.clone()], &v[row]);
    }
    cache
}

/// An operator whose backward pass goes span by span.
pub(super) trait BySpans: Sync {
    /// The rows of two arrays `[tokens, kv_heads, dim]` that a span sees some of, or their means: of its prefix, then its
    /// own.
    fn cache(&self, span: &Span, k: &[f32], v: &[f32]) -> KvCache;

    /// Sets the span's rows of dq and adds to those of dk and dv, all in one key/value head. `caches`: keys and values,
    /// and values in the place of keys.
    ///
    /// # Safety
    /// The rows of the span's family in key/value head `head` belong to this task.
    unsafe fn backward_span(
        &self,
        span: &Span,
        head: usize,
        caches: [&KvCache; 2],
        q_and_grad: [&[f32]; 2],
        to: [Shared<'_, f32>; INPUTS],
    );
}

/// Gradients of q, k and v of an operator with `kv_heads` heads of keys and values.
pub(super) fn by_families(
    op: &impl BySpans,
    layout: &Layout,
    kv_heads: usize,
    [q, k, v]: [&[f32]; INPUTS],
    grad: &[f32],
) -> [Vec<f32>; INPUTS] {
    let mut gradients = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
    let to = gradients.each_mut().map(|g| Shared::new(g));
    layout.families().par_iter().for_each(|family| {
        for &index in family {
            let span = &layout.spans()[index as usize];
            // Values in the place of keys, and keys in that of values.
            let caches = [&op.cache(span, k, v), &op.cache(span, v, k)];
            let heads = (0..kv_heads).into_par_iter();
            heads.for_each(|head| {
                // SAFETY: spans of a family follow each other, heads have their own columns.
                unsafe { op.backward_span(span, head, caches, [q, grad], to) }
            });
        }
    });
    gradients
}

/// One step backward of queries that see the same blocks.
pub(super) struct Step<'a, L> {
    /// On keys, with the queries.
    pub scores: Attention<'a, L>,
    /// On a cache with values in the place of keys, with the gradient in the place of queries.
    pub slopes: Attention<'a, L>,
}

impl<L: Blocks> Step<'_, L> {
    /// The scores and `dP` of all queries.
    ///
    /// # Safety
    /// Both have rows of whole vectors for every query; the processor has the instructions.
    #[inline(always)]
    pub(super) unsafe fn products<S: Lanes>(&mut self) {
        // SAFETY: both are made by `backward_span` or `nsa::Back::query`, which size the scores in whole blocks.
        unsafe {
            self.scores.all_scores::<S>();
            self.slopes.all_scores::<S>();
        }
    }

    /// Turns the scores of a query into `P`, its `dP` into `dS`, and sets its gradient.
    ///
    /// # Safety
    /// As [`Step::products`].
    #[inline(always)]
    pub(super) unsafe fn query<S: Lanes>(&mut self, query: usize) {
        let row = self.scores.blocks.len() * BLOCK;
        // SAFETY: `query` is below `queries`, and the rows are those of `products`.
        unsafe {
            let total = self.scores.softmax::<S>(query);
            let p = self.scores.scores.as_mut_ptr().add(query * row);
            let ds = self.slopes.scores.as_mut_ptr().add(query * row);
            let (share, mut delta) = (S::splat(1.0 / total), S::splat(0.0));
            for at in (0..row).step_by(LANES) {
                let prob = S::load(p.add(at)).mul(share);
                prob.store(p.add(at));
                delta = prob.fma(S::load(ds.add(at)), delta);
            }
            let delta = S::splat(delta.sum());
            let scale = S::splat(self.scores.scale);
            for at in (0..row).step_by(LANES) {
                let slope = S::load(ds.add(at)).sub(delta).mul(scale);
                S::load(p.add(at)).mul(slope).store(ds.add(at));
            }
            self.slopes.values::<S, 1>(query, [1.0]);
        }
    }

    /// Adds `dSᵀ·q` and `Pᵀ·do` of the key and value in a column of the scores to their gradients.
    ///
    /// # Safety
    /// As [`Step::products`], after [`Step::query`] of all; `to` have a head's values, which nobody else uses.
    #[inline(always)]
    pub(super) unsafe fn add_to_row<S: Lanes>(&self, column: usize, to: [*mut f32; 2]) {
        let row = self.scores.blocks.len() * BLOCK;
        let (dim, queries) = (self.scores.head_dim, self.scores.queries);
        let weights = [&*self.slopes.scores, &*self.scores.scores];
        let sources = [self.scores.q, self.slopes.q];
        // SAFETY: `column` is below the row's length, sources have a head for each query, `to` a head's values as
        // the two callers check before their loops.
        unsafe {
            for (to, (weights, source)) in to.into_iter().zip(weights.into_iter().zip(sources)) {
                for at in (0..dim).step_by(LANES) {
                    let n = LANES.min(dim - at);
                    let mut sum = load::<S>(to.add(at), n);
                    for query in 0..queries {
                        let weight = S::splat(*weights.as_ptr().add(query * row + column));
                        let part = load::<S>(source.as_ptr().add(query * dim + at), n);
                        sum = weight.fma(part, sum);
                    }
                    match n {
                        LANES => sum.store(to.add(at)),
                        _ => sum.store_part(to.add(at), n),
                    }
                }
            }
        }
    }
}

/// The first `n` lanes.
#[inline(always)]
unsafe fn load<S: Lanes>(p: *const f32, n: usize) -> S {
    // SAFETY: the caller has as many values.
    unsafe {
        match n {
            LANES => S::load(p),
            _ => S::load_part(p, n),
        }
    }
}
