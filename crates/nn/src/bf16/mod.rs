//! Matrix products in bfloat16 with f32 sums, on x86 processors that have instructions for them.
//!
//! Factors are rounded to bfloat16 (8 bits of mantissa, to nearest even) while they are packed into
//! tiles; each sum of `k` products is kept in f32. That is what `torch.autocast` does to a linear
//! layer, but for its result, which stays f32 here.
//!
//! Packing ([`pack`]), threads and the API are the same everywhere; only the kernel that multiplies
//! two lines of tiles is the processor's: [`amx`] (Intel, from 2023) or [`avx512`] (`VDPBF16PS`: AMD
//! from Zen 4, Intel from Cooper Lake). Both add along `k` in a fixed order, but not in the same one:
//! bits are equal on processors of a kind.

mod amx;
mod avx512;
mod pack;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::gemm::Mat;
use crate::host::Threads;
use pack::{DEPTH, Lines, SIDE, Strided, Tile, depth, tiles};

/// Rows and columns of sums that a kernel makes at once.
const BLOCK: usize = 2 * SIDE;
/// Bytes of the packed left factor that a task walks over again and again: a quarter of the L2
/// cache of a core (half of it on Zen 4).
const PANEL: usize = 512 << 10;

/// The instructions that multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tiles of AMX.
    Amx,
    /// `VDPBF16PS` on vectors.
    Avx512,
}

impl Kind {
    /// All that this processor has and the system lets us use, the fastest first. Asks the system at
    /// the first call.
    fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
            let amx = amx::is_available().then_some(Kind::Amx);
            let avx512 = avx512::is_available().then_some(Kind::Avx512);
            amx.into_iter().chain(avx512).collect()
        });
        &ALL
    }
}

/// Whether this machine multiplies bfloat16.
pub(crate) fn is_available() -> bool {
    !Kind::all().is_empty()
}

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
    /// Its elements are in memory, and [`is_available`].
    pub(crate) unsafe fn pack(b: Mat, shape: [usize; 2]) -> Self {
        // SAFETY: the factor and the instructions are there, as `gemm::Right::new` and `host::linear` check.
        unsafe { Self::pack_for(Kind::all()[0], b, shape) }
    }

    /// [`Right::pack`] for one of [`Kind::all`].
    ///
    /// # Safety
    /// As there.
    unsafe fn pack_for(kind: Kind, b: Mat, [k, n]: [usize; 2]) -> Self {
        let columns = Strided::columns_of(b, [k, n]);
        let depth = depth(k);
        let lines = 2 * n.div_ceil(BLOCK);
        let mut packed = tiles(lines * depth);
        let part = (lines / (2 * rayon::current_num_threads())).clamp(2, 32);
        packed
            .par_chunks_mut(part * depth)
            .enumerate()
            .for_each(|(at, tiles)| {
                // SAFETY: as in `pack`.
                unsafe { columns.pack(at * part * SIDE, tiles, Lines::Depth) };
            });
        let tiles = packed;
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
    /// As [`crate::gemm::Right::product`]; and [`is_available`].
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
            let mut panel = tiles(used / SIDE * depth);
            // SAFETY: the left factor covers its shape, as `gemm::Right::product` checks.
            unsafe { left.pack(first, &mut panel, Lines::Rows) };
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

/// At most 32 × 32 sums: `out = keep·out + scale·left·right`.
struct Block<'a> {
    /// Two lines of tiles, of sixteen rows each.
    left: &'a [Tile],
    /// Two lines of tiles, of sixteen columns each.
    right: &'a [Tile],
    /// Those of the next columns; beyond the last ones nothing is there.
    next: *const Tile,
    out: *mut f32,
    out_row: usize,
    rows: usize,
    columns: usize,
    scale: f32,
    keep: f32,
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
