//! Rounding to bfloat16 and packing into tiles.
//!
//! A tile holds 16 × 32 values: of the left factor 16 rows and 32 columns, of the right one 32 rows
//! (two interleaved in a line) and 16 columns.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_load_si512, _mm512_maskz_loadu_ps,
    _mm512_permutex2var_epi64, _mm512_permutexvar_epi16, _mm512_setr_epi64, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use std::mem::MaybeUninit;

use crate::gemm::Mat;

/// Rows or columns of a tile.
pub(super) const SIDE: usize = 16;
/// Values of `k` in a tile.
pub(super) const DEPTH: usize = 32;

/// Values in the order in which a tile register loads them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [u32; 256]);

/// Tiles along `k`.
pub(super) fn depth(k: usize) -> usize {
    k.div_ceil(DEPTH).max(1)
}

/// Where the values of two rows, one after the other, come from when they are interleaved.
#[repr(align(64))]
struct Interleave([u16; DEPTH]);

static INTERLEAVE: Interleave = {
    let mut from = [0; DEPTH];
    let mut i = 0;
    while i < DEPTH {
        from[i] = (i / 2 + i % 2 * SIDE) as u16;
        i += 1;
    }
    Interleave(from)
};

/// What the lines of a tile run along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// A line for each row of the left factor, along `k`.
    Rows,
    /// A line for each pair of `k`, along the columns of the right factor.
    Depth,
}

/// A factor as its rows (left) or columns (right), each of `k` values.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    data: &'a [f32],
    /// From one row or column to the next.
    across: usize,
    /// From one value of `k` to the next.
    along: usize,
    count: usize,
    k: usize,
}
impl<'a> Strided<'a> {
    pub(super) fn rows_of(a: Mat<'a>, [m, k]: [usize; 2]) -> Self {
        Self {
            data: a.data,
            across: a.row,
            along: a.column,
            count: m,
            k,
        }
    }

    pub(super) fn columns_of(b: Mat<'a>, [k, n]: [usize; 2]) -> Self {
        Self {
            data: b.data,
            across: b.column,
            along: b.row,
            count: n,
            k,
        }
    }

    /// The tiles of sixteen rows or columns from `first` on, then those of the next sixteen, as many as
    /// `tiles` holds; zeros beyond the last.
    ///
    /// # Safety
    /// The factor covers its shape ([`Mat::covers`]), and the processor has AVX-512 BF16. All `tiles` are written.
    pub(super) unsafe fn pack(&self, first: usize, tiles: &mut [MaybeUninit<Tile>], lines: Lines) {
        let depth = depth(self.k);
        let count = tiles.len() / depth;
        let mut tile = |line: usize, at: usize| {
            let tile = &mut tiles[line * depth + at];
            let (first, k) = (first + line * SIDE, at * DEPTH);
            // SAFETY: the factor covers its shape and the instructions are there, as the caller promises.
            unsafe {
                match (self.along, self.across) {
                    (1, _) => self.along_k(first, k, tile, lines == Lines::Depth),
                    (_, 1) => self.across_k(first, k, tile, lines == Lines::Rows),
                    _ => self.scattered(first, k, tile, lines),
                }
            }
        };
        // Memory is read in the order in which it lies.
        match self.along {
            1 => (0..count).for_each(|line| (0..depth).for_each(|at| tile(line, at))),
            _ => (0..depth).for_each(|at| (0..count).for_each(|line| tile(line, at))),
        }
    }

