//! Matrix products in bfloat16 with f32 sums, on the tiles of AMX (Intel processors, Linux).
//!
//! Factors are rounded to bfloat16 (8 bits of mantissa, to nearest even) while they are packed into
//! tiles; each sum of `k` products is kept in f32. That is what `torch.autocast` does to a linear
//! layer, but for its result, which stays f32 here.
//!
//! A tile holds 16 × 32 values: of the left factor 16 rows and 32 columns, of the right one 32 rows
//! (two interleaved in a line) and 16 columns. `TDPBF16PS` multiplies two into 16 × 16 sums. The
//! kernel keeps 32 × 32 sums in four tiles and walks along `k`; each of the four others is loaded for
//! two products. The compiler never uses tile registers, so the inline assembly owns them from
//! `LDTILECFG` to `TILERELEASE`.

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid, __cpuid_count, __m256bh, __m256i, __m512bh, __m512i, _mm512_cvtepu16_epi32,
    _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_maskz_loadu_ps, _mm512_or_si512,
    _mm512_permutex2var_epi64, _mm512_setr_epi64, _mm512_shuffle_i32x4, _mm512_slli_epi32,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _xgetbv,
};
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::gemm::Mat;
use crate::host::Threads;

/// Rows and columns of a tile of sums.
const SIDE: usize = 16;
/// Values of `k` in a tile.
const DEPTH: usize = 32;
/// Rows and columns of sums that the kernel keeps.
const BLOCK: usize = 2 * SIDE;
/// Bytes of the packed left factor that a task walks over again and again: a quarter of the L2
/// cache of a core.
const PANEL: usize = 512 << 10;

/// Values in the order in which a tile register loads them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([u32; 256]);

/// Whether this processor has the instructions and the system lets us use them. Asks the system at
/// the first call.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| has_instructions() && request_tiles());
    *AVAILABLE
}

fn has_instructions() -> bool {
    const TILES: u32 = 1 << 24;
    const BF16: u32 = 1 << 22;
    const SAVED: u64 = 3 << 17;
    let vectors = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("xsave");
    if !vectors || __cpuid(0).eax < 7 {
        return false;
    }
    let leaf = __cpuid_count(7, 0);
    // SAFETY: the processor has `xsave`.
    let saved = unsafe { xgetbv() };
    leaf.edx & TILES != 0 && leaf.edx & BF16 != 0 && saved & SAVED == SAVED
}

#[target_feature(enable = "xsave")]
fn xgetbv() -> u64 {
    // SAFETY: register 0 exists wherever `xsave` does.
    unsafe { _xgetbv(0) }
}

/// Linux gives a process the memory for tile registers when it asks for it.
#[cfg(target_os = "linux")]
fn request_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes which registers the system saves, and no memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn request_tiles() -> bool {
    false
}

/// As [`product`](crate::gemm::product), in bfloat16.
///
/// # Safety
/// As there; and [`is_available`].
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn product(
    [m, k, n]: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
    keep: f32,
    out: *mut f32,
    out_row: usize,
) {
    let threads = Threads::Pool;
    // SAFETY: the caller's promise.
    unsafe {
        let right = Right::pack(b, [k, n]);
        right.product(m, scale, a, keep, out, out_row, threads);
    }
}

/// A right factor `[k, n]`, rounded and packed.
#[derive(Clone)]
pub(crate) struct Right {
    /// Sixteen columns after sixteen columns, each along `k`; an even number of them.
    tiles: Vec<Tile>,
    k: usize,
    n: usize,
}

