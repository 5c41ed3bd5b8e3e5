//! Sixteen lanes of an x86-64 processor: AVX-512, and AVX2 with FMA.

use super::lanes::{Kernel, LANES, Lanes};
use std::arch::x86_64::*;

/// # Safety
/// The processor must have AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: `dispatch` found the instructions before it came here.
    unsafe { kernel.run::<Avx512>() }
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: `dispatch` found the instructions before it came here.
    unsafe { kernel.run::<Avx2>() }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY of all bodies: the caller promises the instructions and the memory.
impl Lanes for Avx512 {
    const WIDE: bool = true;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_set1_ps(x)) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller promises sixteen readable values, and the instructions.
        unsafe { Avx512(_mm512_loadu_ps(p)) }
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        // SAFETY: the caller promises sixteen readable values, and the instructions.
        unsafe {
            let bytes = _mm_loadu_si128(p.cast());
            Avx512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)))
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller promises sixteen writable values, and the instructions.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        // SAFETY: masked to the values that the caller promises, who has the instructions.
        unsafe { Avx512(_mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p)) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        debug_assert!(n <= LANES);
        // SAFETY: masked to the values that the caller promises, who has the instructions.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_fmadd_ps(self.0, b.0, c.0)) }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_add_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_sub_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_mul_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_div_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_max_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx512(_mm512_min_ps(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            Avx512(_mm512_roundscale_ps::<
                { _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC },
            >(self.0))
        }
    }
    #[inline(always)]
    unsafe fn pow2(self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let n = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(n)))
        }
    }
    #[inline(always)]
    unsafe fn zero_below(self, x: Self, limit: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x.0, limit.0);
            Avx512(_mm512_maskz_mov_ps(keep, self.0))
        }
    }
    #[inline(always)]
    unsafe fn not_below(self, limit: f32) -> u32 {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(
                self.0,
                _mm512_set1_ps(limit),
            ))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a hint, which reads nothing wherever it points; the caller has the instructions.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let a = self.0;
            let a = _mm512_add_ps(a, _mm512_shuffle_f32x4::<0b01_00_11_10>(a, a));
            let a = _mm512_add_ps(a, _mm512_shuffle_f32x4::<0b10_11_00_01>(a, a));
            let a = _mm512_castps512_ps128(a);
            let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
        }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY of all bodies: the caller promises the instructions and the memory.
impl Lanes for Avx2 {
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller promises sixteen readable values, and the instructions.
        unsafe { Avx2(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        // SAFETY: the caller promises sixteen readable values, and the instructions.
        unsafe {
            let a = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()));
            let b = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.add(8).cast()));
            Avx2(_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b))
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller promises sixteen writable values, and the instructions.
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            Avx2(
                _mm256_fmadd_ps(self.0, b.0, c.0),
                _mm256_fmadd_ps(self.1, b.1, c.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_div_ps(self.0, b.0), _mm256_div_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_max_ps(self.0, b.0), _mm256_max_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe { Avx2(_mm256_min_ps(self.0, b.0), _mm256_min_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            Avx2(
                _mm256_round_ps::<NEAREST>(self.0),
                _mm256_round_ps::<NEAREST>(self.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn pow2(self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let a = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.0), bias));
            let b = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.1), bias));
            Avx2(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b))
        }
    }
    #[inline(always)]
    unsafe fn zero_below(self, x: Self, limit: Self) -> Self {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let a = _mm256_cmp_ps::<_CMP_NLT_UQ>(x.0, limit.0);
            let b = _mm256_cmp_ps::<_CMP_NLT_UQ>(x.1, limit.1);
            Avx2(_mm256_and_ps(a, self.0), _mm256_and_ps(b, self.1))
        }
    }
    #[inline(always)]
    unsafe fn not_below(self, limit: f32) -> u32 {
        // SAFETY: register arithmetic on instructions that the caller has.
        unsafe {
            let limit = _mm256_set1_ps(limit);
            let a = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, limit));
            let b = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.1, limit));
            (a | b << 8) as u32
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a hint, which reads nothing wherever it points; the caller has the instructions.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}
