//! Block keys beside a cache of keys and values.

use std::cell::RefCell;
use std::sync::Arc;

use super::config::{Keys, Pattern};
use super::select::{Queries, Scratch, choose};
use crate::host::attention::{Attention, Chosen};
use crate::host::kv::BLOCK;
use crate::host::simd::{Isa, dispatch};
use crate::host::{KvCache, KvShape};

#[derive(Default)]
struct Memory {
    select: Scratch,
    chosen: Vec<u32>,
    pieces: Vec<u32>,
    scores: Vec<f32>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// The block keys of a [`KvCache`], made as soon as their last token is written. Cloning shares
/// the memory; adding a key copies the tile it goes into.
#[derive(Clone, Debug)]
pub struct SparseCache {
    pattern: Pattern,
    shape: KvShape,
    /// Whether each token is punctuation.
    marks: Vec<bool>,
    /// Sixteen keys each, `[layers][heads][head_dim][16]`.
    tiles: Vec<Arc<Vec<f32>>>,
}

impl SparseCache {
    /// An empty one for caches of this shape.
    pub fn new(pattern: Pattern, shape: KvShape) -> Self {
        Self {
            pattern,
            shape,
            marks: Vec::new(),
            tiles: Vec::new(),
        }
    }

    /// The pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Memory of all tiles this cache sees, shared ones included.
    pub fn bytes(&self) -> usize {
        let tile = self.offset(self.shape.layers, 0) * size_of::<f32>();
        self.tiles.len() * tile + self.marks.len()
    }

    /// Memory of the block keys of one token, in bytes, on average.
    pub fn token_bytes(pattern: &Pattern, shape: KvShape) -> usize {
        const MANY: usize = 1 << 20;
        let key = shape.layers * shape.heads * shape.head_dim * size_of::<f32>();
        (pattern.key_count(MANY) * key).div_ceil(MANY)
    }

    /// The first `tokens` tokens; the memory is shared. Tiles may hold later keys, which nobody asks for before they
    /// are written again.
    ///
    /// # Panics
    /// When fewer are held.
    pub fn cut(&self, tokens: usize) -> Self {
        let keys = self.pattern.key_count(tokens);
        Self {
            pattern: self.pattern.clone(),
            shape: self.shape,
            marks: self.marks[..tokens].to_vec(),
            tiles: self.tiles[..keys.div_ceil(BLOCK)].to_vec(),
        }
    }

    /// Makes room for one more token for each of `marks`: whether it is punctuation.
    pub fn grow(&mut self, marks: &[bool]) {
        let before = self.pattern.key_count(self.marks.len());
        self.marks.extend_from_slice(marks);
        let keys = self.pattern.key_count(self.marks.len());
        if keys == before {
            return;
        }
        if !before.is_multiple_of(BLOCK)
            && let Some(tail) = self.tiles.last_mut()
        {
            Arc::make_mut(tail);
        }
        let size = self.offset(self.shape.layers, 0);
        let tiles = keys.div_ceil(BLOCK);
        self.tiles.resize_with(tiles, || Arc::new(vec![0.0; size]));
    }

    /// Where the keys of a layer and head begin in a tile.
    fn offset(&self, layer: usize, head: usize) -> usize {
        (layer * self.shape.heads + head) * self.shape.head_dim * BLOCK
    }

    /// Makes the keys of `layer` that the last `new` tokens complete; `cache` holds those tokens.
    ///
    /// # Panics
    /// When `cache` holds fewer tokens than were [grown](Self::grow).
    pub fn update(&mut self, cache: &KvCache, layer: usize, new: usize) {
        let tokens = self.marks.len();
        assert!(cache.len() >= tokens, "{} of {tokens} tokens", cache.len());
        let dim = self.shape.head_dim;
        let mut key = vec![0.0; dim];
        let mut marked = vec![0.0; dim];
        for index in self.pattern.key_count(tokens - new)..self.pattern.key_count(tokens) {
            let (first, len) = self.pattern.key_tokens(index);
            for head in 0..self.shape.heads {
                let at = self.offset(layer, head);
                mean(
                    cache,
                    layer,
                    head,
                    (first, len),
                    &self.marks,
                    &self.pattern,
                    [&mut key, &mut marked],
                );
                let tile = Arc::get_mut(&mut self.tiles[index / BLOCK])
                    .expect("grow() made the written tiles unique");
                for (d, &value) in key.iter().enumerate() {
                    tile[at + d * BLOCK + index % BLOCK] = value;
                }
            }
        }
    }

