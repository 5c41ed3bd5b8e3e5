//! RMS normalisation: `y = x·r·w` with `r = 1/√(mean(x²) + eps)`.
//!
//! Backward: with `s = Σ dy·w·x`, `dx = r·(dy·w) − x·r³·s/width` and `dw = Σ_rows dy·x·r`.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::linear::add_all;
use super::tasks::TASK_ROWS;
use crate::decode::rms_norm_into;
use crate::op::{HostOp, INPUTS, Keep};
use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use crate::unwritten::Unwritten;

/// Inputs: x `[rows, width]`, w `[width]`.
#[derive(Debug)]
pub struct RmsNorm {
    /// Rows of x.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Added to the mean of the squares.
    pub eps: f32,
}

impl HostOp for RmsNorm {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, [x, w, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut out = Unwritten::new(x.len());
        let task = TASK_ROWS * self.width;
        out.slots()
            .par_chunks_mut(task)
            .zip(x.par_chunks(task))
            .for_each(|(out, x)| rms_norm_into(x, w, self.eps, out));
        // SAFETY: the tasks cover x, and `rms_norm_into` writes all of its output.
        unsafe { out.written() }
    }

    fn backward(
        &self,
        [x, w, _]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        [_, want_w, _]: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let row = |[x, grad]: [&[f32]; 2], dx: &mut [MaybeUninit<f32>], dw: &mut [f32]| {
            let eps = self.eps;
            let row = Row {
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
        [dx, dw, Vec::new()]
    }
}

/// `dx`, and `dw` where it is wanted, of a norm whose `row([x, grad], dx, dw)` sets a row of `dx` and adds to `dw`. Rows are
/// cut into tasks of a fixed size, whose sums add up in order.
pub(super) fn backward_rows(
    width: usize,
    [x, grad]: [&[f32]; 2],
    want_w: bool,
    row: impl Fn([&[f32]; 2], &mut [MaybeUninit<f32>], &mut [f32]) + Sync,
) -> [Vec<f32>; 2] {
    assert!(
        x.len() == grad.len() && x.len().is_multiple_of(width),
        "{} values and {} gradients are not the same rows of {width}",
        x.len(),
        grad.len()
    );
    let mut dx = Unwritten::new(x.len());
    let task = TASK_ROWS * width;
    let parts: Vec<Vec<f32>> = dx
        .slots()
        .par_chunks_mut(task)
        .zip(x.par_chunks(task).zip(grad.par_chunks(task)))
        .map(|(dx, (x, grad))| {
            let mut dw = vec![0.0; width];
            let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
            for (dx, (x, grad)) in dx.chunks_exact_mut(width).zip(rows) {
                row([x, grad], dx, &mut dw);
            }
            dw
        })
        .collect();
    let dw = match want_w {
        true => add_all(parts, width),
        false => Vec::new(),
    };
    // SAFETY: x is whole rows, as checked, and `row` sets each of them.
    [unsafe { dx.written() }, dw]
}

/// Backward of one row.
struct Row<'a> {
    x: &'a [f32],
    w: &'a [f32],
    grad: &'a [f32],
    eps: f32,
    dx: &'a mut [MaybeUninit<f32>],
    dw: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let width = self.x.len();
        let vectors = || {
            (0..width)
                .step_by(LANES)
                .map(|at| (at, LANES.min(width - at)))
        };
        let (x, w) = (self.x.as_ptr(), self.w.as_ptr());
        let (grad, dx, dw) = (
            self.grad.as_ptr(),
            self.dx.as_mut_ptr().cast::<f32>(),
            self.dw.as_mut_ptr(),
        );
        // SAFETY: all arrays have `width` elements; the caller has the instructions.
        unsafe {
            let (mut squares, mut dots) = (S::splat(0.0), S::splat(0.0));
            for (at, n) in vectors() {
                let value = S::load_part(x.add(at), n);
                let weighted = S::load_part(grad.add(at), n).mul(S::load_part(w.add(at), n));
                squares = value.fma(value, squares);
                dots = value.fma(weighted, dots);
            }
            let r = 1.0 / (squares.sum() / width as f32 + self.eps).sqrt();
            let pull = S::splat(-r * r * r * dots.sum() / width as f32);
            let r = S::splat(r);
            for (at, n) in vectors() {
                let value = S::load_part(x.add(at), n);
                let g = S::load_part(grad.add(at), n);
                let weighted = g.mul(S::load_part(w.add(at), n));
                value.fma(pull, weighted.mul(r)).store_part(dx.add(at), n);
                let sum = g.mul(value).fma(r, S::load_part(dw.add(at), n));
                sum.store_part(dw.add(at), n);
            }
        }
    }
}