impl Right {
    /// Packs a factor.
    ///
    /// # Safety
    /// Its elements are in memory, and [`is_available`].
    pub(crate) unsafe fn pack(b: Mat, [k, n]: [usize; 2]) -> Self {
        let columns = Strided::columns_of(b, [k, n]);
        let depth = depth(k);
        let mut packed = tiles(2 * n.div_ceil(BLOCK) * depth);
        packed
            .par_chunks_mut(depth)
            .enumerate()
            .with_min_len(4)
            // SAFETY: the caller's promise.
            .for_each(|(line, tiles)| unsafe { columns.pack(line * SIDE, tiles, Lines::Depth) });
        let tiles = packed;
        Self { tiles, k, n }
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

    /// `out = keep·out + scale·a·self` for `a` `[m, k]`; a row does not depend on the others.
    ///
    /// # Safety
    /// As [`product`](crate::gemm::product); and [`is_available`].
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
        let width = columns.div_ceil(parts.max(1));
        let sums = Sums {
            out: Out(out),
            out_row,
            m,
            n,
            scale,
            keep,
            depth,
        };
        let task = |task: usize| {
            let first = task / parts * rows;
            let used = rows.min((m - first).next_multiple_of(BLOCK));
            let mut panel = tiles(used / SIDE * depth);
            for (line, tiles) in panel.chunks_mut(depth).enumerate() {
                // SAFETY: the caller's promise.
                unsafe { left.pack(first + line * SIDE, tiles, Lines::Rows) };
            }
            let part = task % parts;
            configure();
            for column in part * width..((part + 1) * width).min(columns) {
                let right = &self.tiles[2 * column * depth..][..2 * depth];
                for (row, left) in panel.chunks(2 * depth).enumerate() {
                    // SAFETY: tasks have rows or columns of their own; the caller's promise.
                    unsafe { sums.block(first + row * BLOCK, column * BLOCK, left, right) };
                }
            }
            release();
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

/// Tiles along `k`.
fn depth(k: usize) -> usize {
    k.div_ceil(DEPTH).max(1)
}

fn tiles(count: usize) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(count);
    // SAFETY: integers have no invalid bit pattern, and packing writes whole tiles before any is read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        tiles.set_len(count);
    }
    tiles
}

/// Eight tiles of sixteen lines of 64 bytes.
fn configure() {
    #[repr(C, align(64))]
    struct Config {
        palette: u8,
        start: u8,
        reserved: [u8; 14],
        line_bytes: [u16; 16],
        lines: [u8; 16],
    }
    let mut config = Config {
        palette: 1,
        start: 0,
        reserved: [0; 14],
        line_bytes: [0; 16],
        lines: [0; 16],
    };
    config.line_bytes[..8].fill(64);
    config.lines[..8].fill(16);
    // SAFETY: the configuration is 64 bytes of palette 1, which every processor with AMX has.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
}

fn release() {
    // SAFETY: gives up tile registers, which only this file uses.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Where sums go.
struct Sums {
    out: Out,
    out_row: usize,
    m: usize,
    n: usize,
    scale: f32,
    keep: f32,
    depth: usize,
}

#[derive(Clone, Copy)]
struct Out(*mut f32);
// SAFETY: tasks write to blocks of their own.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Sums {
    /// The 32 × 32 sums from (`row`, `column`) on, as far as the result reaches.
    ///
    /// # Safety
    /// The block is inside the result, nobody else writes to it, and the thread is configured.
    unsafe fn block(&self, row: usize, column: usize, left: &[Tile], right: &[Tile]) {
        let rows = BLOCK.min(self.m - row);
        let columns = BLOCK.min(self.n - column);
        // SAFETY: inside the result.
        let out = unsafe { self.out.0.add(row * self.out_row + column) };
        let whole = rows == BLOCK && columns == BLOCK;
        if whole && self.keep == 0.0 && self.scale == 1.0 {
            // SAFETY: a whole block of the result.
            unsafe { multiply(self.depth, left, right, out, self.out_row) };
            return;
        }
        #[repr(align(64))]
        struct Buffer([f32; BLOCK * BLOCK]);
        let mut buffer = Buffer([0.0; BLOCK * BLOCK]);
        // SAFETY: the buffer has the size of a block.
        unsafe { multiply(self.depth, left, right, buffer.0.as_mut_ptr(), BLOCK) };
        for (i, sums) in buffer.0.chunks_exact(BLOCK).take(rows).enumerate() {
            // SAFETY: `columns` values of a row of the result.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * self.out_row), columns) };
            match self.keep == 0.0 {
                true => out
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(out, sum)| *out = self.scale * sum),
                false => out
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(out, sum)| *out = self.keep * *out + self.scale * sum),
            }
        }
    }
}

/// 32 × 32 sums over `2 · depth` tiles of each factor, to `out` with rows `out_row` apart.
///
/// # Safety
/// The thread is configured; `out` has 32 rows of 32 values.
unsafe fn multiply(depth: usize, left: &[Tile], right: &[Tile], out: *mut f32, out_row: usize) {
    assert_eq!((left.len(), right.len()), (2 * depth, 2 * depth));
    // SAFETY: reads the tiles of both slices, writes 32 × 32 values.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line}]",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a0}, 1024",
            "add {a1}, 1024",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "dec {depth}",
            "jnz 2b",
            "tilestored [{out} + {row}], tmm0",
            "tilestored [{out} + {row} + 64], tmm1",
            "tilestored [{below} + {row}], tmm2",
            "tilestored [{below} + {row} + 64], tmm3",
            a0 = inout(reg) left.as_ptr() => _,
            a1 = inout(reg) left.as_ptr().add(depth) => _,
            b0 = inout(reg) right.as_ptr() => _,
            b1 = inout(reg) right.as_ptr().add(depth) => _,
            depth = inout(reg) depth => _,
            line = in(reg) 64usize,
            row = in(reg) out_row * size_of::<f32>(),
            out = in(reg) out,
            below = in(reg) out.add(SIDE * out_row),
            options(nostack),
        );
    }
}

