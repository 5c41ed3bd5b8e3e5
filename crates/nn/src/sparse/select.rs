//! Which blocks queries choose.

use std::sync::Arc;

use super::coarse;
use super::config::{Keys, Pattern};
use crate::host::grid::{self, Rows};
use crate::host::kv::BLOCK;
use crate::host::lines::Lines;
use crate::host::simd::{LANES, Lanes};

/// Memory of a choice, reused from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[tokens, keys]` of one head, or `[heads, keys]` of one token.
    pub scores: Lines,
    /// `[tokens, keys]`, summed over the heads.
    pub shared: Lines,
    /// `[heads, groups]`
    pub coarse: Lines,
    /// The largest score of a group, `[heads]`.
    pub most: Vec<f32>,
    /// Tiles that are looked into.
    pub visited: Vec<u32>,
    /// `[blocks]`
    pooled: Vec<f32>,
    pub best: Vec<(f32, u32)>,
}

/// Block keys of one layer and key-value head, sixteen to a tile `[head_dim][16]`.
#[derive(Clone, Copy)]
pub(super) struct BlockKeys<'a> {
    pub tiles: &'a [Arc<Lines>],
    /// Means of the keys of complete tiles, in tiles again.
    pub coarse: &'a [Arc<Lines>],
    /// Where the head begins in each tile.
    pub offset: usize,
}

/// Queries of neighbouring tokens of one block of sixteen; the heads of a token choose together.
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    /// `[tokens, heads, head_dim]`
    pub q: &'a [f32],
    pub heads: usize,
    pub head_dim: usize,
    pub scale: f32,
    /// Tokens that the first one sees, itself included.
    pub seen: usize,
}

impl Queries<'_> {
    pub(super) fn tokens(&self) -> usize {
        self.q.len() / (self.heads * self.head_dim)
    }

    /// Those of one token.
    fn one(&self, token: usize) -> Self {
        let width = self.heads * self.head_dim;
        Self {
            q: &self.q[token * width..(token + 1) * width],
            seen: self.seen + token,
            ..*self
        }
    }
}

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
        1 => Rows::new(queries.q.as_ptr(), heads * dim, tokens).shift(head * dim),
        _ => Rows::new(queries.q.as_ptr(), dim, heads),
    };
    let shared = scratch.shared.room(each);
    // SAFETY: the keys are there, as the caller of `choose` promises; `room` made the rows of both arrays.
    unsafe {
        if pattern.per_head() {
            // A head that chooses for itself keeps the plain products.
            let out = Rows::new(shared.as_mut_ptr(), row, tokens);
            grid::scores::<S, _>(rows(0), dim, scale, keys, out);
        } else {
            let scores = scratch.scores.room(together * each);
            for first in (0..heads).step_by(together) {
                let out = Rows::new(scores.as_mut_ptr(), row, together * tokens);
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

/// The `k` largest of `scores` with their indices from `first`, of equal ones the first, best first; numbers that are none
/// come last.
///
/// The values fall into 64 groups; at least `k` values are not below the `k`-th largest of the groups' maxima, and not
/// many more: only these are sorted.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn top<S: Lanes>(
    scores: &[f32],
    first: usize,
    k: usize,
    best: &mut Vec<(f32, u32)>,
) {
    best.clear();
    // SAFETY: `exact` and `coarse::choose` were dispatched for these instructions.
    let limit = unsafe { limit::<S>(scores, k) };
    for (part, values) in scores.chunks(LANES).enumerate() {
        // SAFETY: as many values as lanes are read; the instructions as above.
        let mut there = unsafe { S::load_part(values.as_ptr(), values.len()).not_below(limit) };
        there &= (1u32 << values.len()) - 1;
        while there != 0 {
            let at = there.trailing_zeros() as usize;
            best.push((values[at], (first + part * LANES + at) as u32));
            there &= there - 1;
        }
    }
    best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    best.truncate(k);
    // Numbers that are none fill up, the first ones first.
    for (at, &score) in scores.iter().enumerate() {
        if best.len() == k {
            break;
        }
        if score.is_nan() {
            best.push((score, (first + at) as u32));
        }
    }
}

/// Groups of scores, by their index.
const GROUPS: usize = 4 * LANES;

/// A number that at least `k` of the scores reach, unless too many are none.
#[inline(always)]
unsafe fn limit<S: Lanes>(scores: &[f32], k: usize) -> f32 {
    if k > GROUPS || scores.len() <= 2 * GROUPS {
        return f32::NEG_INFINITY;
    }
    let mut maxima = [f32::NEG_INFINITY; GROUPS];
    // SAFETY: whole vectors; a comparison with NaN gives the second operand.
    unsafe {
        let mut most = [S::splat(f32::NEG_INFINITY); GROUPS / LANES];
        for piece in scores.chunks_exact(GROUPS) {
            for (lane, most) in most.iter_mut().enumerate() {
                *most = S::load(piece.as_ptr().add(lane * LANES)).max(*most);
            }
        }
        for (lane, most) in most.iter().enumerate() {
            most.store(maxima.as_mut_ptr().add(lane * LANES));
        }
    }
    *maxima
        .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
        .1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::simd::{Isa, Kernel, dispatch};

    struct Top<'a>(&'a [f32], usize, &'a mut Vec<(f32, u32)>);

    impl Kernel for Top<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<S: Lanes>(self) {
            // SAFETY: dispatched.
            unsafe { top::<S>(self.0, 7, self.1, self.2) }
        }
    }

    #[test]
    fn the_best_are_found_and_ties_go_to_the_lower_index() {
        let scores: Vec<f32> = (0..500).map(|i| ((i * 37) % 50) as f32).collect();
        for k in [1, 3, 10, 11, 64, 65, 400] {
            let mut all: Vec<(f32, u32)> = scores.iter().zip(7..).map(|(&s, i)| (s, i)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for isa in Isa::all() {
                let mut best = Vec::new();
                dispatch(isa, Top(&scores, k, &mut best));
                assert_eq!(best, all[..k]);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_chosen_last() {
        let mut scores = vec![f32::NAN; 300];
        (0..300).step_by(40).for_each(|i| scores[i] = i as f32);
        for isa in Isa::all() {
            let mut best = Vec::new();
            dispatch(isa, Top(&scores, 10, &mut best));
            let found: Vec<u32> = best.iter().map(|&(_, at)| at - 7).collect();
            assert_eq!(found, [280, 240, 200, 160, 120, 80, 40, 0, 1, 2]);
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
