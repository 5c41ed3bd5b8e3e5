//! How the product of some rows with a panelled weight is cut into pieces for the threads.

use super::panels::PANEL;
use crate::shared::Shared;
use crate::threads::Threads;
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which threads cost more than they bring (about 10 µs of work on one thread).
pub(super) const PARALLEL: usize = 1 << 19;

/// Some rows of a product with one panel.
pub(super) struct Piece {
    pub(super) panel: usize,
    /// The first of `rows` rows of inputs.
    pub(super) x: *const f32,
    /// The panel's outputs of the first row; rows of all outputs follow each other.
    pub(super) y: *mut f32,
    pub(super) rows: usize,
}

/// The rows of `x [rows, inputs]` and `y [rows, outputs]`.
///
/// # Panics
/// When they are not the same number of whole rows.
pub(super) fn rows(x: &[f32], y: &[f32], [inputs, outputs]: [usize; 2]) -> usize {
    let rows = x.len() / inputs;
    assert_eq!(x.len(), rows * inputs, "x is whole rows of {inputs} inputs");
    assert_eq!(
        y.len(),
        rows * outputs,
        "y has {rows} rows of {outputs} outputs"
    );
    rows
}

/// Calls `item` for pieces of `y [rows, outputs]` in which every panel meets every row of `x [rows, inputs]` exactly once,
/// on the rayon pool when the product is large enough. `then(rows, columns, y)` sees each piece as soon as it is there, on
/// the thread that made it.
///
/// # Panics
/// As [`rows`].
pub(super) fn product(
    (x, y): (&[f32], &mut [f32]),
    [inputs, outputs]: [usize; 2],
    threads: Threads,
    item: impl Fn(Piece) + Sync,
    then: impl Fn(Range<usize>, Range<usize>, *const f32) + Sync,
) {
    let rows = rows(x, y, [inputs, outputs]);
    if rows == 0 {
        return;
    }
    let y = Shared::new(y);
    panels([rows, inputs, outputs], threads, |panel, first, end| {
        item(Piece {
            panel,
            x: x[first * inputs..end * inputs].as_ptr(),
            // SAFETY: `first < rows`, and the panel begins below `outputs`.
            y: unsafe { y.at(first * outputs + panel * PANEL) },
            rows: end - first,
        });
        let columns = panel * PANEL..outputs.min((panel + 1) * PANEL);
        then(first..end, columns, y.first());
    });
}

/// Calls `item(panel, first, end)` for all panels and rows `first..end`.
fn panels(
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
