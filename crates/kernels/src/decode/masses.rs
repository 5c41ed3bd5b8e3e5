//! The parts of a soft-max that a draw needs.
//!
//! Logits are taken 64 at a time: the largest, and the sum of `exp((l − largest) / temperature)`. A draw adds up the
//! parts, finds the one in which it ends, and takes exponentials of that one alone. The head's product gives the parts
//! while their logits are still in the first-level cache ([`Linear::apply_masses`](super::Linear::apply_masses)).

use std::ops::Range;

use super::panels::PANEL;
use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};

/// What a draw needs to know of [`Mass::PART`] neighbouring logits `l`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mass {
    /// The largest logit.
    pub most: f32,
    /// Sum of `exp((l − most) / temperature)`; 0 where all logits are −∞, none where one is no number.
    pub sum: f32,
}

impl Mass {
    /// Logits of a part; the last part of a row may have fewer.
    pub const PART: usize = PANEL;

    /// The parts of one row of logits, at a temperature above 0.
    pub fn of(logits: &[f32], temperature: f32) -> Vec<Self> {
        let mut masses = vec![Self::default(); logits.len().div_ceil(Self::PART)];
        let kernel = Parts {
            rows: 0..1,
            columns: 0..logits.len(),
            logits: logits.as_ptr(),
            width: logits.len(),
            temperature,
            masses: masses.as_mut_ptr(),
        };
        dispatch(Isa::detect(), kernel);
        masses
    }
}

/// Some parts of some rows of logits `[rows, width]`.
pub(super) struct Parts {
    pub(super) rows: Range<usize>,
    /// Begins with a part.
    pub(super) columns: Range<usize>,
    pub(super) logits: *const f32,
    pub(super) width: usize,
    pub(super) temperature: f32,
    /// `[rows, parts of width]`
    pub(super) masses: *mut Mass,
}

impl Kernel for Parts {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let warmth = 1.0 / self.temperature;
        let parts = self.width.div_ceil(Mass::PART);
        for row in self.rows {
            for start in self.columns.clone().step_by(Mass::PART) {
                let len = (self.columns.end - start).min(Mass::PART);
                // SAFETY: the rows and columns exist; a part of a row has a place.
                unsafe {
                    let logits = self.logits.add(row * self.width + start);
                    let mass = self.masses.add(row * parts + start / Mass::PART);
                    *mass = match len {
                        Mass::PART => whole::<S>(logits, warmth),
                        _ => some::<S>(logits, len, warmth),
                    };
                }
            }
        }
    }
}

/// Vectors of a part.
const VECTORS: usize = Mass::PART / LANES;

#[inline(always)]
unsafe fn whole<S: Lanes>(logits: *const f32, warmth: f32) -> Mass {
    // SAFETY: a part follows `logits`.
    unsafe {
        let mut l = [S::splat(0.0); VECTORS];
        for (i, l) in l.iter_mut().enumerate() {
            *l = S::load(logits.add(i * LANES));
        }
        of_vectors(l, warmth)
    }
}

/// As [`whole`] with −∞ where no logit is.
#[inline(always)]
unsafe fn some<S: Lanes>(logits: *const f32, len: usize, warmth: f32) -> Mass {
    let mut part = [f32::NEG_INFINITY; Mass::PART];
    // SAFETY: `len` logits follow.
    unsafe {
        std::ptr::copy_nonoverlapping(logits, part.as_mut_ptr(), len);
        whole::<S>(part.as_ptr(), warmth)
    }
}

#[inline(always)]
unsafe fn of_vectors<S: Lanes>(l: [S; VECTORS], warmth: f32) -> Mass {
    // SAFETY: register arithmetic.
    unsafe {
        let mut most = l[0];
        for &l in &l[1..] {
            most = most.max(l);
        }
        let most = most.largest();
        let (top, warmth) = (S::splat(most.max(f32::MIN)), S::splat(warmth));
        let mut sum = S::splat(0.0);
        for l in l {
            sum = sum.add(l.sub(top).mul(warmth).exp());
        }
        let sum = sum.sum();
        Mass { most, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    fn parts_are_sums_of_exponentials() {
        for len in [1, 15, 16, 63, 64, 65, 256, 1000] {
            let logits: Vec<f32> = values(len, 3).iter().map(|x| 20.0 * x).collect();
            let found = Mass::of(&logits, 0.7);
            assert_eq!(found.len(), len.div_ceil(Mass::PART));
            for (mass, part) in found.iter().zip(logits.chunks(Mass::PART)) {
                let most = part.iter().copied().fold(f32::MIN, f32::max);
                let exact = |l: &f32| (f64::from(l - most) / f64::from(0.7f32)).exp();
                let sum: f64 = part.iter().map(exact).sum();
                assert_eq!(mass.most, most);
                assert!((f64::from(mass.sum) / sum - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn what_is_no_number_shows_and_minus_infinity_weighs_nothing() {
        assert!(Mass::of(&[1.0, f32::NAN, 0.0], 1.0)[0].sum.is_nan());
        let minus = [f32::NEG_INFINITY; 70];
        assert!(Mass::of(&minus, 1.0).iter().all(|mass| mass.sum == 0.0));
        let mut one = minus;
        one[69] = 1.0;
        let found = Mass::of(&one, 1.0);
        assert_eq!((found[0].sum, found[1].most, found[1].sum), (0.0, 1.0, 1.0));
    }
}