/// What the lines of a tile run along.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// A line for each row of the left factor, along `k`.
    Rows,
    /// A line for each pair of `k`, along the columns of the right factor.
    Depth,
}

/// A factor as its rows (left) or columns (right), each of `k` values.
#[derive(Clone, Copy)]
struct Strided {
    data: *const f32,
    /// From one row or column to the next.
    across: usize,
    /// From one value of `k` to the next.
    along: usize,
    count: usize,
    k: usize,
}
// SAFETY: only read.
unsafe impl Send for Strided {}
// SAFETY: as above.
unsafe impl Sync for Strided {}

impl Strided {
    fn rows_of(a: Mat, [m, k]: [usize; 2]) -> Self {
        Self {
            data: a.data,
            across: a.row,
            along: a.column,
            count: m,
            k,
        }
    }

    fn columns_of(b: Mat, [k, n]: [usize; 2]) -> Self {
        Self {
            data: b.data,
            across: b.column,
            along: b.row,
            count: n,
            k,
        }
    }

    /// The tiles of sixteen rows or columns from `first` on, zeros beyond the last.
    ///
    /// # Safety
    /// The factor's values are in memory, and [`is_available`].
    unsafe fn pack(&self, first: usize, tiles: &mut [Tile], lines: Lines) {
        for (at, tile) in tiles.iter_mut().enumerate() {
            let depth = at * DEPTH;
            // SAFETY: the caller's promise.
            unsafe {
                match (self.along, self.across) {
                    (1, _) => self.along_k(first, depth, tile, lines == Lines::Depth),
                    (_, 1) => self.across_k(first, depth, tile, lines == Lines::Rows),
                    _ => self.scattered(first, depth, tile, lines),
                }
            }
        }
    }

    /// Packs where values of `k` are neighbours.
    ///
    /// # Safety
    /// As [`Strided::pack`].
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn along_k(&self, first: usize, depth: usize, tile: &mut Tile, turned: bool) {
        let left = self.k.saturating_sub(depth);
        let masks = [mask(left), mask(left.saturating_sub(SIDE))];
        let mut lines = [zero(); SIDE];
        let there = self.count.saturating_sub(first).min(SIDE);
        for (i, line) in lines.iter_mut().take(there).enumerate() {
            // SAFETY: masked to the values that exist; a load whose mask is empty reads nothing.
            *line = unsafe {
                let from = self.data.wrapping_add((first + i) * self.across + depth);
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
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn across_k(&self, first: usize, depth: usize, tile: &mut Tile, turned: bool) {
        let there = mask(self.count.saturating_sub(first));
        let half = |k: usize| -> __m512i {
            if k >= self.k {
                return zero();
            }
            // SAFETY: masked to the values that exist.
            unsafe {
                let from = self.data.wrapping_add(k * self.along + first);
                let rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from));
                _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(rounded))
            }
        };
        let mut lines = [zero(); SIDE];
        for (pair, line) in lines.iter_mut().enumerate() {
            let k = depth + 2 * pair;
            *line = _mm512_or_si512(half(k), _mm512_slli_epi32(half(k + 1), 16));
        }
        store(lines, tile, turned);
    }

    /// Packs whatever the strides are.
    ///
    /// # Safety
    /// As [`Strided::pack`].
    unsafe fn scattered(&self, first: usize, depth: usize, tile: &mut Tile, lines: Lines) {
        let value = |i: usize, k: usize| -> u32 {
            if first + i >= self.count || k >= self.k {
                return 0;
            }
            // SAFETY: inside the factor.
            let value = unsafe { *self.data.add((first + i) * self.across + k * self.along) };
            rounded(value)
        };
        for i in 0..SIDE {
            for pair in 0..SIDE {
                let k = depth + 2 * pair;
                let at = match lines {
                    Lines::Rows => i * SIDE + pair,
                    Lines::Depth => pair * SIDE + i,
                };
                tile.0[at] = value(i, k) | value(i, k + 1) << 16;
            }
        }
    }
}

/// bfloat16 of a number, to nearest even; NaN stays NaN.
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => bits >> 16 | 0x40,
        false => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
    }
}