    /// Blocks that the queries `q` `[queries, head_dim]` of one key-value head choose together when
    /// they see the first `tokens` tokens, ascending, into `chosen`.
    ///
    /// # Panics
    /// When fewer block keys are there than `tokens` tokens complete.
    pub fn choose(
        &self,
        (layer, head): (usize, usize),
        tokens: usize,
        q: &[f32],
        scale: f32,
        chosen: &mut Vec<u32>,
    ) {
        let queries = Queries {
            q,
            head_dim: self.shape.head_dim,
            scale,
            tokens,
        };
        let offset = self.offset(layer, head);
        MEMORY.with_borrow_mut(|memory| {
            choose(
                &self.pattern,
                &queries,
                &self.tiles,
                offset,
                &mut memory.select,
                chosen,
            );
        });
    }

    /// Attention of the queries `q` `[queries, head_dim]` of one key-value head to the first
    /// `tokens` tokens of `cache`, as far as they see them; as [`attend`](crate::host::attend).
    ///
    /// # Panics
    /// When `tokens` is 0 or more than the caches hold, or `q` and `out` are not the same whole
    /// heads.
    #[allow(clippy::too_many_arguments)]
    pub fn attend(
        &self,
        cache: &KvCache,
        layer: usize,
        head: usize,
        tokens: usize,
        q: &[f32],
        scale: f32,
        out: &mut [f32],
    ) {
        assert!(
            tokens > 0 && tokens <= cache.len() && tokens <= self.marks.len(),
            "{tokens} tokens of {}",
            cache.len()
        );
        let together = self.together(q.len());
        let parts = q.chunks(together).zip(out.chunks_mut(together));
        for (q, out) in parts {
            let mut chosen = MEMORY.with_borrow_mut(|memory| std::mem::take(&mut memory.chosen));
            self.choose((layer, head), tokens, q, scale, &mut chosen);
            attend_chosen(
                &self.pattern,
                cache,
                (layer, head),
                tokens,
                &chosen,
                q,
                scale,
                out,
            );
            MEMORY.with_borrow_mut(|memory| memory.chosen = chosen);
        }
    }

    /// Values of queries that choose together, of `all`.
    pub(super) fn together(&self, all: usize) -> usize {
        match self.pattern.per_head() {
            true => self.shape.head_dim,
            false => all,
        }
    }
}

/// Attention to what is always seen and to `chosen`.
#[allow(clippy::too_many_arguments)]
pub(super) fn attend_chosen(
    pattern: &Pattern,
    cache: &KvCache,
    (layer, head): (usize, usize),
    tokens: usize,
    chosen: &[u32],
    q: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    let shape = cache.shape();
    assert_eq!(q.len(), out.len(), "queries and results");
    let queries = q.len() / shape.head_dim;
    let (keys, values) = shape.offsets(layer, head);
    MEMORY.with_borrow_mut(|Memory { pieces, scores, .. }| {
        pattern.pieces(tokens, chosen, pieces);
        let row = pieces.len() * BLOCK;
        if scores.len() < queries * row {
            scores.resize(queries * row, 0.0);
        }
        dispatch(
            Isa::detect(),
            Attention {
                blocks: Chosen {
                    blocks: cache.blocks(),
                    index: pieces,
                },
                keys,
                values,
                head_dim: shape.head_dim,
                padded: shape.padded(),
                // All pieces but the last are full.
                tokens: row - (tokens.next_multiple_of(BLOCK) - tokens),
                q,
                queries,
                scale,
                scores: &mut scores[..queries * row],
                out,
            },
        );
    });
}

/// The key of some tokens of a head, into the first of `rows`: the mean, or PHSA's blend of it
/// with the mean of the marked tokens (arXiv 2601.02819; without any, the mean). Sums run over the
/// tokens in order.
fn mean(
    cache: &KvCache,
    layer: usize,
    head: usize,
    (first, len): (usize, usize),
    marks: &[bool],
    pattern: &Pattern,
    [key, marked]: [&mut [f32]; 2],
) {
    let (start, _) = cache.shape().offsets(layer, head);
    key.fill(0.0);
    marked.fill(0.0);
    let mut count = 0;
    for (token, &is_marked) in marks.iter().enumerate().skip(first).take(len) {
        // SAFETY: the block holds `head_dim` lines of sixteen tokens from `start`.
        let column = |d: usize| unsafe {
            *cache.blocks()[token / BLOCK]
                .as_ptr()
                .add(start + d * BLOCK + token % BLOCK)
        };
        for (d, sum) in key.iter_mut().enumerate() {
            *sum += column(d);
        }
        if is_marked {
            count += 1;
            for (d, sum) in marked.iter_mut().enumerate() {
                *sum += column(d);
            }
        }
    }
    let all = 1.0 / len as f32;
    key.iter_mut().for_each(|sum| *sum *= all);
    let Keys::Fused { lambda } = pattern.keys else {
        return;
    };
    // Without punctuation, or with λ = 1, the mean stays as it is to the last bit.
    if count == 0 || lambda == 1.0 {
        return;
    }
    let some = 1.0 / count as f32;
    for (mean, sum) in key.iter_mut().zip(marked) {
        *mean = lambda * *mean + (1.0 - lambda) * (*sum * some);
    }
}
