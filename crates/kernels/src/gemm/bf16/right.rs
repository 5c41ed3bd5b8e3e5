//! A right factor and its products.

use std::ops::Range;

use rayon::prelude::*;

use super::block::{BLOCK, Block};
use super::kind::Kind;
use super::pack::{DEPTH, Lines, SIDE, Strided, Tile, depth};
use super::{amx, avx512};
use crate::gemm::Mat;
use crate::threads::Threads;
use crate::unwritten::Unwritten;

/// Bytes of the packed left factor that a task walks over again and again: a quarter of the L2
/// cache of a core (half of it on Zen 4).
const PANEL: usize = 512 << 10;

/// A right factor `[k, n]`, rounded and packed.
#[derive(Clone)]
pub(crate) struct Right {
    /// Sixteen columns after sixteen columns, each along `k`; an even number of them.
    tiles: Vec<Tile>,
    k: usize,
    n: usize,
    kind: Kind,
}

impl Right {
    /// Packs a factor.
    ///
    /// # Safety
    /// `b` covers its shape ([`Mat::covers`]), and [`is_available`](super::is_available).
    pub(crate) unsafe fn pack(b: Mat, shape: [usize; 2]) -> Self {
        // SAFETY: the factor and the instructions are there, as `gemm::Right::new` and `host::linear` check.
        unsafe { Self::pack_for(Kind::all()[0], b, shape) }
    }

    /// [`Right::pack`] for one of [`Kind::all`].
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn pack_for(kind: Kind, b: Mat, [k, n]: [usize; 2]) -> Self {
        let columns = Strided::columns_of(b, [k, n]);
        let depth = depth(k);
        let lines = 2 * n.div_ceil(BLOCK);
        let mut packed = Unwritten::new(lines * depth);
        let part = (lines / (2 * rayon::current_num_threads())).clamp(2, 32);
        packed
            .slots()
            .par_chunks_mut(part * depth)
            .enumerate()
            .for_each(|(at, tiles)| {
                // SAFETY: as in `pack`.
                unsafe { columns.pack(at * part * SIDE, tiles, Lines::Depth) };
            });
        // SAFETY: the tasks cover all tiles, and `pack` writes each of its own.
        let tiles = unsafe { packed.written() };
        Self { tiles, k, n, kind }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.tiles.as_slice())
    }

    /// The values of a column, as they were rounded.
    pub(crate) fn column(&self, column: usize, values: &mut [f32]) {
        let tiles = &self.tiles[column / SIDE * depth(self.k)..];
        for (k, value) in values.iter_mut().enumerate().take(self.k) {
            let pair = tiles[k / DEPTH].0[k % DEPTH / 2 * SIDE + column % SIDE];
            *value = f32::from_bits(pair >> (k % 2 * 16) << 16);
        }
    }

    /// `out = keep·out + scale·a·self` for `a` `[m, k]`; a row does not depend on the others. `then(rows, columns)` is
    /// called for each piece of the result as soon as it is there, on the thread that made it; columns begin with a
    /// multiple of 64.
    ///
    /// # Safety
    /// `a` covers its shape ([`Mat::covers`]); `out` has `m` rows of `n` elements, `out_row` apart, which nobody else uses
    /// meanwhile, and which need not be written yet where `keep` is 0.
    #[allow(clippy::too_many_arguments)]
    pub(crate) unsafe fn product(
        &self,
        m: usize,
        scale: f32,
        a: Mat,
        keep: f32,
        out: *mut f32,
        out_row: usize,
        threads: Threads,
        then: impl Fn(Range<usize>, Range<usize>) + Sync,
    ) {
        let (k, n) = (self.k, self.n);
        let depth = depth(k);
        let columns = n.div_ceil(BLOCK);
        let left = Strided::rows_of(a, [m, k]);
        let rows = (PANEL / (2 * depth * DEPTH)).clamp(BLOCK, 256) / BLOCK * BLOCK;
        let panels = m.div_ceil(rows);
        // Few rows: threads share the columns instead.
        let workers = match threads {
            Threads::One => 1,
            Threads::Pool => rayon::current_num_threads(),
        };
        let parts = match panels < workers {
            true => workers.div_ceil(panels.max(1)).min(columns),
            false => 1,
        };
        let width = columns.div_ceil(parts.max(1)).next_multiple_of(2);
        let out = Out(out);
        let task = |task: usize| {
            let first = task / parts * rows;
            let used = rows.min((m - first).next_multiple_of(BLOCK));
            let mut panel = Unwritten::<Tile>::new(used / SIDE * depth);
            // SAFETY: the left factor covers its shape, as this function's caller promises; `pack` writes all tiles.
            let panel = unsafe {
                left.pack(first, panel.slots(), Lines::Rows);
                panel.written()
            };
            let part = task % parts;
            let [left_column, end] = [part, part + 1].map(|part| columns.min(part * width));
            let blocks = (left_column..end).flat_map(|column| {
                let right = &self.tiles[2 * column * depth..][..2 * depth];
                panel.chunks(2 * depth).enumerate().map(move |(row, left)| {
                    let (row, column) = (first + row * BLOCK, column * BLOCK);
                    Block {
                        left,
                        right,
                        next: self
                            .tiles
                            .as_ptr()
                            .wrapping_add(2 * (column / BLOCK + 1) * depth),
                        // SAFETY: the block begins inside the result.
                        out: unsafe { out.at(row * out_row + column) },
                        out_row,
                        rows: BLOCK.min(m - row),
                        columns: BLOCK.min(n - column),
                        scale,
                        keep,
                    }
                })
            });
            // SAFETY: tasks have rows or columns of their own, inside a result of the shape that the caller promises.
            unsafe {
                match self.kind {
                    Kind::Amx => amx::run(blocks),
                    Kind::Avx512 => avx512::run(blocks),
                }
            }
            then(
                first..m.min(first + used),
                left_column * BLOCK..n.min(end * BLOCK),
            );
        };
        match panels * parts {
            1 => task(0),
            tasks if workers == 1 => (0..tasks).for_each(task),
            tasks => (0..tasks).into_par_iter().for_each(task),
        }
    }
}

impl std::fmt::Debug for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Right({} × {})", self.k, self.n)
    }
}

#[derive(Clone, Copy)]
struct Out(*mut f32);
// SAFETY: tasks write to blocks of their own.
unsafe impl Send for Out {}
// SAFETY: tasks write to elements of their own.
unsafe impl Sync for Out {}

impl Out {
    /// # Safety
    /// Inside the result.
    unsafe fn at(&self, element: usize) -> *mut f32 {
        // SAFETY: `product` asks for elements of the result alone.
        unsafe { self.0.add(element) }
    }
}
