//! Attention of many rows of queries to the same blocks of sixteen tokens.
//!
//! Blocks are those of [`super::kv`]: keys `[d][16]`, values `[16][d rounded up to 16]`. A score is one chain of
//! multiply-adds over the head's values; a value is two chains, over even and over odd tokens. Register tiles decide when
//! a link of a chain is computed, never the chain, so rows give the same bits alone and together, and the bits of
//! [`super::attention`].

use super::blocks::Blocks;
use super::kv::BLOCK;
use super::views::{Rows, RowsMut};
use crate::simd::{LANES, Lanes};

/// Blocks whose values come one after the other through all rows: 32 KiB of heads of 64.
const VALUE_BLOCKS: usize = 8;

/// `out[row][block · 16 + token] = scale · q[row]·key` for all rows and blocks; keys begin `keys` into a block.
///
/// # Safety
/// Queries, blocks and as many rows of `out` exist; the processor has the instructions.
#[inline(always)]
pub(crate) unsafe fn scores<S: Lanes, L: Blocks>(
    q: Rows<'_>,
    head_dim: usize,
    scale: f32,
    (blocks, keys): (L, usize),
    out: RowsMut<'_>,
) {
    // SAFETY: `Rows` were made of arrays with these rows and the blocks are those of a cache, as each caller says.
    unsafe {
        let mut block = 0;
        while block < blocks.len() {
            let left = blocks.len() - block;
            let out = out.shift(block * BLOCK);
            match (left, S::WIDE) {
                (4.., true) => {
                    score_rows::<S, 6, 4>(q, head_dim, scale, at(blocks, block, keys), out)
                }
                (2.., _) => score_rows::<S, 3, 2>(q, head_dim, scale, at(blocks, block, keys), out),
                _ => score_rows::<S, 3, 1>(q, head_dim, scale, at(blocks, block, keys), out),
            }
            block += match (left, S::WIDE) {
                (4.., true) => 4,
                (2.., _) => 2,
                _ => 1,
            };
        }
    }
}

/// `B` blocks from `first` on, `offset` into each.
#[inline(always)]
unsafe fn at<L: Blocks, const B: usize>(blocks: L, first: usize, offset: usize) -> [*const f32; B] {
    // SAFETY: the caller has as many.
    std::array::from_fn(|b| unsafe { blocks.block(first + b).add(offset) })
}

/// All rows, up to `R` at a time, with `B` blocks.
#[inline(always)]
unsafe fn score_rows<S: Lanes, const R: usize, const B: usize>(
    q: Rows<'_>,
    head_dim: usize,
    scale: f32,
    keys: [*const f32; B],
    out: RowsMut<'_>,
) {
    let mut row = 0;
    // SAFETY: the rows exist.
    unsafe {
        while row < q.len {
            let left = (q.len - row).min(R);
            let (data, to) = (q.data.add(row * q.row), out.data.add(row * out.row));
            match left {
                6 => score_tile::<S, 6, B>(data, q.row, head_dim, scale, keys, to, out.row),
                5 => score_tile::<S, 5, B>(data, q.row, head_dim, scale, keys, to, out.row),
                4 => score_tile::<S, 4, B>(data, q.row, head_dim, scale, keys, to, out.row),
                3 => score_tile::<S, 3, B>(data, q.row, head_dim, scale, keys, to, out.row),
                2 => score_tile::<S, 2, B>(data, q.row, head_dim, scale, keys, to, out.row),
                _ => score_tile::<S, 1, B>(data, q.row, head_dim, scale, keys, to, out.row),
            }
            row += left;
        }
    }
}

#[inline(always)]
unsafe fn score_tile<S: Lanes, const R: usize, const B: usize>(
    q: *const f32,
    q_row: usize,
    head_dim: usize,
    scale: f32,
    keys: [*const f32; B],
    out: *mut f32,
    out_row: usize,
) {
    // SAFETY: `R` rows and `B` blocks exist.
    unsafe {
        let mut sums = [[S::splat(0.0); B]; R];
        for d in 0..head_dim {
            let mut k = [S::splat(0.0); B];
            for (k, keys) in k.iter_mut().zip(keys) {
                *k = S::load(keys.add(d * BLOCK));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = S::splat(*q.add(r * q_row + d));
                for (b, sum) in sums.iter_mut().enumerate() {
                    *sum = x.fma(k[b], *sum);
                }
            }
        }
        let scale = S::splat(scale);
        for (r, sums) in sums.iter().enumerate() {
            for (b, sum) in sums.iter().enumerate() {
                sum.mul(scale).store(out.add(r * out_row + b * BLOCK));
            }
        }
    }
}

