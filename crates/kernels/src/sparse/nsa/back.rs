//! The backward pass of attention to runs of rows, for one key/value head of one span; see
//! `sparse::back`.

use std::ops::Range;
use std::sync::Arc;

use super::place::{Place, hide};
use crate::decode::KvCache;
use crate::decode::attention::Attention;
use crate::decode::kv::{BLOCK, Block};
use crate::simd::{Isa, Kernel, Lanes, dispatch};
use crate::sparse::back::Step;

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
        let kernel = Query {
            step: Step {
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

/// The queries of one token.
struct Query<'a> {
    step: Step<'a, &'a [Arc<Block>]>,
    skip: usize,
    sums: [&'a mut [f32]; 2],
}

impl Kernel for Query<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        let padded = self.step.scores.padded;
        // SAFETY: both have rows of whole vectors for every query; the sums have the rows.
        unsafe {
            self.step.products::<S>();
            for query in 0..self.step.scores.queries {
                hide(&mut self.step.scores, query, self.skip);
                self.step.query::<S>(query);
            }
            for row in self.skip..self.step.scores.tokens {
                let to = self
                    .sums
                    .each_mut()
                    .map(|sum| sum[row * padded..].as_mut_ptr());
                self.step.add_to_row::<S>(row, to);
            }
        }
    }
}
