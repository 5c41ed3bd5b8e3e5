//! 32 × 32 sums with `VDPBF16PS` of AVX-512 (AMD from Zen 4, Intel from Cooper Lake).
//!
//! The instruction multiplies sixteen pairs of bfloat16 with sixteen others and adds both products of
//! a pair to an f32. A pair of the left factor is broadcast; a line of a right tile is a pair of `k` of
//! sixteen columns. Eight rows × 32 columns of sums stay in sixteen registers. That is enough: one core
//! of Zen 4 reaches the peak of the instruction with it (234 GFLOP/s, twice that of f32; 12 × 32, 8 × 48
//! and 6 × 64 are as fast, 16 × 16 is slower).

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_dpbf16_ps, _mm512_fmadd_ps,
    _mm512_load_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
};
use std::mem::transmute;

use super::block::Block;
use super::pack::{SIDE, Tile, mask};

/// Rows of sums in registers.
const ROWS: usize = 8;
/// Vectors of sixteen columns in registers.
const VECTORS: usize = 2;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Whether this processor has the instructions of packing and of this kernel.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// Computes blocks one after the other.
///
/// # Safety
/// [`is_available`]; the results are in memory and nobody else uses them.
pub(super) unsafe fn run<'a>(blocks: impl Iterator<Item = Block<'a>>) {
    for block in blocks {
        for first in (0..block.rows).step_by(ROWS) {
            // SAFETY: `Right::product` makes blocks inside the result, on processors with the instructions.
            unsafe {
                match block.rows - first {
                    1 => rows::<1>(&block, first),
                    2 => rows::<2>(&block, first),
                    3 => rows::<3>(&block, first),
                    4 => rows::<4>(&block, first),
                    5 => rows::<5>(&block, first),
                    6 => rows::<6>(&block, first),
                    7 => rows::<7>(&block, first),
                    _ => rows::<ROWS>(&block, first),
                }
            }
        }
    }
}

/// `R` rows of a block, from `first` on.
///
/// # Safety
/// As [`run`]; the rows are of one tile.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn rows<const R: usize>(block: &Block<'_>, first: usize) {
    let depth = block.left.len() / 2;
    let left = &block.left[first / SIDE * depth..][..depth];
    let (right, beside) = block.right.split_at(depth);
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; R];
    // All passes over the block together bring the next columns from memory.
    let lines = (VECTORS * SIDE).div_ceil(block.rows.div_ceil(ROWS));
    let mut ahead = block
        .next
        .cast::<i8>()
        .wrapping_add(first / ROWS * depth * lines * LINE);
    for ((left, right), beside) in left.iter().zip(right).zip(beside) {
        for _ in 0..lines {
            _mm_prefetch::<_MM_HINT_T1>(ahead);
            ahead = ahead.wrapping_add(LINE);
        }
        // SAFETY: lines of the three tiles.
        unsafe { tile(&mut sums, left, first % SIDE, [right, beside]) };
    }
    let (scale, keep) = (_mm512_set1_ps(block.scale), _mm512_set1_ps(block.keep));
    for (i, row) in sums.iter().enumerate() {
        for (v, &sum) in row.iter().enumerate() {
            let there = mask(block.columns.saturating_sub(v * SIDE));
            // SAFETY: masked to the columns of the result.
            unsafe {
                let out = block.out.add((first + i) * block.out_row + v * SIDE);
                let sum = match block.keep == 0.0 {
                    true => _mm512_mul_ps(scale, sum),
                    false => {
                        let kept = _mm512_mul_ps(keep, _mm512_maskz_loadu_ps(there, out));
                        _mm512_fmadd_ps(scale, sum, kept)
                    }
                };
                _mm512_mask_storeu_ps(out, there, sum);
            }
        }
    }
}

/// Adds the products of one tile of each factor.
///
/// # Safety
/// The processor has the instructions; `first + R` rows are in the tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile<const R: usize>(
    sums: &mut [[__m512; VECTORS]; R],
    left: &Tile,
    first: usize,
    right: [&Tile; VECTORS],
) {
    let left = left.0.as_ptr();
    for pair in 0..SIDE {
        let mut columns = [_mm512_setzero_si512(); VECTORS];
        for (v, line) in columns.iter_mut().enumerate() {
            // SAFETY: a line of the tile, which is aligned to lines.
            *line = unsafe { _mm512_load_si512(right[v].0.as_ptr().add(pair * SIDE).cast()) };
        }
        for (i, row) in sums.iter_mut().enumerate() {
            // SAFETY: inside the tile.
            let both = unsafe { *left.add((first + i) * SIDE + pair) };
            let both = _mm512_set1_epi32(both as i32);
            for (sum, &line) in row.iter_mut().zip(&columns) {
                *sum = _mm512_dpbf16_ps(*sum, bf16(both), bf16(line));
            }
        }
    }
}

/// The same bits, as pairs of bfloat16.
#[inline]
#[target_feature(enable = "avx512f")]
fn bf16(pairs: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits, and any bits are numbers.
    unsafe { transmute::<__m512i, __m512bh>(pairs) }
}
