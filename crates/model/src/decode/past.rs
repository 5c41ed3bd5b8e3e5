//! The past of one sequence: keys and values, and the block keys where attention chooses blocks.

use percept_nn::host::{KvCache, KvCounter, KvShape, attend};
use percept_nn::sparse::{Pattern, SparseCache};

/// Keys and values of the tokens so far. Clones share the memory and continue independently.
#[derive(Clone, Debug)]
pub struct Past {
    cache: KvCache,
    sparse: Option<SparseCache>,
}

impl Past {
    pub(super) fn new(shape: KvShape, pattern: Option<Pattern>, counter: &KvCounter) -> Self {
        Self {
            cache: KvCache::counted(shape, counter),
            sparse: pattern.map(|pattern| SparseCache::new(pattern, shape)),
        }
    }

    /// Memory of one more token, block keys on average.
    pub(super) fn token_bytes(shape: KvShape, pattern: Option<Pattern>) -> usize {
        let keys = pattern.map_or(0, |pattern| SparseCache::token_bytes(&pattern, shape));
        shape.token_bytes() + keys
    }

    /// How many tokens.
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// Memory of all blocks that are seen, shared ones included.
    pub fn bytes(&self) -> usize {
        self.cache.bytes() + self.sparse.as_ref().map_or(0, SparseCache::bytes)
    }

    /// The first `tokens` tokens; the memory is shared.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn cut(&self, tokens: usize) -> Self {
        Self {
            cache: self.cache.cut(tokens),
            sparse: self.sparse.as_ref().map(|sparse| sparse.cut(tokens)),
        }
    }

    pub(super) fn next_takes_block(&self) -> bool {
        self.cache.next_takes_block()
    }

    pub(super) fn own_bytes(&self) -> usize {
        self.cache.own_bytes()
    }

    pub(super) fn reserve(&mut self, tokens: usize) {
        self.cache.reserve(tokens);
    }

    /// Makes room for one more token for each of `marks`: whether it is punctuation.
    pub(super) fn grow(&mut self, marks: &[bool]) {
        self.cache.grow(marks.len());
        if let Some(sparse) = &mut self.sparse {
            sparse.grow(marks);
        }
    }

    /// Keys and values `[new, 2 · heads · head_dim]` of the last tokens, in rows of `stride` of
    /// which the first `skip` are something else.
    pub(super) fn write(&mut self, layer: usize, rows: &[f32], stride: usize, skip: usize) {
        let new = rows.len() / stride;
        let first = self.cache.len() - new;
        for (token, row) in rows.chunks_exact(stride).enumerate() {
            let row = &row[skip..];
            let (keys, values) = row.split_at(row.len() / 2);
            self.cache.write(layer, first + token, keys, values);
        }
        if let Some(sparse) = &mut self.sparse {
            sparse.update(&self.cache, layer, new);
        }
    }

    /// Attention of the queries of one key-value head to the first `tokens` tokens.
    pub(super) fn attend(
        &self,
        (layer, head): (usize, usize),
        tokens: usize,
        q: &[f32],
        scale: f32,
        out: &mut [f32],
    ) {
        match &self.sparse {
            None => attend(&self.cache, layer, head, tokens, q, scale, out),
            Some(sparse) => sparse.attend(&self.cache, layer, head, tokens, q, scale, out),
        }
    }

    /// As [`Past::attend`] for neighbouring tokens, the first of which sees `seen` tokens: `q` and `out`
    /// `[tokens, width]`.
    pub(super) fn attend_rows(
        &self,
        (layer, head): (usize, usize),
        seen: usize,
        width: usize,
        q: &[f32],
        scale: f32,
        out: &mut [f32],
    ) {
        if let Some(sparse) = &self.sparse {
            return sparse.attend_rows(&self.cache, (layer, head), seen, width, q, scale, out);
        }
        let rows = q.chunks_exact(width).zip(out.chunks_exact_mut(width));
        for (token, (q, out)) in rows.enumerate() {
            attend(&self.cache, layer, head, seen + token, q, scale, out);
        }
    }
}
