//! How attention is cut into parts for the threads.
//!
//! A task is a family of spans with one key/value head: no key of a family is seen by another, so tasks share no row of
//! any result. A task that would keep the other threads waiting is cut, and the bits do not change:
//!
//! * Forward, by blocks of queries and by heads: no row of the output depends on another.
//! * Backward, into two passes. Blocks of queries make `dq`, each over its keys in order; ranges of keys make `dk` and
//!   `dv`, each over spans, blocks and heads in order. These are the sums of the single pass. The scores and their slopes
//!   are computed in both passes: seven products in place of five.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::plan::{Block, blocks, chunks};
use crate::layout::{Layout, Span};

/// Parts that a thread takes, one after the other, when all is cut evenly: the last ones even out what threads differ in.
const SHARES: u64 = 8;
/// Multiply-adds below which a part is not cut: about 20 µs of work.
const FLOOR: u64 = 1 << 20;
/// Keys at whose multiples a piece may be cut: whole tiles of a causal mask, so that the sums of a key begin at the same
/// query, and whole panels of packed keys.
const KEYS: usize = 96;

// Costs of a pair of a query and a key. A product counts 2, what is done row by row 1. The two backward passes together
// cost 1.45 of the single one by this; measured (AMD EPYC, AVX-512, heads of 64 and 128): 1.35 for 8,192 tokens, 1.49
// for 1,024.

/// `S`, `P·v`.
const FORWARD: u64 = 5;
/// `S`, `dP`, `dq`, `dk`, `dv`.
const BACKWARD: u64 = 11;
/// `S`, `dP`, `dq`.
const FOR_QUERIES: u64 = 7;
/// `S`, `dP`, `dk`, `dv`.
const FOR_KEYS: u64 = 9;
/// What two passes cost more than one.
const MORE: u64 = FOR_QUERIES + FOR_KEYS - BACKWARD;

/// What a part makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    /// All gradients.
    All,
    /// The output, or `dq`.
    Queries,
    /// `dk` and `dv`.
    Keys,
}

/// What one thread computes at a time.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub family: usize,
    pub kv_head: usize,
    pub makes: Makes,
    /// Units of the family: its blocks of queries in order, each with the heads of the group one after the other.
    pub units: Range<usize>,
    /// Tokens whose keys take part.
    pub keys: Range<usize>,
    cost: u64,
}

/// Units or tokens, however many there are.
const ALL: Range<usize> = 0..usize::MAX;

/// Runs all parts, each thread taking the next one; `scratch` is one thread's.
pub(super) fn each<S: Default>(parts: &[Part], run: impl Fn(&Part, &mut S) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().min(parts.len());
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
        let mut scratch = S::default();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            run(part, &mut scratch);
        }
    });
}