    /// Packs where values of `k` are neighbours.
    ///
    /// # Safety
    /// As [`Strided::pack`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn along_k(
        &self,
        first: usize,
        depth: usize,
        tile: &mut MaybeUninit<Tile>,
        turned: bool,
    ) {
        let left = self.k.saturating_sub(depth);
        let masks = [mask(left), mask(left.saturating_sub(SIDE))];
        let mut lines = [zero(); SIDE];
        let there = self.count.saturating_sub(first).min(SIDE);
        for (i, line) in lines.iter_mut().take(there).enumerate() {
            // SAFETY: masked to the values that exist; a load whose mask is empty reads nothing.
            *line = unsafe {
                let from = self
                    .data
                    .as_ptr()
                    .wrapping_add((first + i) * self.across + depth);
                let low = _mm512_maskz_loadu_ps(masks[0], from);
                let high = _mm512_maskz_loadu_ps(masks[1], from.wrapping_add(SIDE));
                std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
            };
        }
        store(lines, tile, turned);
    }

    /// Packs where rows (or columns) are neighbours: pairs of `k` are interleaved.
    ///
    /// # Safety
    /// As [`Strided::pack`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn across_k(
        &self,
        first: usize,
        depth: usize,
        tile: &mut MaybeUninit<Tile>,
        turned: bool,
    ) {
        let there = mask(self.count.saturating_sub(first));
        let row = |k: usize| {
            let there = if k < self.k { there } else { 0 };
            // SAFETY: masked to the values that exist.
            unsafe {
                _mm512_maskz_loadu_ps(
                    there,
                    self.data.as_ptr().wrapping_add(k * self.along + first),
                )
            }
        };
        // SAFETY: a line of sixteen pairs.
        let interleave = unsafe { _mm512_load_si512((&raw const INTERLEAVE.0).cast()) };
        let mut lines = [zero(); SIDE];
        for (pair, line) in lines.iter_mut().enumerate() {
            let k = depth + 2 * pair;
            // SAFETY: vectors of 512 bits either way.
            let both = unsafe {
                std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(row(k + 1), row(k)))
            };
            *line = _mm512_permutexvar_epi16(interleave, both);
        }
        store(lines, tile, turned);
    }

    /// Packs whatever the strides are.
    ///
    /// # Safety
    /// As [`Strided::pack`].
    unsafe fn scattered(
        &self,
        first: usize,
        depth: usize,
        tile: &mut MaybeUninit<Tile>,
        lines: Lines,
    ) {
        let value = |i: usize, k: usize| -> u32 {
            if first + i >= self.count || k >= self.k {
                return 0;
            }
            // SAFETY: inside the factor.
            let value = unsafe {
                *self
                    .data
                    .as_ptr()
                    .add((first + i) * self.across + k * self.along)
            };
            rounded(value)
        };
        let mut values = [0; SIDE * SIDE];
        for i in 0..SIDE {
            for pair in 0..SIDE {
                let k = depth + 2 * pair;
                let at = match lines {
                    Lines::Rows => i * SIDE + pair,
                    Lines::Depth => pair * SIDE + i,
                };
                values[at] = value(i, k) | value(i, k + 1) << 16;
            }
        }
        tile.write(Tile(values));
    }
}

/// bfloat16 of a number, to nearest even; NaN stays NaN.
pub(super) fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => bits >> 16 | 0x40,
        false => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
    }
}

/// The first `count` of sixteen.
pub(super) fn mask(count: usize) -> u16 {
    match count {
        16.. => u16::MAX,
        _ => (1 << count) - 1,
    }
}

#[target_feature(enable = "avx512f")]
fn zero() -> __m512i {
    std::arch::x86_64::_mm512_setzero_si512()
}

#[target_feature(enable = "avx512f")]
fn store(lines: [__m512i; SIDE], tile: &mut MaybeUninit<Tile>, turned: bool) {
    let lines = if turned { transpose(lines) } else { lines };
    let to = tile.as_mut_ptr().cast::<__m512i>();
    for (at, line) in lines.into_iter().enumerate() {
        // SAFETY: a tile is sixteen lines of sixteen values of 32 bits; it begins at a cache line.
        unsafe { _mm512_storeu_si512(to.add(at), line) };
    }
}

/// Sixteen lines of sixteen values, turned: pairs, fours, then blocks of 128 bits.
#[target_feature(enable = "avx512f")]
fn transpose(lines: [__m512i; SIDE]) -> [__m512i; SIDE] {
    let mut pairs = [zero(); SIDE];
    for i in 0..8 {
        let (a, b) = (lines[2 * i], lines[2 * i + 1]);
        pairs[2 * i] = _mm512_unpacklo_epi32(a, b);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(a, b);
    }
    // fours[4·i + c]: column c of every block of four, rows 4·i to 4·i + 3.
    let mut fours = [zero(); SIDE];
    for i in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|j| pairs[4 * i + j]);
        fours[4 * i] = _mm512_unpacklo_epi64(a, c);
        fours[4 * i + 1] = _mm512_unpackhi_epi64(a, c);
        fours[4 * i + 2] = _mm512_unpacklo_epi64(b, d);
        fours[4 * i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    let mut turned = [zero(); SIDE];
    for column in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| fours[4 * i + column]);
        // Blocks 0 and 2 of two rows, then 1 and 3.
        let [ab_even, cd_even] =
            [(a, b), (c, d)].map(|(x, y)| _mm512_shuffle_i32x4::<0b10_00_10_00>(x, y));
        let [ab_odd, cd_odd] =
            [(a, b), (c, d)].map(|(x, y)| _mm512_shuffle_i32x4::<0b11_01_11_01>(x, y));
        let first = _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13);
        let second = _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15);
        turned[column] = _mm512_permutex2var_epi64(ab_even, first, cd_even);
        turned[column + 8] = _mm512_permutex2var_epi64(ab_even, second, cd_even);
        turned[column + 4] = _mm512_permutex2var_epi64(ab_odd, first, cd_odd);
        turned[column + 12] = _mm512_permutex2var_epi64(ab_odd, second, cd_odd);
    }
    turned
}
