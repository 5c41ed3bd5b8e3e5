//! Block keys beside a cache of keys and values.

use std::cell::RefCell;
use std::sync::Arc;

use super::pattern::{Keys, Pattern};
use super::queries::{BlockKeys, Queries, Scratch};
use super::select::choose;
use super::tile::{Memory, Tile};
use crate::decode::kv::BLOCK;
use crate::decode::{KvCache, KvShape};
use crate::lines::Lines;
use crate::simd::{Isa, Kernel, Lanes, dispatch};

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
    tiles: Vec<Arc<Lines>>,
    /// The means of the keys of complete tiles, in tiles again; empty where the choice looks at every key.
    coarse: Vec<Arc<Lines>>,
}

impl SparseCache {
    /// An empty one for caches of this shape.
    pub fn new(pattern: Pattern, shape: KvShape) -> Self {
        Self {
            pattern,
            shape,
            marks: Vec::new(),
            tiles: Vec::new(),
            coarse: Vec::new(),
        }
    }

    /// The pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Memory of all tiles this cache sees, shared ones included.
    pub fn bytes(&self) -> usize {
        let tile = self.offset(self.shape.layers, 0) * size_of::<f32>();
        (self.tiles.len() + self.coarse.len()) * tile + self.marks.len()
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
            pattern: self.pattern,
            shape: self.shape,
            marks: self.marks[..tokens].to_vec(),
            tiles: self.tiles[..keys.div_ceil(BLOCK)].to_vec(),
            coarse: match self.pattern.coarse {
                0 => Vec::new(),
                _ => self.coarse[..(keys / BLOCK).div_ceil(BLOCK)].to_vec(),
            },
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
        let size = self.offset(self.shape.layers, 0);
        extend(&mut self.tiles, before, keys, size);
        if self.pattern.coarse > 0 {
            extend(&mut self.coarse, before / BLOCK, keys / BLOCK, size);
        }
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
                if self.pattern.coarse > 0 && index % BLOCK == BLOCK - 1 {
                    let group = index / BLOCK;
                    let means = Arc::get_mut(&mut self.coarse[group / BLOCK])
                        .expect("grow() made the written tiles unique");
                    for (d, keys) in tile[at..at + dim * BLOCK].chunks_exact(BLOCK).enumerate() {
                        let sum: f32 = keys.iter().sum();
                        means[at + d * BLOCK + group % BLOCK] = sum / BLOCK as f32;
                    }
                }
            }
        }
    }

    /// The choices alone of neighbouring tokens, of which the first sees `seen`: `q` `[tokens, width]`, the query heads of
    /// one key-value head. `keep(token, chooser, blocks)` gets the blocks that heads choose together, ascending.
    ///
    /// # Panics
    /// When fewer block keys are there than the last token completes, or `q` is no whole rows.
    pub fn choose(
        &self,
        at: (usize, usize),
        seen: usize,
        width: usize,
        q: &[f32],
        scale: f32,
        keep: &mut dyn FnMut(usize, usize, &[u32]),
    ) {
        assert!(
            q.len().is_multiple_of(width),
            "{} values in rows of {width}",
            q.len()
        );
        let (tokens, part) = (q.len() / width, self.together(width));
        assert!(
            seen + tokens <= self.marks.len() + 1,
            "{tokens} tokens from the {seen}th"
        );
        let mut rows = Vec::with_capacity(BLOCK * part);
        let mut first = 0;
        while first < tokens {
            let count = (tokens - first).min(left_in_block(seen + first));
            for chooser in 0..width / part {
                rows.clear();
                for row in q[first * width..].chunks_exact(width).take(count) {
                    rows.extend_from_slice(&row[chooser * part..(chooser + 1) * part]);
                }
                let queries = Queries {
                    q: &rows,
                    heads: part / self.shape.head_dim,
                    head_dim: self.shape.head_dim,
                    scale,
                    seen: seen + first,
                };
                MEMORY.with_borrow_mut(|Memory { select, chosen, .. }| {
                    let choice = Choice {
                        keys: self,
                        at,
                        queries,
                        scratch: select,
                        chosen,
                    };
                    dispatch(Isa::detect(), choice);
                    let each = chosen.len() / count;
                    for token in 0..count {
                        let blocks = &chosen[token * each..(token + 1) * each];
                        keep(first + token, chooser, blocks);
                    }
                });
            }
            first += count;
        }
    }

    /// Attention of the queries `q` `[queries, head_dim]` of one key-value head to the first
    /// `tokens` tokens of `cache`, as far as they see them; as [`attend`](crate::decode::attend).
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
        self.attend_rows(cache, (layer, head), tokens, q.len(), q, scale, out);
    }

    /// As [`attend`](Self::attend) for neighbouring tokens of the text, of which the first sees
    /// `seen` tokens: `q` and `out` `[tokens, width]`. The bits are those of one token at a time.
    ///
    /// # Panics
    /// When the caches hold fewer tokens, or `q` and `out` are not the same whole rows.
    #[allow(clippy::too_many_arguments)]
    pub fn attend_rows(
        &self,
        cache: &KvCache,
        at: (usize, usize),
        seen: usize,
        width: usize,
        q: &[f32],
        scale: f32,
        out: &mut [f32],
    ) {
        self.attend_tokens(cache, at, seen, width, q, scale, out, &mut |_, _, _| {});
    }

    /// `keep(token, chooser, blocks)` sees every choice.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn attend_tokens(
        &self,
        cache: &KvCache,
        at: (usize, usize),
        seen: usize,
        width: usize,
        q: &[f32],
        scale: f32,
        out: &mut [f32],
        keep: &mut dyn FnMut(usize, usize, &[u32]),
    ) {
        assert_eq!(q.len(), out.len(), "queries and results");
        let tokens = q.len() / width;
        assert!(
            seen > 0
                && q.len() == tokens * width
                && seen + tokens <= cache.len().min(self.marks.len()) + 1,
            "{tokens} tokens of {width} values from the {seen}th of {}",
            cache.len()
        );
        let part = self.together(width);
        MEMORY.with_borrow_mut(|memory| {
            let mut first = 0;
            while first < tokens {
                let count = (tokens - first).min(left_in_block(seen + first));
                for chooser in 0..width / part {
                    let (from, column) = (first * width, chooser * part);
                    let tile = Tile {
                        pattern: &self.pattern,
                        keys: self.block_keys(at),
                        cache,
                        at,
                        seen: seen + first,
                        tokens: count,
                        part,
                        width,
                        q: &q[from + column..],
                        scale,
                        out: &mut out[from + column..],
                        memory: &mut *memory,
                    };
                    let chosen = dispatch(Isa::detect(), tile);
                    for token in 0..count {
                        let blocks = &memory.chosen[token * chosen..(token + 1) * chosen];
                        keep(first + token, chooser, blocks);
                    }
                }
                first += count;
            }
        });
    }

    /// The block keys of a layer and key-value head.
    pub(super) fn block_keys(&self, (layer, head): (usize, usize)) -> BlockKeys<'_> {
        BlockKeys {
            tiles: &self.tiles,
            coarse: &self.coarse,
            offset: self.offset(layer, head),
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

/// Tokens up to the end of its block of sixteen, from the one that sees `seen`.
fn left_in_block(seen: usize) -> usize {
    BLOCK - (seen - 1) % BLOCK
}

/// The choice alone.
struct Choice<'a> {
    keys: &'a SparseCache,
    at: (usize, usize),
    queries: Queries<'a>,
    scratch: &'a mut Scratch,
    chosen: &'a mut Vec<u32>,
}

impl Kernel for Choice<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let keys = self.keys.block_keys(self.at);
        // SAFETY: dispatched; `update` made the keys of all tokens.
        unsafe {
            choose::<S>(
                &self.keys.pattern,
                &self.queries,
                keys,
                self.scratch,
                self.chosen,
            );
        }
    }
}

/// Room for keys `before..keys`: tiles that are written to belong to this cache alone.
fn extend(tiles: &mut Vec<Arc<Lines>>, before: usize, keys: usize, size: usize) {
    if keys > before
        && !before.is_multiple_of(BLOCK)
        && let Some(tail) = tiles.last_mut()
    {
        Arc::make_mut(tail);
    }
    tiles.resize_with(keys.div_ceil(BLOCK), || Arc::new(Lines::zeros(size)));
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
