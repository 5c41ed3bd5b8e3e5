//! Attention of each query to one run of rows: the last tokens, or the means of complete blocks.

use std::sync::Arc;

use rayon::prelude::*;

use super::attend::{attend, means};
use super::back::Back;
use super::place::Rows;
use crate::decode::KvCache;
use crate::layout::{Layout, Span};
use crate::op::{HostOp, INPUTS, Keep};
use crate::shared::Shared;
use crate::sparse::back::{BySpans, by_families, span_cache};

/// Queries of one task of the forward pass.
const QUERIES: usize = 64;

/// The differentiable operator: inputs q `[tokens, heads, dim]`, k and v `[tokens, kv_heads, dim]`.
#[derive(Debug)]
pub struct Runs {
    rows: Rows,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    scale: f32,
    layout: Arc<Layout>,
}

impl Runs {
    /// For `heads` query heads that share `kv_heads` heads of keys and values of `dim` values each; `layout` covers the
    /// tokens.
    pub fn new(
        rows: Rows,
        [heads, kv_heads, dim]: [usize; 3],
        layout: &Arc<Layout>,
        scale: f32,
    ) -> Self {
        Self {
            rows,
            tokens: layout.len(),
            heads,
            kv_heads,
            dim,
            scale,
            layout: Arc::clone(layout),
        }
    }

    /// Values of the queries that share a key/value head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads * self.dim
    }

    fn forward_span(&self, span: &Span, [q, k, v]: [&[f32]; INPUTS], out: &mut [f32]) {
        let cache = self.cache(span, k, v);
        let (width, group) = (self.heads * self.dim, self.group());
        let tiles = out.par_chunks_mut(QUERIES * width).enumerate();
        tiles.for_each(|(tile, out)| {
            for head in 0..self.kv_heads {
                for (i, out) in out.chunks_exact_mut(width).enumerate() {
                    let place = tile * QUERIES + i;
                    let q = &q[(span.start + place) * width + head * group..][..group];
                    let out = &mut out[head * group..][..group];
                    let seen = self.rows.seen(span.prefix_len + place + 1);
                    attend(&cache, (0, head), seen, q, self.scale, out);
                }
            }
        });
    }
}

impl BySpans for Runs {
    fn cache(&self, span: &Span, k: &[f32], v: &[f32]) -> KvCache {
        let tokens = span_cache(span, [self.kv_heads, self.dim], k, v);
        match self.rows {
            Rows::Window(_) => tokens,
            Rows::Means(block) => means(&tokens, block),
        }
    }

    unsafe fn backward_span(
        &self,
        span: &Span,
        head: usize,
        caches: [&KvCache; 2],
        [q, grad]: [&[f32]; 2],
        [dq, dk, dv]: [Shared<'_, f32>; 3],
    ) {
        let (width, group, dim) = (self.heads * self.dim, self.group(), self.dim);
        let mut back = Back::new(caches, head, self.scale);
        for place in 0..span.len {
            let at = (span.start + place) * width + head * group;
            // SAFETY: `by_families` runs a family in one task for each head, and `q`'s rows of a head are its own.
            let dq = unsafe { dq.rows(at, group) };
            let seen = self.rows.seen(span.prefix_len + place + 1);
            back.query(seen, [&q[at..at + group], &grad[at..at + group]], dq);
        }
        let (each, share) = match self.rows {
            Rows::Window(_) => (1, 1.0),
            Rows::Means(block) => (block, 1.0 / block as f32),
        };
        for (place, token) in span.text().enumerate() {
            let Some(rows) = back.row(place / each) else {
                break;
            };
            for (to, row) in [dk, dv].into_iter().zip(rows) {
                // SAFETY: as above: a token of the family, and this head of it.
                let to = unsafe { to.rows((token * self.kv_heads + head) * dim, dim) };
                for (to, row) in to.iter_mut().zip(row) {
                    *to += share * row;
                }
            }
        }
    }
}

impl HostOp for Runs {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, inputs: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut output = vec![0.0; inputs[0].len()];
        let mut rest = output.as_mut_slice();
        let mut tasks = Vec::new();
        for span in self.layout.spans() {
            let (own, after) = rest.split_at_mut(span.len * self.heads * self.dim);
            tasks.push((span, own));
            rest = after;
        }
        let tasks = tasks.into_par_iter();
        tasks.for_each(|(span, out)| self.forward_span(span, inputs, out));
        output
    }

    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        by_families(self, &self.layout, self.kv_heads, inputs, grad)
    }
}
