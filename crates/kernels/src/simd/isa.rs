//! The instruction sets of this processor, and the choice of one.

use super::lanes::Kernel;
use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::x86;

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
        #[cfg(all(target_arch = "x86_64", not(miri)))]
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
        #[cfg(all(target_arch = "x86_64", not(miri)))]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{LANES, Lanes};

    struct ExpSum<'a>(&'a [f32; LANES], &'a mut [f32; LANES]);
    impl Kernel for ExpSum<'_> {
        type Output = (f32, f32);
        #[inline(always)]
        unsafe fn run<S: Lanes>(self) -> (f32, f32) {
            // SAFETY: both arrays have sixteen values; `dispatch` found the instructions.
            unsafe {
                let e = S::load(self.0.as_ptr()).exp();
                e.store(self.1.as_mut_ptr());
                (e.sum(), e.largest())
            }
        }
    }

    #[test]
    fn the_exponential_is_accurate_and_all_instruction_sets_agree_to_the_bit() {
        for step in (0..4000).step_by(if cfg!(miri) { 97 } else { 1 }) {
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
