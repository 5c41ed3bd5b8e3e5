//! What a vector of sixteen f32 can do, and what a kernel is.

/// Lanes of one vector.
pub(crate) const LANES: usize = 16;

/// A computation that can run on any instruction set. `run` and all it calls must be `#[inline(always)]`, so that
/// the code is generated inside the function that enables the instructions.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// # Safety
    /// The processor must have the instructions of `S`.
    unsafe fn run<S: Lanes>(self) -> Self::Output;
}

/// Sixteen f32. All functions are unsafe because the processor must have the instructions.
#[allow(clippy::missing_safety_doc)]
pub(crate) trait Lanes: Copy {
    /// Whether a register tile of a matrix product has four vectors of outputs (32 registers) or one (16).
    const WIDE: bool;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    /// Sixteen whole numbers of eight bits.
    unsafe fn load_i8(p: *const i8) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// `self · b + c`, rounded once.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn div(self, b: Self) -> Self;
    unsafe fn max(self, b: Self) -> Self;
    unsafe fn min(self, b: Self) -> Self;
    /// To the nearest whole number, ties to even.
    unsafe fn round(self) -> Self;
    /// `2^self` for whole numbers in −126..=127.
    unsafe fn pow2(self) -> Self;
    /// `self` where `x ≥ limit`, else 0.
    unsafe fn zero_below(self, x: Self, limit: Self) -> Self;
    /// A bit for each lane that is `≥ limit`; NaN is not.
    unsafe fn not_below(self, limit: f32) -> u32;
    /// Brings the line at `p` (which may lie outside of any allocation) into the second-level cache.
    unsafe fn prefetch(p: *const f32);

    /// The first `n` lanes from `p`, the others 0.
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let mut buffer = [0.0f32; LANES];
        // SAFETY: the caller promises `n ≤ 16` readable values.
        unsafe {
            std::ptr::copy_nonoverlapping(p, buffer.as_mut_ptr(), n);
            Self::load(buffer.as_ptr())
        }
    }

    /// Writes the first `n` lanes to `p`.
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        let mut buffer = [0.0f32; LANES];
        // SAFETY: the caller promises `n ≤ 16` writable values.
        unsafe {
            self.store(buffer.as_mut_ptr());
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), p, n);
        }
    }

    /// Sum of the lanes, halves folded onto each other: 8, 4, 2, 1.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut a = [0.0f32; LANES];
        // SAFETY: sixteen values fit.
        unsafe { self.store(a.as_mut_ptr()) };
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                a[i] += a[i + half];
            }
            half /= 2;
        }
        a[0]
    }

    /// Largest lane.
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let mut a = [0.0f32; LANES];
        // SAFETY: sixteen values fit.
        unsafe { self.store(a.as_mut_ptr()) };
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                a[i] = if a[i] > a[i + half] {
                    a[i]
                } else {
                    a[i + half]
                };
            }
            half /= 2;
        }
        a[0]
    }

    /// `e^self` with a relative error below 2e-7; exactly 0 below −87.3, 2.1e38 above 88.3, NaN of NaN.
    /// Range reduction to |r| ≤ ln 2 / 2 and the polynomial of Cephes `expf`.
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: only register arithmetic.
        unsafe {
            let low = Self::splat(-87.3);
            // The limits stand first: a comparison with NaN gives the second operand.
            let x = low.max(Self::splat(88.3).min(self));
            let n = x.mul(Self::splat(std::f32::consts::LOG2_E)).round();
            let r = n.fma(Self::splat(-0.693_359_4), x);
            let r = n.fma(Self::splat(2.121_944_4e-4), r);
            let mut p = Self::splat(1.987_569_1e-4);
            p = p.fma(r, Self::splat(1.398_199_9e-3));
            p = p.fma(r, Self::splat(8.333_452e-3));
            p = p.fma(r, Self::splat(4.166_579_6e-2));
            p = p.fma(r, Self::splat(1.666_666_5e-1));
            p = p.fma(r, Self::splat(0.5));
            let e = p.fma(r.mul(r), r).add(Self::splat(1.0));
            e.mul(n.pow2()).zero_below(self, low)
        }
    }
}
