//! Attention of the tokens of one block of sixteen.
//!
//! They see the same blocks at the start and before them, so their scores with those are products of matrices whose keys
//! and values are read once for all; what each of them chose is attended to token by token. Blocks come in the order of
//! the text, and every score and value is the chain that one token alone would have: prefill and decoding give the same
//! bits.

use std::sync::Arc;

use super::pattern::Pattern;
use super::queries::{BlockKeys, Queries, Scratch};
use super::select::choose;
use crate::decode::KvCache;
use crate::decode::blocks::Chosen;
use crate::decode::grid;
use crate::decode::kv::{BLOCK, Block};
use crate::decode::views::{Rows, RowsMut};
use crate::lines::Lines;
use crate::simd::{Kernel, LANES, Lanes};

/// Memory of a thread, reused from tile to tile.
#[derive(Default)]
pub(super) struct Memory {
    pub select: Scratch,
    /// `[tokens, count]`
    pub chosen: Vec<u32>,
    /// `[tokens · heads, head_dim]`
    queries: Vec<f32>,
    /// Pieces of sixteen tokens that all tokens see at the start, and before themselves.
    start: Vec<u32>,
    own: Vec<u32>,
    /// `[tokens, pieces]` that each token chose.
    picked: Vec<u32>,
    /// `[tokens · heads, pieces · 16]`
    scores: Lines,
    /// `[tokens · heads]`
    totals: Vec<f32>,
    /// `[tokens · heads, 2, padded]`
    sums: Vec<f32>,
}

/// Neighbouring tokens of one block and the heads of one key-value head that choose together.
pub(super) struct Tile<'a> {
    pub pattern: &'a Pattern,
    /// Those of the layer and head.
    pub keys: BlockKeys<'a>,
    pub cache: &'a KvCache,
    /// Layer and key-value head.
    pub at: (usize, usize),
    /// Tokens that the first one sees, itself included.
    pub seen: usize,
    pub tokens: usize,
    /// Values of a token's heads, and from one token to the next.
    pub part: usize,
    pub width: usize,
    pub q: &'a [f32],
    pub scale: f32,
    pub out: &'a mut [f32],
    pub memory: &'a mut Memory,
}

impl Kernel for Tile<'_> {
    /// Blocks that each token chose.
    type Output = usize;

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) -> usize {
        let memory = self.memory;
        let pattern = self.pattern;
        memory.queries.clear();
        for q in self.q.chunks(self.width).take(self.tokens) {
            memory.queries.extend_from_slice(&q[..self.part]);
        }
        let dim = self.cache.shape().head_dim;
        let asked = Queries {
            q: &memory.queries,
            heads: self.part / dim,
            head_dim: dim,
            scale: self.scale,
            seen: self.seen,
        };
        let (select, chosen) = (&mut memory.select, &mut memory.chosen);
        // SAFETY: dispatched; the caches hold what the last token sees, which `attend_tokens` checks.
        unsafe { choose::<S>(pattern, &asked, self.keys, select, chosen) };
        let count = chosen.len() / self.tokens;
        pieces(pattern, self.seen, memory);
        let (keys, values) = self.cache.shape().offsets(self.at.0, self.at.1);
        let (common, picked) = (memory.start.len() + memory.own.len(), memory.picked.len());
        let group = self.part / dim;
        let rows = self.tokens * group;
        let row = (common + picked / self.tokens) * BLOCK;
        let padded = self.cache.shape().padded();
        memory.sums.clear();
        memory.sums.resize(rows * 2 * padded, 0.0);
        memory.totals.clear();
        let grid = Grid {
            blocks: self.cache.blocks(),
            start: &memory.start,
            own: &memory.own,
            picked: &memory.picked,
            tokens: self.tokens,
            group,
            row,
        };
        let scores = memory.scores.room(rows * row);
        let sums = &mut memory.sums[..];
        // SAFETY: as above; scores and sums have the rows.
        unsafe {
            grid.scores::<S>(&memory.queries, dim, self.scale, keys, scores);
            for (index, scores) in scores.chunks_exact_mut(row).enumerate() {
                let hidden = BLOCK - 1 - (self.seen - 1 + index / group) % BLOCK;
                let total = grid::softmax::<S>(scores, row - hidden);
                memory.totals.push(total);
            }
            grid.values::<S>(scores, padded, values, sums);
            for (index, total) in memory.totals.iter().enumerate() {
                let share = S::splat(1.0 / total);
                let sums = sums.as_ptr().add(index * 2 * padded);
                let at = index / group * self.width + index % group * dim;
                for d in (0..dim).step_by(LANES) {
                    let both = S::load(sums.add(d)).add(S::load(sums.add(padded + d)));
                    let out = self.out[at + d..].as_mut_ptr();
                    both.mul(share).store_part(out, LANES.min(dim - d));
                }
            }
        }
        count
    }
}

