//! Choosing in two steps: sixteen blocks at a time by the mean of their keys, then blocks within the best groups.
//!
//! A group's score is the soft-max over the groups' mean keys, summed over the heads that choose together. Within the
//! groups looked into, blocks are scored as always, but for the soft-max's denominator: a group that is not looked into
//! counts as sixteen blocks with its mean key (InfLLM-V2 estimates its denominators from coarser keys too, arXiv
//! 2509.24663). Where all groups are looked into, this is the exact choice.

use super::pattern::Pattern;
use super::queries::{BlockKeys, Queries, Scratch};
use super::top::top;
use crate::decode::blocks::Chosen;
use crate::decode::grid;
use crate::decode::kv::BLOCK;
use crate::decode::views::{Rows, RowsMut};
use crate::simd::{LANES, Lanes};

/// Appends the blocks that one token chooses, ascending. `groups` of its block keys' tiles are complete.
///
/// # Safety
/// The tiles hold the keys that the token sees; the processor has the instructions.
#[inline(always)]
pub(super) unsafe fn choose<S: Lanes>(
    pattern: &Pattern,
    queries: &Queries,
    groups: usize,
    keys: BlockKeys,
    scratch: &mut Scratch,
    chosen: &mut Vec<u32>,
) {
    let (heads, dim) = (queries.heads, queries.head_dim);
    let candidates = pattern.candidates(queries.seen);
    let (row, all) = (
        groups.next_multiple_of(BLOCK),
        pattern.key_count(queries.seen),
    );
    let q = Rows::new(queries.q, dim, heads);
    scratch.coarse.room(heads * row);
    scratch.shared.room(row.max((pattern.coarse + 1) * BLOCK));
    // SAFETY: `SparseCache::update` made the keys of all tokens that are seen, as `choose`'s caller promises; `room` made the rows.
    unsafe {
        let coarse = &keys.coarse[..row / BLOCK];
        let to = RowsMut::new(&mut scratch.coarse[..], row, heads);
        grid::scores::<S, _>(q, dim, queries.scale, (coarse, keys.offset), to);
        // The groups with candidates that weigh most.
        scratch.shared[..row].fill(0.0);
        scratch.most.clear();
        for e in scratch.coarse[..heads * row].chunks_exact_mut(row) {
            let most = largest(&e[..groups], f32::NEG_INFINITY);
            e[groups..].fill(f32::NEG_INFINITY);
            let total = grid::exponentials::<S>(e, most);
            add::<S>(e, S::splat(1.0 / total), &mut scratch.shared);
            scratch.most.push(most);
        }
        let within = candidates.start / BLOCK..groups.min(candidates.end.div_ceil(BLOCK));
        let first = within.start;
        top::<S>(
            &scratch.shared[within],
            first,
            pattern.coarse,
            &mut scratch.best,
        );
        scratch.visited.clear();
        scratch
            .visited
            .extend(scratch.best.iter().map(|&(_, group)| group));
        scratch.visited.sort_unstable();
        // An incomplete tile has no mean: it is always looked into.
        let open = all % BLOCK;
        scratch.visited.extend((open > 0).then_some(groups as u32));
        let visited = Chosen {
            blocks: keys.tiles,
            index: &scratch.visited,
        };
        let wide = scratch.visited.len() * BLOCK;
        let seen = wide - if open > 0 { BLOCK - open } else { 0 };
        scratch.scores.room(heads * wide);
        let to = RowsMut::new(&mut scratch.scores[..], wide, heads);
        grid::scores::<S, _>(q, dim, queries.scale, (visited, keys.offset), to);
        scratch.shared[..wide].fill(0.0);
        for head in 0..heads {
            let fine = &mut scratch.scores[head * wide..(head + 1) * wide];
            let groups_most = scratch.most[head];
            let most = largest(&fine[..seen], groups_most);
            fine[seen..].fill(f32::NEG_INFINITY);
            let total = grid::exponentials::<S>(fine, most);
            let e = &mut scratch.coarse[head * row..(head + 1) * row];
            let complete = scratch.visited.len() - usize::from(open > 0);
            for &group in &scratch.visited[..complete] {
                e[group as usize] = 0.0;
            }
            let rest = sum::<S>(e) * (groups_most - most).exp();
            let share = S::splat(1.0 / (total + BLOCK as f32 * rest));
            add::<S>(fine, share, &mut scratch.shared);
        }
        // What is no candidate cannot be chosen.
        let block =
            |column: usize| scratch.visited[column / BLOCK] as usize * BLOCK + column % BLOCK;
        for column in 0..wide {
            if !candidates.contains(&block(column)) {
                scratch.shared[column] = f32::NEG_INFINITY;
            }
        }
        top::<S>(&scratch.shared[..wide], 0, pattern.top_k, &mut scratch.best);
        let from = chosen.len();
        chosen.extend(
            scratch
                .best
                .iter()
                .map(|&(_, column)| block(column as usize) as u32),
        );
        chosen[from..].sort_unstable();
    }
}

/// `sums += e · share`
///
/// # Safety
/// `e` is whole vectors, `sums` not shorter; the processor has the instructions.
#[inline(always)]
unsafe fn add<S: Lanes>(e: &[f32], share: S, sums: &mut [f32]) {
    let sums = sums[..e.len()].as_mut_ptr();
    for at in (0..e.len()).step_by(LANES) {
        // SAFETY: `e` is whole vectors, as the callers in `choose` made it, and `sums` was cut to its length.
        unsafe {
            let sum = S::load(e.as_ptr().add(at)).fma(share, S::load(sums.add(at)));
            sum.store(sums.add(at));
        }
    }
}

/// Of whole vectors.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn sum<S: Lanes>(e: &[f32]) -> f32 {
    // SAFETY: every part is a whole vector; `choose` was dispatched for these instructions.
    unsafe {
        let mut sum = S::splat(0.0);
        for part in e.chunks_exact(LANES) {
            sum = sum.add(S::load(part.as_ptr()));
        }
        sum.sum()
    }
}

/// The largest score, or `least`.
#[inline(always)]
fn largest(scores: &[f32], least: f32) -> f32 {
    scores.iter().fold(least, |most, &x| x.max(most))
}
