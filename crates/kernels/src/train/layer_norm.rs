//! Layer normalisation: `y = x̂·w + b` with `x̂ = (x − μ)·r`, `r = 1/√(var(x) + eps)`.
//!
//! Backward: with `g = dy·w`, `dx = r·(g − mean(g) − x̂·mean(g·x̂))`, `dw = Σ_rows dy·x̂`,
//! `db = Σ_rows dy`. The variance is that of the differences to the mean (two passes).

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::linear::column_sums;
use super::norm::backward_rows;
use super::tasks::{TASK_ROWS, vectors};
use crate::op::{HostOp, INPUTS, Keep};
use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use crate::unwritten::Unwritten;

/// Inputs: x `[rows, width]`, w `[width]`, b `[width]`.
#[derive(Debug)]
pub struct LayerNorm {
    /// Rows of x.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

impl HostOp for LayerNorm {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, [x, w, b]: [&[f32]; INPUTS]) -> Vec<f32> {
        assert!(
            x.len().is_multiple_of(self.width) && w.len() == self.width && b.len() == self.width,
            "{} values are not rows of {} with {} weights and {} biases",
            x.len(),
            self.width,
            w.len(),
            b.len()
        );
        let mut out = Unwritten::new(x.len());
        let task = TASK_ROWS * self.width;
        out.slots()
            .par_chunks_mut(task)
            .zip(x.par_chunks(task))
            .for_each(|(out, x)| {
                let rows = out
                    .chunks_exact_mut(self.width)
                    .zip(x.chunks_exact(self.width));
                for (out, x) in rows {
                    dispatch(
                        Isa::detect(),
                        Forward {
                            x,
                            w,
                            b,
                            eps: self.eps,
                            out,
                        },
                    );
                }
            });
        // SAFETY: x is whole rows, and a row's vectors cover its width.
        unsafe { out.written() }
    }

    fn backward(
        &self,
        [x, w, _]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        [_, want_w, want_b]: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let row = |[x, grad]: [&[f32]; 2], dx: &mut [MaybeUninit<f32>], dw: &mut [f32]| {
            let eps = self.eps;
            let row = Backward {
                x,
                w,
                grad,
                eps,
                dx,
                dw,
            };
            dispatch(Isa::detect(), row);
        };
        let [dx, dw] = backward_rows(self.width, [x, grad], want_w, row);
        let db = if want_b {
            column_sums(grad, self.width)
        } else {
            Vec::new()
        };
        [dx, dw, db]
    }
}

/// One row.
struct Forward<'a> {
    x: &'a [f32],
    w: &'a [f32],
    b: &'a [f32],
    eps: f32,
    out: &'a mut [MaybeUninit<f32>],
}

/// Backward of one row.
struct Backward<'a> {
    x: &'a [f32],
    w: &'a [f32],
    grad: &'a [f32],
    eps: f32,
    dx: &'a mut [MaybeUninit<f32>],
    dw: &'a mut [f32],
}

/// Mean and `1/√(variance + eps)` of a row.
#[inline(always)]
unsafe fn moments<S: Lanes>(x: &[f32], eps: f32) -> (f32, f32) {
    let width = x.len() as f32;
    // SAFETY: the vectors cover the row; the caller has the instructions.
    unsafe {
        let mut sum = S::splat(0.0);
        for (at, n) in vectors(x.len()) {
            sum = sum.add(S::load_part(x.as_ptr().add(at), n));
        }
        let mean = sum.sum() / width;
        let mut squares = S::splat(0.0);
        let whole = x.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let d = S::load(x.as_ptr().add(at)).sub(S::splat(mean));
            squares = d.fma(d, squares);
        }
        let rest = x[whole..]
            .iter()
            .map(|x| (x - mean) * (x - mean))
            .sum::<f32>();
        (mean, 1.0 / ((squares.sum() + rest) / width + eps).sqrt())
    }
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let (x, w, b) = (self.x.as_ptr(), self.w.as_ptr(), self.b.as_ptr());
        // SAFETY: all arrays have the row's width; the caller has the instructions.
        unsafe {
            let (mean, r) = moments::<S>(self.x, self.eps);
            for (at, n) in vectors(self.x.len()) {
                let normed = S::load_part(x.add(at), n)
                    .sub(S::splat(mean))
                    .mul(S::splat(r));
                let y = normed.fma(S::load_part(w.add(at), n), S::load_part(b.add(at), n));
                y.store_part(self.out.as_mut_ptr().cast::<f32>().add(at), n);
            }
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let (x, w, grad) = (self.x.as_ptr(), self.w.as_ptr(), self.grad.as_ptr());
        let (dx, dw) = (self.dx.as_mut_ptr().cast::<f32>(), self.dw.as_mut_ptr());
        let width = self.x.len() as f32;
        // SAFETY: all arrays have the row's width; the caller has the instructions.
        unsafe {
            let (mean, r) = moments::<S>(self.x, self.eps);
            let (mean, r) = (S::splat(mean), S::splat(r));
            let (mut sum, mut dots) = (S::splat(0.0), S::splat(0.0));
            for (at, n) in vectors(self.x.len()) {
                // Lanes beyond the row have g = 0.
                let g = S::load_part(grad.add(at), n).mul(S::load_part(w.add(at), n));
                let normed = S::load_part(x.add(at), n).sub(mean).mul(r);
                sum = sum.add(g);
                dots = g.fma(normed, dots);
            }
            let (sum, dots) = (S::splat(sum.sum() / width), S::splat(-dots.sum() / width));
            for (at, n) in vectors(self.x.len()) {
                let dy = S::load_part(grad.add(at), n);
                let normed = S::load_part(x.add(at), n).sub(mean).mul(r);
                let g = dy.mul(S::load_part(w.add(at), n)).sub(sum);
                normed.fma(dots, g).mul(r).store_part(dx.add(at), n);
                dy.fma(normed, S::load_part(dw.add(at), n))
                    .store_part(dw.add(at), n);
            }
        }
    }
}
