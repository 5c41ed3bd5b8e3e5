//! The exponentials that a draw from a softmax needs.

use super::simd::{Isa, Kernel, LANES, Lanes, dispatch};

/// Logits of one partial sum.
const PART: usize = 256;

/// `exp((l − max) / temperature)` of every logit `l`, and their sums.
#[derive(Debug, Clone)]
pub struct Masses {
    /// The largest logit.
    pub max: f32,
    /// `[logits]`.
    pub each: Vec<f32>,
    /// Sums of [`Masses::PART`] neighbours each.
    pub parts: Vec<f64>,
    /// The sum of all.
    pub total: f64,
}

impl Masses {
    /// Logits of one of the [`parts`](Masses::parts).
    pub const PART: usize = PART;

    /// Of `logits` at a temperature above 0; a logit that is no number makes the total none.
    pub fn of(logits: &[f32], temperature: f32) -> Self {
        let mut masses = Self {
            max: f32::NEG_INFINITY,
            each: vec![0.0; logits.len()],
            parts: Vec::with_capacity(logits.len().div_ceil(PART)),
            total: 0.0,
        };
        let kernel = Exponentials {
            logits,
            temperature,
            masses: &mut masses,
        };
        dispatch(Isa::detect(), kernel);
        masses.total = masses.parts.iter().sum();
        masses
    }
}

struct Exponentials<'a> {
    logits: &'a [f32],
    temperature: f32,
    masses: &'a mut Masses,
}

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let whole = self.logits.len() / LANES * LANES;
        let (vectors, rest) = self.logits.split_at(whole);
        // SAFETY: sixteen values follow each place of `vectors`, and `rest` has less than sixteen.
        unsafe {
            let mut most = S::splat(f32::NEG_INFINITY);
            for at in (0..whole).step_by(LANES) {
                most = most.max(S::load(vectors.as_ptr().add(at)));
            }
            let max = rest.iter().fold(most.largest(), |m, &l| m.max(l));
            let (top, warmth) = (S::splat(max), S::splat(1.0 / self.temperature));
            let masses = self.masses;
            for start in (0..self.logits.len()).step_by(PART) {
                let end = self.logits.len().min(start + PART);
                let mut sum = S::splat(0.0);
                for at in (start..end.min(whole)).step_by(LANES) {
                    let mass = S::load(self.logits.as_ptr().add(at))
                        .sub(top)
                        .mul(warmth)
                        .exp();
                    mass.store(masses.each.as_mut_ptr().add(at));
                    sum = sum.add(mass);
                }
                let mut sum = f64::from(sum.sum());
                if end > whole {
                    let mass = S::load_part(rest.as_ptr(), rest.len());
                    let mass = mass.sub(top).mul(warmth).exp();
                    mass.store_part(masses.each.as_mut_ptr().add(whole), rest.len());
                    let rest = &masses.each[whole..];
                    sum += rest.iter().map(|&m| f64::from(m)).sum::<f64>();
                }
                masses.parts.push(sum);
            }
            masses.max = max;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::values;

    #[test]
    fn masses_are_exponentials_and_their_sums() {
        for len in [1, 15, 16, 255, 256, 257, 1000] {
            let logits: Vec<f32> = values(len, 3).iter().map(|x| 20.0 * x).collect();
            let found = Masses::of(&logits, 0.7);
            let max = logits.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(found.max, max);
            let exact = |l: f32| (f64::from(l - max) / f64::from(0.7f32)).exp();
            let mut total = 0.0;
            for (&logit, &mass) in logits.iter().zip(&found.each) {
                let exact = exact(logit);
                total += exact;
                assert!(
                    (f64::from(mass) - exact).abs() <= 1e-5 * exact,
                    "{mass} {exact}"
                );
            }
            assert!((found.total / total - 1.0).abs() < 1e-5);
            assert_eq!(found.parts.len(), len.div_ceil(PART));
        }
        assert!(Masses::of(&[1.0, f32::NAN, 0.0], 1.0).total.is_nan());
        let minus = Masses::of(&[1.0, f32::NEG_INFINITY], 1.0);
        assert_eq!(minus.each, [1.0, 0.0]);
    }
}