/// What decides how attention is cut.
pub(super) struct Cutter<'a> {
    pub layout: &'a Layout,
    pub causal: bool,
    pub kv_heads: usize,
    /// Query heads of a key/value head.
    pub group: usize,
    pub threads: usize,
    /// Least cost of a part of a task.
    pub floor: u64,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        causal: bool,
        [heads, kv_heads, dim]: [usize; 3],
    ) -> Self {
        Self {
            layout,
            causal,
            kv_heads,
            group: heads / kv_heads,
            threads: rayon::current_num_threads(),
            floor: 2 * FLOOR / (dim as u64).max(1),
        }
    }

    /// The parts of the forward pass.
    pub(super) fn forward(&self) -> Vec<Part> {
        let pairs = self.pairs();
        let share = self.share(FORWARD * pairs.iter().sum::<u64>() * self.kv_heads as u64);
        let mut parts = Vec::new();
        for (family, pairs) in pairs.into_iter().enumerate() {
            for kv_head in 0..self.kv_heads {
                let task = self.task(family, kv_head, Makes::Queries, FORWARD * pairs);
                match task.cost > share {
                    true => self.by_units(&task, FORWARD, share, &mut parts),
                    false => parts.push(task),
                }
            }
        }
        parts
    }

    /// The parts of the backward pass.
    pub(super) fn backward(&self) -> Vec<Part> {
        let pairs = self.pairs();
        let total = BACKWARD * pairs.iter().sum::<u64>() * self.kv_heads as u64;
        let mut parts = Vec::with_capacity(pairs.len() * self.kv_heads);
        for (family, pairs) in pairs.into_iter().enumerate() {
            for kv_head in 0..self.kv_heads {
                parts.push(self.task(family, kv_head, Makes::All, BACKWARD * pairs));
            }
        }
        // The largest first: a long task that begins last is waited for. Where tasks are small, neighbours stay so.
        let share = self.share(total);
        parts.sort_by_key(|part| Reverse(if part.cost > share { part.cost } else { 0 }));
        let large = parts.partition_point(|part| part.cost > share);
        let large: Vec<u64> = parts[..large].iter().map(|part| part.cost).collect();
        let cut = in_two_passes(&large, total, self.threads);
        let more = large[..cut].iter().sum::<u64>() / BACKWARD * MORE;
        let share = self.share(total + more);
        let whole = parts.split_off(cut);
        for task in std::mem::replace(&mut parts, whole) {
            self.by_units(&task, FOR_QUERIES, share, &mut parts);
            self.by_keys(&task, FOR_KEYS, share, &mut parts);
        }
        parts
    }

    /// Cost that a part of a cut task should have; tasks of less are not cut.
    fn share(&self, total: u64) -> u64 {
        match self.threads {
            1 => u64::MAX,
            threads => (total / (SHARES * threads as u64)).max(self.floor),
        }
    }

    fn task(&self, family: usize, kv_head: usize, makes: Makes, cost: u64) -> Part {
        Part {
            family,
            kv_head,
            makes,
            units: ALL,
            keys: ALL,
            cost,
        }
    }

    /// Cuts a task by blocks of queries and heads.
    fn by_units(&self, task: &Part, cost: u64, share: u64, parts: &mut Vec<Part>) {
        let costs: Vec<u64> = self
            .spans(task.family)
            .flat_map(|span| blocks(span).map(move |block| self.seen(span, block)))
            .flat_map(|pairs| std::iter::repeat_n(cost * pairs, self.group))
            .collect();
        parts.extend(cut(&costs, share).map(|(units, cost)| Part {
            makes: Makes::Queries,
            units,
            cost,
            ..task.clone()
        }));
    }

    /// Cuts a task by keys.
    fn by_keys(&self, task: &Part, cost: u64, share: u64, parts: &mut Vec<Part>) {
        // Each key is its own span's once. There, where a mask may hide it, it keeps its tile.
        let ranges: Vec<Range<usize>> = self
            .spans(task.family)
            .flat_map(|span| {
                let pieces = chunks(span, self.causal, &ALL).into_iter();
                let pieces = pieces.flat_map(|chunk| chunk.pieces);
                pieces.filter(|piece| piece.start >= span.start)
            })
            .flat_map(|piece| {
                let end = piece.start + piece.len;
                (piece.start..end)
                    .step_by(KEYS)
                    .map(move |start| start..end.min(start + KEYS))
            })
            .collect();
        let costs: Vec<u64> = ranges
            .iter()
            .map(|keys| cost * self.group as u64 * self.seeing(task.family, keys))
            .collect();
        parts.extend(cut(&costs, share).map(|(run, cost)| Part {
            makes: Makes::Keys,
            keys: ranges[run.start].start..ranges[run.end - 1].end,
            cost,
            ..task.clone()
        }));
    }

    fn spans(&self, family: usize) -> impl Iterator<Item = &'a Span> {
        let layout = self.layout;
        let members = layout.families()[family].iter();
        members.map(|&index| &layout.spans()[index as usize])
    }

    /// Pairs of a query and a key that it sees, of each family, in the heads of a group.
    fn pairs(&self) -> Vec<u64> {
        let families = 0..self.layout.families().len();
        families
            .map(|family| {
                let spans = self.spans(family);
                let pairs = spans.map(|span| {
                    let (start, len) = (span.start, span.len);
                    self.seen(
                        span,
                        Block {
                            start,
                            len,
                            offset: 0,
                        },
                    )
                });
                pairs.sum::<u64>() * self.group as u64
            })
            .collect()
    }

    /// Keys that the queries of a block see, all together.
    fn seen(&self, span: &Span, block: Block) -> u64 {
        let own = match self.causal {
            true => block.len * block.offset + block.len * (block.len + 1) / 2,
            false => block.len * span.len,
        };
        (block.len * span.prefix_len + own) as u64
    }

    /// Queries that see keys of one span, all together.
    fn seeing(&self, family: usize, keys: &Range<usize>) -> u64 {
        let pairs = self.spans(family).map(|span| {
            let prefix = span.prefix_start..span.prefix_start + span.prefix_len;
            let own = common(keys, &(span.start..span.end()));
            let hidden = match self.causal {
                true => {
                    own.len() * (own.start - span.start)
                        + own.len() * own.len().saturating_sub(1) / 2
                }
                false => 0,
            };
            span.len * (common(keys, &prefix).len() + own.len()) - hidden
        });
        pairs.sum::<usize>() as u64
    }
}

fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// How many tasks, the largest first, are done sooner in two passes: those that the others would wait for, while all
/// threads share what two passes cost more. `large` holds the costs of the tasks of more than a share, in descending
/// order; the rest of the `total` fills up where threads have time.
fn in_two_passes(large: &[u64], total: u64, threads: usize) -> usize {
    let time = |cut: usize| {
        let more = large[..cut].iter().sum::<u64>() / BACKWARD * MORE;
        let mut loads: BinaryHeap<_> = std::iter::repeat_n(Reverse(0), threads).collect();
        let mut longest = (total + more) / threads as u64;
        for cost in &large[cut..] {
            let Reverse(least) = loads.pop().unwrap_or(Reverse(0));
            longest = longest.max(least + cost);
            loads.push(Reverse(least + cost));
        }
        longest
    };
    (0..=large.len().min(threads))
        .min_by_key(|&cut| time(cut))
        .unwrap_or(0)
}

/// Runs of about `share` each, with their costs.
fn cut(costs: &[u64], share: u64) -> impl Iterator<Item = (Range<usize>, u64)> {
    let total: u64 = costs.iter().sum();
    let runs = total.div_ceil(share);
    let (mut at, mut done) = (0, 0);
    std::iter::from_fn(move || {
        let (start, before) = (at, done);
        // The mark after the one that is nearest: a run ends at most half a step from its own.
        let passed = (2 * before * runs + total) / (2 * total).max(1);
        let mark = (passed + 1) * total / runs.max(1);
        while at < costs.len() && (at == start || done + costs[at] / 2 < mark) {
            done += costs[at];
            at += 1;
        }
        (start < at).then_some((start..at, done - before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_hold_every_step_once_and_are_even(
            costs in prop::collection::vec(1u64..50, 0..60),
            share in 1u64..400,
        ) {
            let runs: Vec<_> = cut(&costs, share).collect();
            let (total, step) = (costs.iter().sum::<u64>(), costs.iter().max().copied().unwrap_or(0));
            let even = total / total.div_ceil(share).max(1);
            let mut next = 0;
            for (run, cost) in runs {
                prop_assert_eq!(run.start, next);
                prop_assert_eq!(cost, costs[run.clone()].iter().sum::<u64>());
                prop_assert!(cost.abs_diff(even) <= step + 1, "{cost} of {even}");
                next = run.end;
            }
            prop_assert_eq!(next, costs.len());
        }
    }

    #[test]
    fn a_task_is_cut_where_it_pays() {
        // Equal tasks, threads, tasks that are cut.
        for (tasks, threads, cut) in [
            (1, 2, 1),
            (2, 2, 0),
            (3, 2, 1),
            (1, 16, 1),
            (15, 16, 0),
            (17, 16, 1),
        ] {
            let large = vec![11_000; tasks];
            let total = large.iter().sum();
            assert_eq!(
                in_two_passes(&large, total, threads),
                cut,
                "{tasks} on {threads}"
            );
        }
        // The others wait for the long one; then for nobody.
        assert_eq!(in_two_passes(&[110_000], 220_000, 4), 1);
        assert_eq!(in_two_passes(&[110_000], 440_000, 4), 0);
    }
}