/// The first `count` of sixteen.
fn mask(count: usize) -> u16 {
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
fn store(lines: [__m512i; SIDE], tile: &mut Tile, turned: bool) {
    let lines = if turned { transpose(lines) } else { lines };
    for (line, to) in lines.into_iter().zip(tile.0.chunks_exact_mut(SIDE)) {
        // SAFETY: sixteen values of 32 bits.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), line) };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    fn bf16(x: f32) -> f64 {
        f64::from(f32::from_bits(rounded(x) << 16))
    }

    /// Ragged shapes, every order of factors, scale and keep, against sums of rounded factors in f64.
    #[test]
    fn a_product_is_that_of_the_rounded_factors() {
        if !is_available() {
            println!("skipped: this machine has no AMX");
            return;
        }
        let shapes = [
            [1, 1, 1],
            [3, 5, 7],
            [32, 32, 32],
            [33, 31, 65],
            [64, 100, 40],
            [300, 70, 96],
            [16, 257, 530],
            [5, 1030, 3],
        ];
        for shape @ [m, k, n] in shapes {
            for turned in 0..8u32 {
                let (a, b) = (values(m * k, turned), values(k * n, 9 + turned));
                let left = match turned & 1 {
                    0 => Mat::rows(&a, k),
                    _ => Mat::rows(&a, m).t(),
                };
                let right = match turned & 2 {
                    0 => Mat::rows(&b, n),
                    _ => Mat::rows(&b, k).t(),
                };
                let (scale, keep) = if turned & 4 == 0 {
                    (1.0, 0.0)
                } else {
                    (0.5, 2.0)
                };
                let row = n + 3;
                let before = values(m * row, 77);
                let mut out = before.clone();
                // SAFETY: matrices of `shape`; available.
                unsafe { product(shape, scale, left, right, keep, out.as_mut_ptr(), row) };
                for i in 0..m {
                    for j in 0..row {
                        let at = i * row + j;
                        let mut want = f64::from(before[at]);
                        if j < n {
                            let sum: f64 = (0..k)
                                .map(|l| {
                                    bf16(
                                        a[i * left.row * usize::from(turned & 1 == 0)
                                            + i * usize::from(turned & 1 == 1)
                                            + l * left.column],
                                    ) * bf16(b[l * right.row + j * right.column])
                                })
                                .sum();
                            want = f64::from(keep) * want + f64::from(scale) * sum;
                        }
                        let error = (f64::from(out[at]) - want).abs();
                        assert!(
                            error < 1e-5 * (k as f64).sqrt(),
                            "{shape:?} {turned} {i} {j}: {error}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_packed_factor_gives_its_columns_back_and_rows_the_same_bits_alone_and_together() {
        if !is_available() {
            println!("skipped: this machine has no AMX");
            return;
        }
        let (m, k, n) = (70, 45, 83);
        let (a, b) = (values(m * k, 1), values(n * k, 2));
        // SAFETY: matrices over live slices; available.
        let right = unsafe { Right::pack(Mat::rows(&b, k).t(), [k, n]) };
        let mut column = vec![0.0; k];
        right.column(82, &mut column);
        let rounded: Vec<f32> = b[82 * k..].iter().map(|&x| bf16(x) as f32).collect();
        assert_eq!(column, rounded);
        let run = |rows: std::ops::Range<usize>, threads| {
            let a = &a[rows.start * k..rows.end * k];
            let mut out = vec![0.0; rows.len() * n];
            let left = Mat::rows(a, k);
            // SAFETY: as above.
            unsafe {
                right.product(rows.len(), 1.0, left, 0.0, out.as_mut_ptr(), n, threads);
            }
            out
        };
        let together = run(0..m, Threads::Pool);
        assert_eq!(run(0..m, Threads::One), together);
        for row in [0, 31, 69] {
            let alone = run(row..row + 1, Threads::Pool);
            assert_eq!(alone, together[row * n..(row + 1) * n]);
        }
    }

    #[test]
    fn strides_of_any_kind_give_the_same_tiles() {
        if !is_available() {
            println!("skipped: this machine has no AMX");
            return;
        }
        let (m, k) = (21, 37);
        let a = values(m * k, 5);
        let wide: Vec<f32> = a.iter().flat_map(|&x| [x, 0.0]).collect();
        let plain = Strided::rows_of(Mat::rows(&a, k), [m, k]);
        let scattered = Strided::rows_of(
            Mat {
                data: wide.as_ptr(),
                row: 2 * k,
                column: 2,
            },
            [m, k],
        );
        for lines in [Lines::Rows, Lines::Depth] {
            for first in [0, 16] {
                let [mut one, mut other] = [[Tile([0; 256]); 2], [Tile([0; 256]); 2]];
                // SAFETY: the matrices are in memory; available.
                unsafe {
                    plain.pack(first, &mut one, lines);
                    scattered.pack(first, &mut other, lines);
                }
                assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0));
            }
        }
    }
}
