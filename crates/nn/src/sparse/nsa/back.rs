//! The backward pass of attention to runs of rows, for one key/value head of one span.
//!
//! Scores and `dP = do·vᵀ` again, `dS = scale·P∘(dP − Σ P∘dP)`, `dq = dS·k`, `dk = dSᵀ·q`,
//! `dv = Pᵀ·do`.

use std::ops::Range;
use std::sync::Arc;

use super::runs::{Place, hide};
use crate::host::KvCache;
use crate::host::attention::Attention;
use crate::host::kv::{BLOCK, Block};
use crate::host::simd::{Isa, Kernel, LANES, Lanes, dispatch};

/// What the queries of a span have sent back so far.
pub(super) struct Back<'a> {
    keys: &'a KvCache,
    /// Values in the place of keys, and keys in that of values.
    values: &'a KvCache,
    head: usize,
    scale: f32,
    /// `[rows, padded]` of keys and of values.
    sums: [Vec<f32>; 2],
    scores: Vec<f32>,
    slopes: Vec<f32>,
}

impl<'a> Back<'a> {
    pub(super) fn new([keys, values]: [&'a KvCache; 2], head: usize, scale: f32) -> Self {
        let rows = keys.blocks().len() * BLOCK;
        let sum = vec![0.0; rows * keys.shape().padded()];
        Self {
            keys,
            values,
            head,
            scale,
            sums: [sum.clone(), sum],
            scores: Vec::new(),
            slopes: Vec::new(),
        }
    }

    /// Adds what queries `q` `[queries, head_dim]` with the gradient `grad` of their results send to
    /// the rows `seen`, and sets their own gradient.
    pub(super) fn query(&mut self, seen: Range<usize>, [q, grad]: [&[f32]; 2], dq: &mut [f32]) {
        if seen.is_empty() {
            return dq.fill(0.0);
        }
        let shape = self.keys.shape();
        let queries = q.len() / shape.head_dim;
        let (keys, values) = shape.offsets(0, self.head);
        let place = Place::new(self.keys, &seen);
        let needed = queries * place.width();
        self.scores.resize(needed, 0.0);
        self.slopes.resize(needed, 0.0);
        let make = |blocks| Attention {
            blocks,
            keys,
            values,
            head_dim: shape.head_dim,
            padded: shape.padded(),
            tokens: place.rows,
            q,
            queries,
            scale: self.scale,
            scores: &mut [],
            out: &mut [],
        };
        let first = place.first * shape.padded();
        let kernel = Step {
            scores: Attention {
                scores: &mut self.scores,
                ..make(place.blocks)
            },
            slopes: Attention {
                q: grad,
                scale: 1.0,
                scores: &mut self.slopes,
                out: dq,
                ..make(Place::new(self.values, &seen).blocks)
            },
            skip: place.skip,
            sums: self.sums.each_mut().map(|sum| &mut sum[first..]),
        };
        dispatch(Isa::detect(), kernel);
    }

    /// The gradients of a row's key and value; `None` past the last row.
    pub(super) fn row(&self, row: usize) -> Option<[&[f32]; 2]> {
        let shape = self.keys.shape();
        if row >= self.keys.len() {
            return None;
        }
        let at = row * shape.padded();
        let [keys, values] = &self.sums;
        Some([keys, values].map(|sum| &sum[at..at + shape.head_dim]))
    }
}

/// One step of it: the queries of one token.
struct Step<'a> {
    scores: Attention<'a, &'a [Arc<Block>]>,
    /// With the gradient in the place of queries.
    slopes: Attention<'a, &'a [Arc<Block>]>,
    skip: usize,
    sums: [&'a mut [f32]; 2],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        let width = self.scores.blocks.len() * BLOCK;
        // SAFETY: both have rows of whole vectors for every query.
        unsafe {
            self.scores.all_scores::<S>();
            self.slopes.all_scores::<S>();
            for query in 0..self.scores.queries {
                hide(&mut self.scores, query, self.skip);
                let total = self.scores.softmax::<S>(query);
                let p = self.scores.scores.as_mut_ptr().add(query * width);
                let ds = self.slopes.scores.as_mut_ptr().add(query * width);
                let (share, mut delta) = (S::splat(1.0 / total), S::splat(0.0));
                for at in (0..width).step_by(LANES) {
                    let prob = S::load(p.add(at)).mul(share);
                    prob.store(p.add(at));
                    delta = prob.fma(S::load(ds.add(at)), delta);
                }
                let delta = S::splat(delta.sum());
                let scale = S::splat(self.scores.scale);
                for at in (0..width).step_by(LANES) {
                    let slope = S::load(ds.add(at)).sub(delta).mul(scale);
                    S::load(p.add(at)).mul(slope).store(ds.add(at));
                }
                self.slopes.values::<S, 1>(query, [1.0]);
            }
            let weights = [&*self.slopes.scores, &*self.scores.scores];
            let sources = [self.scores.q, self.slopes.q];
            for ((sum, weights), source) in self.sums.into_iter().zip(weights).zip(sources) {
                let to_rows = ToRows {
                    weights,
                    width,
                    source,
                    dim: self.scores.head_dim,
                    padded: self.scores.padded,
                };
                to_rows.add::<S>(self.skip..self.scores.tokens, sum);
            }
        }
    }
}

/// `sum[row] += Σ_query weights[query, row]·source[query]`.
struct ToRows<'a> {
    weights: &'a [f32],
    /// From one query to the next in `weights`.
    width: usize,
    /// `[queries, dim]`
    source: &'a [f32],
    dim: usize,
    padded: usize,
}

impl ToRows<'_> {
    /// # Safety
    /// As [`Lanes`]; `sum` has these rows.
    #[inline(always)]
    unsafe fn add<S: Lanes>(&self, rows: Range<usize>, sum: &mut [f32]) {
        let queries = self.source.len() / self.dim;
        // SAFETY: rows are whole vectors; the parts of a query that are none are loaded as such.
        unsafe {
            for row in rows {
                let to = sum.as_mut_ptr().add(row * self.padded);
                for at in (0..self.dim).step_by(LANES) {
                    let mut total = S::load(to.add(at));
                    for query in 0..queries {
                        let weight = S::splat(*self.weights.as_ptr().add(query * self.width + row));
                        let from = self.source.as_ptr().add(query * self.dim + at);
                        let part = match self.dim - at {
                            left if left < LANES => S::load_part(from, left),
                            _ => S::load(from),
                        };
                        total = weight.fma(part, total);
                    }
                    total.store(to.add(at));
                }
            }
        }
    }
}