/// Sets the pieces of sixteen tokens that tokens of a block see.
fn pieces(pattern: &Pattern, seen: usize, memory: &mut Memory) {
    pattern.pieces(seen, &[], &mut memory.start);
    memory.own.clear();
    memory
        .own
        .extend(memory.start.drain(pattern.init_pieces(seen)..));
    let per = (pattern.block / BLOCK) as u32;
    let picked = memory
        .chosen
        .iter()
        .flat_map(|&block| block * per..(block + 1) * per);
    memory.picked.clear();
    memory.picked.extend(picked);
}

/// Rows of scores: a token's heads one after the other; columns: pieces at the start, chosen ones, those before the token.
struct Grid<'a> {
    blocks: &'a [Arc<Block>],
    start: &'a [u32],
    own: &'a [u32],
    picked: &'a [u32],
    tokens: usize,
    group: usize,
    /// Columns.
    row: usize,
}

impl<'a> Grid<'a> {
    fn pieces(&self, index: &'a [u32]) -> Chosen<'a, Block> {
        Chosen {
            blocks: self.blocks,
            index,
        }
    }

    /// Pieces that one token chose.
    fn chosen(&self, token: usize) -> &'a [u32] {
        let count = self.picked.len() / self.tokens;
        &self.picked[token * count..(token + 1) * count]
    }

    /// Column after the chosen pieces.
    fn local(&self) -> usize {
        self.row - self.own.len() * BLOCK
    }

    /// # Safety
    /// `q` and `out` have the rows, blocks the pieces; the processor has the instructions.
    #[inline(always)]
    unsafe fn scores<S: Lanes>(
        &self,
        q: &[f32],
        dim: usize,
        scale: f32,
        keys: usize,
        out: &mut [f32],
    ) {
        let (group, row) = (self.group, self.row);
        let all = self.tokens * group;
        let q = Rows::new(q, dim, all);
        let out = RowsMut::new(out, row, all);
        // SAFETY: `Tile::run` sized the rows, and its pieces are of tokens that `attend_tokens` found in the cache.
        unsafe {
            grid::scores::<S, _>(q, dim, scale, (self.pieces(self.start), keys), out);
            let to = out.shift(self.local());
            grid::scores::<S, _>(q, dim, scale, (self.pieces(self.own), keys), to);
            if self.picked.is_empty() {
                return;
            }
            for token in 0..self.tokens {
                let q = q.part(token * group, group);
                let to = out.from(token * group).shift(self.start.len() * BLOCK);
                grid::scores::<S, _>(q, dim, scale, (self.pieces(self.chosen(token)), keys), to);
            }
        }
    }

    /// # Safety
    /// As [`Grid::scores`]; `sums` are `[rows, 2, padded]`.
    #[inline(always)]
    unsafe fn values<S: Lanes>(&self, p: &[f32], padded: usize, values: usize, sums: &mut [f32]) {
        let group = self.group;
        let p = Rows::new(p, self.row, self.tokens * group);
        // SAFETY: as in `scores`; `Tile::run` sized the sums.
        unsafe {
            grid::values::<S, _>(p, padded, (self.pieces(self.start), values), sums);
            if !self.picked.is_empty() {
                for token in 0..self.tokens {
                    let first = token * group;
                    let p = p.part(first, group).shift(self.start.len() * BLOCK);
                    let sums = &mut sums[first * 2 * padded..];
                    let chosen = self.pieces(self.chosen(token));
                    grid::values::<S, _>(p, padded, (chosen, values), sums);
                }
            }
            let p = p.shift(self.local());
            grid::values::<S, _>(p, padded, (self.pieces(self.own), values), sums);
        }
    }
}