/// Sets the scores past the first `seen` to −∞, turns the row into `e^(s − max)` and returns the sum: sixteen lanes,
/// folded.
///
/// # Safety
/// The row is whole vectors; the processor has the instructions.
#[inline(always)]
pub(crate) unsafe fn softmax<S: Lanes>(row: &mut [f32], seen: usize) -> f32 {
    row[seen..].fill(f32::NEG_INFINITY);
    let p = row.as_ptr();
    // SAFETY: a row is whole vectors.
    unsafe {
        let mut largest = S::load(p);
        for i in (LANES..row.len()).step_by(LANES) {
            largest = largest.max(S::load(p.add(i)));
        }
        exponentials::<S>(row, largest.largest())
    }
}

/// Turns the row into `e^(s − most)` and returns the sum, as [`softmax`].
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn exponentials<S: Lanes>(row: &mut [f32], most: f32) -> f32 {
    let p = row.as_mut_ptr();
    // SAFETY: a row is whole vectors.
    unsafe {
        let (most, mut total) = (S::splat(most), S::splat(0.0));
        for i in (0..row.len()).step_by(LANES) {
            let e = S::load(p.add(i)).sub(most).exp();
            e.store(p.add(i));
            total = total.add(e);
        }
        total.sum()
    }
}

/// `sums[row][parity] += Σ p[row][token] · value` over the tokens of each parity; values begin `values` into a block,
/// `sums` are `[rows][2][padded]`.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(crate) unsafe fn values<S: Lanes, L: Blocks>(
    p: Rows<'_>,
    padded: usize,
    (blocks, values): (L, usize),
    sums: &mut [f32],
) {
    let sums = sums.as_mut_ptr();
    // A bound that the compiler does not know: it would unroll the whole block and spill its loads.
    let pairs = std::hint::black_box(BLOCK / 2);
    let mut first = 0;
    // SAFETY: as in `scores`.
    unsafe {
        while first < blocks.len() {
            let count = (blocks.len() - first).min(VALUE_BLOCKS);
            let p = p.shift(first * BLOCK);
            let mut column = 0;
            while column < padded {
                let vectors = match (padded - column) / LANES {
                    4.. if S::WIDE => 4,
                    2.. => 2,
                    _ => 1,
                };
                let part = Part {
                    blocks,
                    offset: values + column,
                    first,
                    count,
                    pairs,
                    padded,
                };
                let sums = sums.add(column);
                match vectors {
                    4 => part.rows::<S, 6, 4>(p, sums),
                    2 => part.rows::<S, 3, 2>(p, sums),
                    _ => part.rows::<S, 3, 1>(p, sums),
                }
                column += vectors * LANES;
            }
            first += count;
        }
    }
}

/// Some columns of the values of some blocks.
#[derive(Clone, Copy)]
struct Part<L> {
    blocks: L,
    offset: usize,
    first: usize,
    count: usize,
    /// Pairs of tokens in a block.
    pairs: usize,
    padded: usize,
}

impl<L: Blocks> Part<L> {
    #[inline(always)]
    unsafe fn rows<S: Lanes, const R: usize, const N: usize>(self, p: Rows<'_>, sums: *mut f32) {
        let mut row = 0;
        // SAFETY: the rows exist.
        unsafe {
            while row < p.len {
                let left = (p.len - row).min(R);
                for parity in 0..2 {
                    let data = p.data.add(row * p.row + parity);
                    let to = sums.add((2 * row + parity) * self.padded);
                    match left {
                        6 => self.tile::<S, 6, N>(parity, data, p.row, to),
                        5 => self.tile::<S, 5, N>(parity, data, p.row, to),
                        4 => self.tile::<S, 4, N>(parity, data, p.row, to),
                        3 => self.tile::<S, 3, N>(parity, data, p.row, to),
                        2 => self.tile::<S, 2, N>(parity, data, p.row, to),
                        _ => self.tile::<S, 1, N>(parity, data, p.row, to),
                    }
                }
                row += left;
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<S: Lanes, const R: usize, const N: usize>(
        self,
        parity: usize,
        p: *const f32,
        p_row: usize,
        to: *mut f32,
    ) {
        // SAFETY: `R` rows, the blocks and their tokens of this parity exist.
        unsafe {
            let mut sums = [[S::splat(0.0); N]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = S::load(to.add(2 * r * self.padded + n * LANES));
                }
            }
            for block in 0..self.count {
                let block_values = self.blocks.block(self.first + block).add(self.offset);
                let p = p.add(block * BLOCK);
                for pair in 0..self.pairs {
                    let v = block_values.add((2 * pair + parity) * self.padded);
                    let mut value = [S::splat(0.0); N];
                    for (n, value) in value.iter_mut().enumerate() {
                        *value = S::load(v.add(n * LANES));
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let weight = S::splat(*p.add(r * p_row + 2 * pair));
                        for (n, sum) in sums.iter_mut().enumerate() {
                            *sum = weight.fma(value[n], *sum);
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (n, sum) in sums.iter().enumerate() {
                    sum.store(to.add(2 * r * self.padded + n * LANES));
                }
            }
        }
    }
}
