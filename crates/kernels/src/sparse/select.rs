//! Which blocks queries choose.

use super::coarse;
use super::pattern::{Keys, Pattern};
use super::queries::{BlockKeys, Queries, Scratch};
use super::top::top;
use crate::decode::grid;
use crate::decode::kv::BLOCK;
use crate::decode::views::{Rows, RowsMut};
use crate::simd::{LANES, Lanes};

/// Sets `chosen` to the blocks that each token chooses, ascending, `[tokens, count]`: those with the highest scores
/// among the candidates, of equal ones the first.
///
/// # Safety
/// The tiles hold the keys that the last token sees; the processor has the instructions.
#[inline(always)]
pub(super) unsafe fn choose<S: Lanes>(
    pattern: &Pattern,
    queries: &Queries,
    keys: BlockKeys,
    scratch: &mut Scratch,
    chosen: &mut Vec<u32>,
) {
    chosen.clear();
    let tokens = queries.tokens();
    // The same for all tokens of a block.
    let candidates = pattern.candidates(queries.seen);
    if candidates.len() <= pattern.top_k {
        (0..tokens).for_each(|_| chosen.extend(candidates.clone().map(|block| block as u32)));
        return;
    }
    if pattern.top_k == 0 {
        return;
    }
    // How many groups are complete may differ between tokens of a block, whether all are looked into as well.
    let last = queries.seen + tokens - 1;
    if pattern.groups(last).is_some() {
        for token in 0..tokens {
            let one = queries.one(token);
            // SAFETY: `SparseCache::update` made the keys of the last token, as this function's caller promises.
            unsafe {
                match pattern.groups(one.seen) {
                    Some(groups) => {
                        coarse::choose::<S>(pattern, &one, groups, keys, scratch, chosen);
                    }
                    None => exact::<S>(pattern, &one, keys, scratch, chosen),
                }
            }
        }
        return;
    }
    // SAFETY: as above.
    unsafe { exact::<S>(pattern, queries, keys, scratch, chosen) }
}

/// Looks at every block.
///
/// # Safety
/// As [`choose`]; there are more candidates than are chosen.
#[inline(always)]
unsafe fn exact<S: Lanes>(
    pattern: &Pattern,
    queries: &Queries,
    keys: BlockKeys,
    scratch: &mut Scratch,
    chosen: &mut Vec<u32>,
) {
    let tokens = queries.tokens();
    let candidates = pattern.candidates(queries.seen);
    let row = pattern
        .key_count(queries.seen + tokens - 1)
        .next_multiple_of(BLOCK);
    let each = tokens * row;
    let keys = (&keys.tiles[..row / BLOCK], keys.offset);
    let (heads, dim, scale) = (queries.heads, queries.head_dim, queries.scale);
    // The heads of a single token are neighbours: each key is read once for all of them.
    let together = if tokens == 1 { heads } else { 1 };
    let rows = |head: usize| match together {
        1 => Rows::new(queries.q, heads * dim, tokens).shift(head * dim),
        _ => Rows::new(queries.q, dim, heads),
    };
    let shared = scratch.shared.room(each);
    // SAFETY: the keys are there, as the caller of `choose` promises; `room` made the rows of both arrays.
    unsafe {
        if pattern.per_head() {
            // A head that chooses for itself keeps the plain products.
            let out = RowsMut::new(shared, row, tokens);
            grid::scores::<S, _>(rows(0), dim, scale, keys, out);
        } else {
            let scores = scratch.scores.room(together * each);
            for first in (0..heads).step_by(together) {
                let out = RowsMut::new(scores, row, together * tokens);
                grid::scores::<S, _>(rows(first), dim, scale, keys, out);
                for (index, scores) in scores.chunks_exact_mut(each).enumerate() {
                    share::<S>(pattern, queries, scores, row, first + index == 0, shared);
                }
            }
        }
        for token in 0..tokens {
            let shared = &shared[token * row..(token + 1) * row];
            let scores = match pattern.keys {
                Keys::Kernels { stride, .. } => {
                    let keys = pattern.key_count(queries.seen + token);
                    let ratio = pattern.block / stride;
                    pool(&shared[..keys], ratio, candidates.end, &mut scratch.pooled);
                    &scratch.pooled
                }
                _ => shared,
            };
            let (first, scores) = (candidates.start, &scores[candidates.clone()]);
            top::<S>(scores, first, pattern.top_k, &mut scratch.best);
            let from = chosen.len();
            chosen.extend(scratch.best.iter().map(|&(_, block)| block));
            chosen[from..].sort_unstable();
        }
    }
}

/// Adds the soft-max of a head's scores `[tokens, row]` to what the heads before found.
///
/// # Safety
/// As [`choose`]; both arrays have a row for each token.
#[inline(always)]
unsafe fn share<S: Lanes>(
    pattern: &Pattern,
    queries: &Queries,
    scores: &mut [f32],
    row: usize,
    is_first: bool,
    shared: &mut [f32],
) {
    let rows = scores
        .chunks_exact_mut(row)
        .zip(shared.chunks_exact_mut(row));
    for (token, (scores, shared)) in rows.enumerate() {
        // SAFETY: `exact` cut both arrays into rows of whole vectors.
        unsafe {
            let total = grid::softmax::<S>(scores, pattern.key_count(queries.seen + token));
            let share = S::splat(1.0 / total);
            let (e, sum) = (scores.as_ptr(), shared.as_mut_ptr());
            for at in (0..row).step_by(LANES) {
                let before = match is_first {
                    true => S::splat(0.0),
                    false => S::load(sum.add(at)),
                };
                S::load(e.add(at)).fma(share, before).store(sum.add(at));
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_looks_at_one_kernel_before_the_block() {
        let mut pooled = Vec::new();
        pool(&[0.1, 0.2, 0.3, 0.9, 0.4, 0.5], 4, 2, &mut pooled);
        assert_eq!(pooled, [0.9, 0.9]);
        pool(&[0.1, 0.2, 0.3, 0.1, 0.4, 0.5], 4, 2, &mut pooled);
        assert_eq!(pooled, [0.3, 0.5]);
    }
}
