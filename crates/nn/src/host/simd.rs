//! Sixteen lanes of f32, whatever the processor has.
//!
//! Every kernel of [`super`] is written once over [`Lanes`] and compiled three times: AVX-512 (one register),
//! AVX2 + FMA (two registers) and plain Rust (an array, `f32::mul_add`). All three compute the same IEEE operations
//! in the same order, so they give the same bits; reductions always run over sixteen logical lanes.

#[cfg(target_arch = "x86_64")]
mod x86;

/// Lanes of one vector.
pub(crate) const LANES: usize = 16;

/// The instruction set a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Plain Rust.
    Portable,
}

impl Isa {
    /// The best one of this processor.
    #[inline]
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Isa::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Isa::Avx2;
            }
        }
        Isa::Portable
    }

    /// All that this processor can run, for tests that compare their bits.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Isa::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Isa::Avx512);
            }
        }
        all
    }
}

/// A computation that can run on any instruction set. `run` and all it calls must be `#[inline(always)]`, so that
/// the code is generated inside the function that enables the instructions.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// # Safety
    /// The processor must have the instructions of `S`.
    unsafe fn run<S: Lanes>(self) -> Self::Output;
}

/// Runs `kernel` on `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    // SAFETY: values of `Isa` other than `Portable` are made only after detection.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86::run_avx512(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::run_avx2(kernel),
            Isa::Portable => kernel.run::<Portable>(),
        }
    }
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

/// Plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Lanes for Portable {
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller promises sixteen readable values.
        Portable(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        // SAFETY: the caller promises sixteen readable values.
        Portable(unsafe { p.cast::<[i8; LANES]>().read() }.map(f32::from))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller promises sixteen writable values.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.zip(b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        self.zip(b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.zip(b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        self.zip(b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        self.zip(b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        self.zip(b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Portable(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    unsafe fn pow2(self) -> Self {
        Portable(
            self.0
                .map(|x| f32::from_bits((((x as i32).wrapping_add(127)) << 23) as u32)),
        )
    }
    #[inline(always)]
    unsafe fn zero_below(self, x: Self, limit: Self) -> Self {
        Portable(std::array::from_fn(|i| {
            if x.0[i] < limit.0[i] { 0.0 } else { self.0[i] }
        }))
    }
    #[inline(always)]
    unsafe fn not_below(self, limit: f32) -> u32 {
        let lanes = self.0.iter().enumerate();
        lanes.fold(0, |bits, (i, &x)| bits | u32::from(x >= limit) << i)
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ExpSum<'a>(&'a [f32; LANES], &'a mut [f32; LANES]);
    impl Kernel for ExpSum<'_> {
        type Output = (f32, f32);
        #[inline(always)]
        unsafe fn run<S: Lanes>(self) -> (f32, f32) {
            unsafe {
                let e = S::load(self.0.as_ptr()).exp();
                e.store(self.1.as_mut_ptr());
                (e.sum(), e.largest())
            }
        }
    }

    #[test]
    fn the_exponential_is_accurate_and_all_instruction_sets_agree_to_the_bit() {
        for step in 0..4000 {
            let x: [f32; LANES] =
                std::array::from_fn(|i| -90.0 + 0.0448 * (step as f32 + i as f32 / 16.0));
            let mut first = None;
            for isa in Isa::all() {
                let mut e = [0.0; LANES];
                let sums = dispatch(isa, ExpSum(&x, &mut e));
                for (x, e) in x.iter().zip(&e) {
                    let exact = f64::from(*x).exp();
                    if *x > -87.3 && *x < 88.3 {
                        assert!(
                            (f64::from(*e) / exact - 1.0).abs() < 2e-7,
                            "{x}: {e} {exact}"
                        );
                    } else if *x < -87.3 {
                        assert_eq!(*e, 0.0);
                    }
                }
                let bits = (e.map(f32::to_bits), sums.0.to_bits(), sums.1.to_bits());
                assert_eq!(*first.get_or_insert(bits), bits, "{isa:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for isa in Isa::all() {
            let mut e = [0.0; LANES];
            dispatch(isa, ExpSum(&[f32::NAN; LANES], &mut e));
            assert!(e.iter().all(|e| e.is_nan()), "{isa:?}: {e:?}");
        }
    }
}
