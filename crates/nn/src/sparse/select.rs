//! Which blocks a query chooses.

use super::config::{Keys, Pattern};
use crate::host::attention::{Attention, Blocks};
use crate::host::kv::BLOCK;
use crate::host::simd::{Isa, Kernel, LANES, Lanes, dispatch};

/// Memory of a choice, reused from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[queries, keys]`
    scores: Vec<f32>,
    /// `[keys]`, summed over the heads.
    shared: Vec<f32>,
    /// `[blocks]`
    pooled: Vec<f32>,
    best: Vec<(f32, u32)>,
}

/// Block keys of one key-value head, sixteen to a tile `[head_dim][16]`.
#[derive(Clone, Copy)]
pub(super) struct KeyTiles<'a> {
    pub tiles: &'a [std::sync::Arc<Vec<f32>>],
    /// Tiles that hold a key which counts.
    pub len: usize,
}

impl Blocks for KeyTiles<'_> {
    #[inline(always)]
    fn len(self) -> usize {
        self.len
    }
    #[inline(always)]
    unsafe fn block(self, index: usize) -> *const f32 {
        // SAFETY: the caller's promise.
        unsafe { self.tiles.get_unchecked(index).as_ptr() }
    }
}

/// The queries that choose together.
pub(super) struct Queries<'a> {
    /// `[queries, head_dim]`
    pub q: &'a [f32],
    pub head_dim: usize,
    pub scale: f32,
    /// Tokens that they see.
    pub tokens: usize,
}

/// Sets `chosen` to the blocks that the queries choose, ascending: those with the highest scores
/// among the candidates, of equal ones the first. `keys` begins `offset` into each tile.
pub(super) fn choose(
    pattern: &Pattern,
    queries: &Queries,
    tiles: &[std::sync::Arc<Vec<f32>>],
    offset: usize,
    scratch: &mut Scratch,
    chosen: &mut Vec<u32>,
) {
    chosen.clear();
    let candidates = pattern.candidates(queries.tokens);
    if candidates.len() <= pattern.top_k {
        chosen.extend(candidates.map(|block| block as u32));
        return;
    }
    if pattern.top_k == 0 {
        return;
    }
    let keys = pattern.key_count(queries.tokens);
    let count = queries.q.len() / queries.head_dim;
    let padded = keys.next_multiple_of(BLOCK);
    if scratch.scores.len() < count * padded {
        scratch.scores.resize(count * padded, 0.0);
    }
    scratch.shared.clear();
    scratch.shared.resize(padded, 0.0);
    let tiles = KeyTiles {
        tiles,
        len: padded / BLOCK,
    };
    if keys > 0 {
        dispatch(
            Isa::detect(),
            Scores {
                attention: Attention {
                    blocks: tiles,
                    keys: offset,
                    values: 0,
                    head_dim: queries.head_dim,
                    padded: queries.head_dim,
                    tokens: keys,
                    q: queries.q,
                    queries: count,
                    scale: queries.scale,
                    scores: &mut scratch.scores[..count * padded],
                    out: &mut [],
                },
                shared: &mut scratch.shared,
                plain: pattern.per_head(),
            },
        );
    }
    let scores = match pattern.keys {
        Keys::Kernels { stride, .. } => {
            pool(
                &scratch.shared[..keys],
                pattern.block / stride,
                candidates.end,
                &mut scratch.pooled,
            );
            &scratch.pooled
        }
        _ => &scratch.shared,
    };
    let (first, scores) = (candidates.start, &scores[candidates]);
    top(scores, first, pattern.top_k, &mut scratch.best);
    chosen.extend(scratch.best.iter().map(|&(_, block)| block));
    chosen.sort_unstable();
}

/// The score of block `b` is the largest of kernels `ratio·b − 1 ..= ratio·b + ratio − 1`.
fn pool(scores: &[f32], ratio: usize, blocks: usize, pooled: &mut Vec<f32>) {
    pooled.clear();
    pooled.extend((0..blocks).map(|block| {
        let end = ((block + 1) * ratio).min(scores.len());
        let start = (block * ratio).saturating_sub(1).min(end);
        scores[start..end].iter().fold(0.0, |m: f32, &s| m.max(s))
    }));
}

/// The `k` largest of `scores` with their indices from `first`; of equal ones the first.
fn top(scores: &[f32], first: usize, k: usize, best: &mut Vec<(f32, u32)>) {
    best.clear();
    // Pieces of 64 whose maximum does not beat the worst of the best are passed over.
    for (piece, values) in scores.chunks(64).enumerate() {
        if best.len() == k {
            let worst = best[k - 1].0;
            let mut lanes = [f32::NEG_INFINITY; LANES];
            for part in values.chunks(LANES) {
                for (lane, &value) in lanes.iter_mut().zip(part) {
                    *lane = if value > *lane { value } else { *lane };
                }
            }
            if !lanes.iter().any(|&lane| lane > worst) {
                continue;
            }
        }
        for (at, &score) in values.iter().enumerate() {
            if best.len() == k && !is_better(score, best[k - 1].0) {
                continue;
            }
            best.truncate(k - 1);
            // Behind all that are as good: they have lower indices.
            let place = best.partition_point(|&(other, _)| !is_better(score, other));
            best.insert(place, (score, (first + piece * 64 + at) as u32));
        }
    }
}

/// False for a score that is no number: it is never chosen before one that is.
fn is_better(score: f32, other: f32) -> bool {
    score > other
}

struct Scores<'a, L> {
    attention: Attention<'a, L>,
    shared: &'a mut [f32],
    /// One query, its plain products.
    plain: bool,
}

impl<L: Blocks> Kernel for Scores<'_, L> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        // SAFETY: the tiles hold the keys; the caller has the instructions.
        unsafe {
            self.attention.all_scores::<S>();
            let width = self.shared.len();
            if self.plain {
                self.shared.copy_from_slice(&self.attention.scores[..width]);
                return;
            }
            let shared = self.shared.as_mut_ptr();
            for query in 0..self.attention.queries {
                let total = self.attention.softmax::<S>(query);
                let share = S::splat(1.0 / total);
                let row = self.attention.scores.as_ptr().add(query * width);
                for at in (0..width).step_by(LANES) {
                    let sum = S::load(row.add(at)).fma(share, S::load(shared.add(at)));
                    sum.store(shared.add(at));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_found_and_ties_go_to_the_lower_index() {
        let scores: Vec<f32> = (0..500).map(|i| ((i * 37) % 50) as f32).collect();
        for k in [1, 3, 10, 11, 400] {
            let mut best = Vec::new();
            top(&scores, 7, k, &mut best);
            let mut all: Vec<(f32, u32)> = scores.iter().zip(7..).map(|(&s, i)| (s, i)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            assert_eq!(best, all[..k]);
        }
    }

    #[test]
    fn pooling_looks_at_one_kernel_before_the_block() {
        let mut pooled = Vec::new();
        pool(&[0.1, 0.2, 0.3, 0.9, 0.4, 0.5], 4, 2, &mut pooled);
        assert_eq!(pooled, [0.9, 0.9]);
        pool(&[0.1, 0.2, 0.3, 0.1, 0.4, 0.5], 4, 2, &mut pooled);
        assert_eq!(pooled, [0.3, 0.5]);
    }
}
