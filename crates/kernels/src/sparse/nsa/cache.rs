//! What the sampler keeps beside a cache of keys and values.

use std::cell::RefCell;

use super::attend::{add_means, attend};
use super::config::Branches;
use super::gate::{GATES, add_gated};
use super::place::Rows;
use crate::decode::{KvCache, KvShape};
use crate::sparse::SparseCache;

thread_local! {
    static PART: RefCell<Vec<f32>> = RefCell::default();
}

/// The means of a [`KvCache`]'s complete blocks, made as soon as their last token is written.
/// Cloning shares the memory.
#[derive(Clone, Debug)]
pub struct NsaCache {
    branches: Branches,
    selected: SparseCache,
    means: KvCache,
    tokens: usize,
}

impl NsaCache {
    /// An empty one for caches of this shape.
    pub fn new(branches: Branches, shape: KvShape) -> Self {
        Self {
            branches,
            selected: SparseCache::new(branches.selected, shape),
            means: KvCache::new(shape),
            tokens: 0,
        }
    }

    /// What the branches see.
    pub fn branches(&self) -> &Branches {
        &self.branches
    }

    /// Memory of all means this cache sees, shared ones included.
    pub fn bytes(&self) -> usize {
        self.selected.bytes() + self.means.bytes()
    }

    /// Memory of what is kept beside one token, in bytes, on average.
    pub fn token_bytes(branches: &Branches, shape: KvShape) -> usize {
        let means = shape.token_bytes().div_ceil(branches.selected.block);
        SparseCache::token_bytes(&branches.selected, shape) + means
    }

    /// The first `tokens` tokens; the memory is shared.
    ///
    /// # Panics
    /// When fewer are held.
    pub fn cut(&self, tokens: usize) -> Self {
        Self {
            branches: self.branches,
            selected: self.selected.cut(tokens),
            means: self.means.cut(tokens / self.branches.selected.block),
            tokens,
        }
    }

    /// Makes room for `tokens` more tokens.
    pub fn grow(&mut self, tokens: usize) {
        self.selected.grow(&vec![false; tokens]);
        self.tokens += tokens;
        let blocks = self.tokens / self.branches.selected.block;
        self.means.grow(blocks - self.means.len());
    }

    /// Makes the means of `layer` that the last `new` tokens complete; `cache` holds those tokens.
    ///
    /// # Panics
    /// When `cache` holds fewer tokens than were [grown](Self::grow).
    pub fn update(&mut self, cache: &KvCache, layer: usize, new: usize) {
        self.selected.update(cache, layer, new);
        let block = self.branches.selected.block;
        let which = (self.tokens - new) / block..self.tokens / block;
        add_means(&mut self.means, cache, layer, block, which);
    }

    /// Attention of the queries `q` `[queries, head_dim]` of one key/value head with gates of these
    /// logits `[queries, 3]` to the first `tokens` tokens of `cache`.
    ///
    /// # Panics
    /// When `tokens` is 0 or more than the caches hold, or `q`, `gates` and `out` are not of the
    /// same heads.
    pub fn attend(
        &self,
        cache: &KvCache,
        (layer, head): (usize, usize),
        tokens: usize,
        [q, gates]: [&[f32]; 2],
        scale: f32,
        out: &mut [f32],
    ) {
        let dim = cache.shape().head_dim;
        assert_eq!(gates.len() * dim, GATES * q.len(), "gates of the queries");
        assert_eq!(q.len(), out.len(), "queries and results");
        let Branches { selected, window } = self.branches;
        let mut part = PART.take();
        part.resize(q.len(), 0.0);
        out.fill(0.0);
        let means = Rows::Means(selected.block).seen(tokens);
        attend(&self.means, (layer, head), means, q, scale, &mut part);
        add_gated(out, &part, gates, 0, dim);
        self.selected
            .attend(cache, layer, head, tokens, q, scale, &mut part);
        add_gated(out, &part, gates, 1, dim);
        let last = Rows::Window(window).seen(tokens);
        attend(cache, (layer, head), last, q, scale, &mut part);
        add_gated(out, &part, gates, 2, dim);
        PART.set(part);
    }
}
