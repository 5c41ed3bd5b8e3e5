//! The past of one sequence: keys and values, and the block keys where attention chooses blocks.

use percept_kernels::decode::{KvCache, KvCounter, KvShape, attend};
use percept_kernels::sparse::{NsaCache, SparseCache};

use crate::Attention;

/// Keys and values of the tokens so far. Clones share the memory and continue independently.
#[derive(Clone, Debug)]
pub struct Past {
    cache: KvCache,
    sparse: SparseState,
}

/// What attention keeps beside keys and values.
#[derive(Clone, Debug)]
enum SparseState {
    Full,
    Blocks(SparseCache),
    Nsa(NsaCache),
}

impl Past {
    pub(super) fn new(shape: KvShape, attention: &Attention, counter: &KvCounter) -> Self {
        Self {
            cache: KvCache::counted(shape, counter),
            sparse: match (attention.branches(), attention.pattern()) {
                (Some(branches), _) => SparseState::Nsa(NsaCache::new(branches, shape)),
                (None, Some(pattern)) => SparseState::Blocks(SparseCache::new(pattern, shape)),
                (None, None) => SparseState::Full,
            },
        }
    }

    /// Memory of one more token, block keys on average.
    pub(super) fn token_bytes(shape: KvShape, attention: &Attention) -> usize {
        let beside = match (attention.branches(), attention.pattern()) {
            (Some(branches), _) => NsaCache::token_bytes(&branches, shape),
            (None, Some(pattern)) => SparseCache::token_bytes(&pattern, shape),
            (None, None) => 0,
        };
        shape.token_bytes() + beside
    }

    /// How many tokens.
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// Memory of all blocks that are seen, shared ones included.
    pub fn bytes(&self) -> usize {
        let beside = match &self.sparse {
            SparseState::Full => 0,
            SparseState::Blocks(blocks) => blocks.bytes(),
            SparseState::Nsa(nsa) => nsa.bytes(),
        };
        self.cache.bytes() + beside
    }

    /// The first `tokens` tokens; the memory is shared.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn cut(&self, tokens: usize) -> Self {
        Self {
            cache: self.cache.cut(tokens),
            sparse: match &self.sparse {
                SparseState::Full => SparseState::Full,
                SparseState::Blocks(blocks) => SparseState::Blocks(blocks.cut(tokens)),
                SparseState::Nsa(nsa) => SparseState::Nsa(nsa.cut(tokens)),
            },
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
        match &mut self.sparse {
            SparseState::Full => {}
            SparseState::Blocks(blocks) => blocks.grow(marks),
            SparseState::Nsa(nsa) => nsa.grow(marks.len()),
        }
    }

    /// Keys and values `[new, 2 · heads · head_dim]` of the last tokens, in rows of `stride` of
    /// which the first `skip`, and what follows, are something else.
    pub(super) fn write(&mut self, layer: usize, rows: &[f32], stride: usize, skip: usize) {
        let new = rows.len() / stride;
        let first = self.cache.len() - new;
        let shape = self.cache.shape();
        let width = shape.heads * shape.head_dim;
        for (token, row) in rows.chunks_exact(stride).enumerate() {
            let (keys, values) = row[skip..][..2 * width].split_at(width);
            self.cache.write(layer, first + token, keys, values);
        }
        match &mut self.sparse {
            SparseState::Full => {}
            SparseState::Blocks(blocks) => blocks.update(&self.cache, layer, new),
            SparseState::Nsa(nsa) => nsa.update(&self.cache, layer, new),
        }
    }

    /// Attention of the queries `q` of one key-value head, with the logits of their gates, if they
    /// have any, to the first `tokens` tokens.
    pub(super) fn attend(
        &self,
        (layer, head): (usize, usize),
        tokens: usize,
        [q, gates]: [&[f32]; 2],
        scale: f32,
        out: &mut [f32],
    ) {
        let cache = &self.cache;
        match &self.sparse {
            SparseState::Full => attend(cache, layer, head, tokens, q, scale, out),
            SparseState::Blocks(blocks) => blocks.attend(cache, layer, head, tokens, q, scale, out),
            SparseState::Nsa(nsa) => {
                nsa.attend(cache, (layer, head), tokens, [q, gates], scale, out)
            }
        }
    }

    /// As [`Past::attend`] for neighbouring tokens, the first of which sees `seen` tokens: `q` and `out`
    /// `[tokens, width]`, gates `[tokens, gates of a head]`.
    pub(super) fn attend_rows(
        &self,
        (layer, head): (usize, usize),
        seen: usize,
        width: usize,
        [q, gates]: [&[f32]; 2],
        scale: f32,
        out: &mut [f32],
    ) {
        if let SparseState::Blocks(blocks) = &self.sparse {
            return blocks.attend_rows(&self.cache, (layer, head), seen, width, q, scale, out);
        }
        let each = gates.len() / (q.len() / width);
        let rows = q.chunks_exact(width).zip(out.chunks_exact_mut(width));
        for (token, (q, out)) in rows.enumerate() {
            let gates = &gates[token * each..][..each];
            self.attend((layer, head), seen + token, [q, gates], scale, out);
        }
    }
}
