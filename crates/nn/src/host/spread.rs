//! How the product of some rows with a panelled weight is cut into pieces for the threads.

use super::linear::{PANEL, Threads};
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which threads cost more than they bring (about 10 µs of work on one thread).
pub(super) const PARALLEL: usize = 1 << 19;

/// Calls `item(panel, first, end)` for all panels and rows `first..end` of `rows`, on the rayon pool when the product
/// is large enough. Every panel meets every row exactly once.
pub(super) fn panels(
    [rows, inputs, outputs]: [usize; 3],
    threads: Threads,
    item: impl Fn(usize, usize, usize) + Sync,
) {
    let panels = outputs.div_ceil(PANEL);
    let work = rows * inputs * outputs;
    let workers = match threads {
        Threads::Pool if work >= PARALLEL => rayon::current_num_threads(),
        _ => 1,
    };
    if workers == 1 {
        (0..panels).for_each(|panel| item(panel, 0, rows));
        return;
    }
    // Four items per thread balance the load; a piece of fewer rows than 32 would read the panel too often.
    let pieces = (4 * workers).div_ceil(panels).clamp(1, rows.div_ceil(32));
    let items = panels * pieces;
    let smallest = (items * (PARALLEL / 8)).div_ceil(work).max(1);
    (0..items)
        .into_par_iter()
        .with_min_len(smallest)
        .for_each(|i| {
            let (panel, piece) = (i / pieces, i % pieces);
            item(panel, rows * piece / pieces, rows * (piece + 1) / pieces);
        });
}

/// The outputs of a panel.
pub(super) fn columns(panel: usize, outputs: usize) -> Range<usize> {
    panel * PANEL..outputs.min((panel + 1) * PANEL)
}

/// An output array, written by several threads at disjoint places.
pub(super) struct Output<T = f32>(pub(super) *mut T);
// SAFETY: every item writes its own rows and columns only.
unsafe impl<T> Sync for Output<T> {}
