//! Activations of one argument: the exact GELU and its sigmoid approximation.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::tasks::{TASK, vectors};
use crate::op::{HostOp, INPUTS, Keep};
use crate::simd::{Isa, Kernel, Lanes, dispatch};
use crate::unwritten::Unwritten;

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `x·Φ(x)`, Φ the normal distribution function.
    Gelu,
    /// `x·σ(1.702·x)`.
    QuickGelu,
}

/// A function of each value. Input: x `[rows, width]`.
#[derive(Debug)]
pub struct Activation {
    /// Which function.
    pub function: Function,
    /// Rows of x.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
}

impl HostOp for Activation {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, [x, _, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut out = Unwritten::new(x.len());
        out.slots()
            .par_chunks_mut(TASK)
            .zip(x.par_chunks(TASK))
            .for_each(|(out, x)| {
                let kernel = Apply {
                    function: self.function,
                    x,
                    grad: None,
                    out,
                };
                dispatch(Isa::detect(), kernel);
            });
        // SAFETY: the tasks cover x, and the vectors of a task its piece.
        unsafe { out.written() }
    }

    fn backward(
        &self,
        [x, _, _]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        assert_eq!(x.len(), grad.len(), "x and its gradient");
        let mut dx = Unwritten::new(x.len());
        dx.slots()
            .par_chunks_mut(TASK)
            .zip(x.par_chunks(TASK).zip(grad.par_chunks(TASK)))
            .for_each(|(out, (x, grad))| {
                let kernel = Apply {
                    function: self.function,
                    x,
                    grad: Some(grad),
                    out,
                };
                dispatch(Isa::detect(), kernel);
            });
        // SAFETY: as in the forward pass.
        [unsafe { dx.written() }, Vec::new(), Vec::new()]
    }
}

/// The function of `x`, or its slope times `grad`.
struct Apply<'a> {
    function: Function,
    x: &'a [f32],
    grad: Option<&'a [f32]>,
    out: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        for (at, n) in vectors(self.x.len()) {
            // SAFETY: `n` elements follow `at` in all arrays; the caller has the instructions.
            unsafe {
                let x = S::load_part(self.x.as_ptr().add(at), n);
                let (value, slope) = match self.function {
                    Function::Gelu => gelu(x),
                    Function::QuickGelu => quick_gelu(x),
                };
                let result = match self.grad {
                    None => value,
                    Some(grad) => slope.mul(S::load_part(grad.as_ptr().add(at), n)),
                };
                result.store_part(self.out.as_mut_ptr().cast::<f32>().add(at), n);
            }
        }
    }
}

/// `x·Φ(x)` and `Φ(x) + x·φ(x)`.
#[inline(always)]
unsafe fn gelu<S: Lanes>(x: S) -> (S, S) {
    /// 1/√(2π)
    const DENSITY: f32 = 0.398_942_3;
    // SAFETY: register arithmetic on instructions that the caller has.
    unsafe {
        let half = S::splat(0.5);
        let phi = erf(x.mul(S::splat(std::f32::consts::FRAC_1_SQRT_2))).fma(half, half);
        let density = x.mul(x).mul(S::splat(-0.5)).exp().mul(S::splat(DENSITY));
        (x.mul(phi), x.fma(density, phi))
    }
}

/// `x·s` and `s + 1.702·x·s·(1 − s)` with `s = σ(1.702·x)`.
#[inline(always)]
unsafe fn quick_gelu<S: Lanes>(x: S) -> (S, S) {
    // SAFETY: register arithmetic on instructions that the caller has.
    unsafe {
        let scaled = x.mul(S::splat(1.702));
        let s = sigmoid(scaled);
        (x.mul(s), scaled.mul(s).fma(S::splat(1.0).sub(s), s))
    }
}

/// `1 / (1 + e^−x)`.
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Lanes>(x: S) -> S {
    // SAFETY: register arithmetic on instructions that the caller has.
    unsafe { S::splat(1.0).div(S::splat(0.0).sub(x).exp().add(S::splat(1.0))) }
}

/// The error function within 4e-7: the rational approximation of Eigen (`generic_fast_erf_float`)
/// for |x| ≤ 4, beyond which f32 cannot tell it from ±1.
#[inline(always)]
unsafe fn erf<S: Lanes>(x: S) -> S {
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [
        -1.456_607_2e-5,
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329e-3,
        -1.426_473_9e-2,
    ];
    // SAFETY: register arithmetic on instructions that the caller has.
    unsafe {
        let x = x.min(S::splat(4.0)).max(S::splat(-4.0));
        let square = x.mul(x);
        let mut above = S::splat(ABOVE[0]);
        for coefficient in &ABOVE[1..] {
            above = above.fma(square, S::splat(*coefficient));
        }
        let mut below = S::splat(BELOW[0]);
        for coefficient in &BELOW[1..] {
            below = below.fma(square, S::splat(*coefficient));
        }
        x.mul(above).div(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Maclaurin series in f64; converges to 1e-12 for |x| ≤ 4.
    fn exact_erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn gelu_and_its_slope_are_those_of_the_normal_distribution() {
        let x: Vec<f32> = (-6000..=6000)
            .step_by(if cfg!(miri) { 400 } else { 1 })
            .map(|i| i as f32 * 1e-3)
            .collect();
        let op = Activation {
            function: Function::Gelu,
            rows: 1,
            width: x.len(),
        };
        let inputs = [&x[..], &[], &[]];
        let values = op.forward(inputs);
        let ones = vec![1.0; x.len()];
        let [slopes, ..] = op.backward(inputs, &values, &ones, [true; 3]);
        for ((x, value), slope) in x.iter().zip(values).zip(slopes) {
            let x = f64::from(*x);
            let phi = 0.5 * (1.0 + exact_erf((x / 2f64.sqrt()).clamp(-4.0, 4.0)));
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!(
                (f64::from(value) - x * phi).abs() < 1e-6,
                "gelu({x}) = {value}"
            );
            assert!(
                (f64::from(slope) - phi - x * density).abs() < 1e-6,
                "gelu'({x}) = {slope}"
            );
        }
    }
}
