//! Attention of each query to one run of rows: the last tokens, or the means of complete blocks.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::back::Back;
use crate::host::KvCache;
use crate::host::attention::{Attention, Blocks};
use crate::host::kv::{BLOCK, Block};
use crate::host::simd::{Isa, Kernel, Lanes, dispatch};
use crate::host_op::{HostOp, INPUTS, Keep};
use crate::sparse::back::{Shared, by_families, span_cache};
use crate::{Layout, Span};

/// Queries of one task of the forward pass.
const QUERIES: usize = 64;

thread_local! {
    static SCORES: RefCell<Vec<f32>> = RefCell::default();
}

/// The rows of a branch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    /// This many last tokens.
    Window(usize),
    /// Means of the complete blocks of this many tokens.
    Means(usize),
}

impl Rows {
    /// Rows that a query sees when it sees `tokens` tokens; none while no block is complete.
    pub(super) fn seen(self, tokens: usize) -> Range<usize> {
        match self {
            Self::Window(len) => tokens.saturating_sub(len)..tokens,
            Self::Means(block) => 0..tokens / block,
        }
    }
}

/// Where the rows that are seen lie in a cache.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub blocks: &'a [Arc<Block>],
    /// Row of the cache that is the first of `blocks`.
    pub first: usize,
    /// Rows of the first block that are not seen.
    pub skip: usize,
    /// Rows up to the last that is seen, skipped ones included.
    pub rows: usize,
}

impl<'a> Place<'a> {
    pub(super) fn new(cache: &'a KvCache, seen: &Range<usize>) -> Self {
        let (first, end) = (seen.start / BLOCK, seen.end.div_ceil(BLOCK));
        Self {
            blocks: &cache.blocks()[first..end],
            first: first * BLOCK,
            skip: seen.start % BLOCK,
            rows: seen.end - first * BLOCK,
        }
    }

    /// Scores of one query.
    pub(super) fn width(&self) -> usize {
        self.blocks.len() * BLOCK
    }
}

/// `out [queries, head_dim] = softmax(scale · q·Kᵀ)·V` over the rows `seen` of one key/value head;
/// zeros where there are none.
///
/// # Panics
/// When the cache has not these rows, or `q` and `out` are not the same whole heads.
pub(super) fn attend(
    cache: &KvCache,
    (layer, head): (usize, usize),
    seen: Range<usize>,
    q: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    assert!(seen.end <= cache.len(), "rows {seen:?} of {}", cache.len());
    let shape = cache.shape();
    let queries = q.len() / shape.head_dim;
    assert_eq!(
        (q.len(), out.len()),
        (queries * shape.head_dim, queries * shape.head_dim),
        "whole heads of {}",
        shape.head_dim
    );
    if seen.is_empty() {
        return out.fill(0.0);
    }
    let place = Place::new(cache, &seen);
    let (keys, values) = shape.offsets(layer, head);
    SCORES.with_borrow_mut(|scores| {
        let needed = queries * place.width();
        if scores.len() < needed {
            scores.resize(needed.next_power_of_two(), 0.0);
        }
        let attention = Attention {
            blocks: place.blocks,
            keys,
            values,
            head_dim: shape.head_dim,
            padded: shape.padded(),
            tokens: place.rows,
            q,
            queries,
            scale,
            scores: &mut scores[..needed],
            out,
        };
        let skip = place.skip;
        dispatch(Isa::detect(), Forward { attention, skip });
    });
}

struct Forward<'a> {
    attention: Attention<'a, &'a [Arc<Block>]>,
    skip: usize,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        let attention = &mut self.attention;
        // SAFETY: `attend` checked the shapes.
        unsafe {
            attention.all_scores::<S>();
            let mut query = 0;
            while query < attention.queries {
                hide(attention, query, self.skip);
                let total = attention.softmax::<S>(query);
                if query + 1 < attention.queries {
                    hide(attention, query + 1, self.skip);
                    let next = attention.softmax::<S>(query + 1);
                    attention.values::<S, 2>(query, [total, next]);
                    query += 2;
                } else {
                    attention.values::<S, 1>(query, [total]);
                    query += 1;
                }
            }
        }
    }
}

/// Takes the first `skip` rows from the sight of a query.
#[inline(always)]
pub(super) fn hide<L: Blocks>(attention: &mut Attention<'_, L>, query: usize, skip: usize) {
    let row = attention.blocks.len() * BLOCK;
    attention.scores[query * row..][..skip].fill(f32::NEG_INFINITY);
}

/// A cache of the means of the complete blocks of `block` tokens of another one, which has one
/// layer.
fn means(tokens: &KvCache, block: usize) -> KvCache {
    let shape = tokens.shape();
    let mut means = KvCache::new(shape);
    means.grow(tokens.len() / block);
    add_means(&mut means, tokens, 0, block, 0..tokens.len() / block);
    means
}

/// Writes the means of the blocks `which` of `layer`. Sums run over the tokens in order.
pub(super) fn add_means(
    means: &mut KvCache,
    tokens: &KvCache,
    layer: usize,
    block: usize,
    which: Range<usize>,
) {
    let shape = tokens.shape();
    let width = shape.heads * shape.head_dim;
    let (mut keys, mut values) = (vec![0.0; width], vec![0.0; width]);
    let share = 1.0 / block as f32;
    for index in which {
        keys.fill(0.0);
        values.fill(0.0);
        for token in index * block..(index + 1) * block {
            tokens.add_to(layer, token, [&mut keys, &mut values]);
        }
        let sums = keys.iter_mut().chain(&mut values);
        sums.for_each(|sum| *sum *= share);
        means.write(layer, index, &keys, &values);
    }
}

/// The differentiable operator: inputs q `[tokens, heads, dim]`, k and v `[tokens, kv_heads, dim]`.
#[derive(Debug)]
pub(super) struct Runs {
    pub rows: Rows,
    pub tokens: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub scale: f32,
    pub layout: Arc<Layout>,
}

impl Runs {
    /// Values of the queries that share a key/value head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads * self.dim
    }

    /// The rows that a span sees some of: of its prefix, then its own.
    fn cache(&self, span: &Span, k: &[f32], v: &[f32]) -> KvCache {
        let tokens = span_cache(span, [self.kv_heads, self.dim], k, v);
        match self.rows {
            Rows::Window(_) => tokens,
            Rows::Means(block) => means(&tokens, block),
        }
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

    /// # Safety
    /// The rows of the family's tokens in key/value head `head` belong to this task.
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
        let cache = |span: &Span, k: &[f32], v: &[f32]| self.cache(span, k, v);
        by_families(
            &self.layout,
            self.kv_heads,
            inputs,
            cache,
            |span, head, caches, to| {
                // SAFETY: spans of a family follow each other, heads have their own columns.
                unsafe { self.backward_span(span, head, caches, [inputs[0], grad], to) }
            },
        )
    }
}
