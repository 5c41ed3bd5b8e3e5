//! The matrix product of [`PackedLinear`](super::PackedLinear): register tiles over rows and outputs, cache blocks over inputs.

use super::panels::{PANEL, Panels};
use crate::simd::{Kernel, LANES, Lanes};

/// Inputs of one cache block: 128 × 64 × 4 bytes = 32 KiB of a panel stay in the first-level cache (48 KiB).
const DEPTH: usize = 128;
/// Cache lines that a stream of weights is fetched ahead where only one tile of rows reads it (4 KiB). Where several
/// do, each fetches its share of the next cache block, so that memory and arithmetic work at the same time.
const AHEAD: usize = 64;

/// The product of some rows with one panel.
pub(super) struct Block<'a> {
    pub(super) panels: &'a Panels,
    pub(super) panel: usize,
    pub(super) x: *const f32,
    pub(super) y: *mut f32,
    pub(super) rows: usize,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let vectors = self.panels.vectors(self.panel);
        // SAFETY: the item covers rows and outputs that exist.
        unsafe {
            if !S::WIDE && self.rows > 1 {
                // A loop, not `for_each`: a closure may stay a function without the instructions.
                for v in 0..vectors {
                    self.rows::<S, 1>(v);
                }
                return;
            }
            match vectors {
                4 => self.rows::<S, 4>(0),
                3 => self.rows::<S, 3>(0),
                2 => self.rows::<S, 2>(0),
                _ => self.rows::<S, 1>(0),
            }
        }
    }
}

/// One register tile: `R` rows by `N` vectors of outputs over `depth` inputs.
pub(super) struct Tile {
    pub(super) depth: usize,
    pub(super) x: *const f32,
    pub(super) x_stride: usize,
    pub(super) w: *const f32,
    pub(super) w_stride: usize,
    /// Lines to bring nearer while this tile computes, and how many of them for every four inputs.
    pub(super) ahead: *const f32,
    pub(super) lines: usize,
    /// Where the chains begin: the bias, or `y` itself when an earlier block wrote it.
    pub(super) begin: Option<*const f32>,
    pub(super) y: *mut f32,
    pub(super) y_stride: usize,
    /// Lanes of the last vector that exist in `y`.
    pub(super) last: usize,
}

impl Block<'_> {
    /// All rows with `N` vectors of the panel from vector `v` on.
    #[inline(always)]
    unsafe fn rows<S: Lanes, const N: usize>(&self, v: usize) {
        let panels = self.panels;
        let (inputs, vectors) = (panels.inputs, panels.vectors(self.panel));
        let column = self.panel * PANEL + v * LANES;
        let last = (panels.outputs - column - (N - 1) * LANES).min(LANES);
        // 6 × 4 and 8 × 3 accumulators, their weights and one broadcast fit in 32 registers (6 × 2 halves in 16).
        let tallest = if N == 4 || !S::WIDE { 6 } else { 8 };
        let tiles = self.rows.div_ceil(tallest);
        let depth = if tiles == 1 { inputs } else { DEPTH };
        // The first pass over a panel fetches it for all.
        let lines = if v == 0 {
            (4 * vectors).div_ceil(tiles)
        } else {
            0
        };
        let distance = if tiles == 1 { AHEAD } else { DEPTH * vectors };
        // SAFETY: the panel begins at this line and has `inputs × vectors` lines; rows and columns exist.
        unsafe {
            let panel = panels
                .lines
                .as_ptr()
                .cast::<f32>()
                .add(self.panel * PANEL * inputs + v * LANES);
            for k in (0..inputs).step_by(depth) {
                let slab = panel.add(k * vectors * LANES);
                for t in 0..tiles {
                    let (first, end) = (self.rows * t / tiles, self.rows * (t + 1) / tiles);
                    let tile = Tile {
                        depth: depth.min(inputs - k),
                        x: self.x.add(first * inputs + k),
                        x_stride: inputs,
                        w: slab,
                        w_stride: vectors * LANES,
                        ahead: slab
                            .wrapping_add(distance * LANES + t * lines * (depth / 4) * LANES),
                        lines,
                        begin: (k == 0).then(|| panels.bias.as_ptr().add(column)),
                        y: self.y.add(first * panels.outputs + v * LANES),
                        y_stride: panels.outputs,
                        last,
                    };
                    tile.rows::<S, N>(end - first);
                }
            }
        }
    }
}

impl Tile {
    /// The tile of `count` rows: at most six, or eight where the processor has the registers.
    #[inline(always)]
    pub(super) unsafe fn rows<S: Lanes, const N: usize>(&self, count: usize) {
        // SAFETY: sizes were checked where the product was made; this passes them on.
        unsafe {
            match count {
                1 => self.run::<S, 1, N>(),
                2 => self.run::<S, 2, N>(),
                3 => self.run::<S, 3, N>(),
                4 => self.run::<S, 4, N>(),
                5 => self.run::<S, 5, N>(),
                6 => self.run::<S, 6, N>(),
                7 if N < 4 && S::WIDE => self.run::<S, 7, N>(),
                8 if N < 4 && S::WIDE => self.run::<S, 8, N>(),
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn run<S: Lanes, const R: usize, const N: usize>(&self) {
        // SAFETY: the caller made all pointers from existing rows, columns and inputs.
        unsafe {
            let mut sums = [[S::splat(0.0); N]; R];
            for (r, row) in sums.iter_mut().enumerate() {
                for (n, sum) in row.iter_mut().enumerate() {
                    let y = self.y.add(r * self.y_stride + n * LANES);
                    *sum = match self.begin {
                        Some(bias) => S::load(bias.add(n * LANES)),
                        None if n + 1 < N || self.last == LANES => S::load(y),
                        None => S::load_part(y, self.last),
                    };
                }
            }
            let mut w = self.w;
            let mut ahead = self.ahead;
            for k in 0..self.depth {
                if k % 4 == 0 {
                    for _ in 0..self.lines {
                        S::prefetch(ahead);
                        ahead = ahead.wrapping_add(LANES);
                    }
                }
                let mut weights = [S::splat(0.0); N];
                for (n, weight) in weights.iter_mut().enumerate() {
                    *weight = S::load(w.add(n * LANES));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = S::splat(*self.x.add(r * self.x_stride + k));
                    for (n, sum) in row.iter_mut().enumerate() {
                        *sum = x.fma(weights[n], *sum);
                    }
                }
                w = w.wrapping_add(self.w_stride);
            }
            for (r, row) in sums.iter().enumerate() {
                for (n, sum) in row.iter().enumerate() {
                    let y = self.y.add(r * self.y_stride + n * LANES);
                    if n + 1 < N || self.last == LANES {
                        sum.store(y);
                    } else {
                        sum.store_part(y, self.last);
                    }
                }
            }
        }
    }
}
