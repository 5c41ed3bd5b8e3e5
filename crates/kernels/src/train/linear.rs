//! `y = x·wᵀ + b`; `dx = dy·w`, `dw = dyᵀ·x`, `db = Σ dy`.

use rayon::prelude::*;

use super::tasks::TASK_ROWS;
use crate::gemm::{Mat, matrix};
use crate::op::{HostOp, INPUTS, Keep};
use crate::precision::Precision;

/// Inputs: x `[rows, inputs]`, w `[outputs, inputs]`, b `[outputs]` or empty.
#[derive(Debug)]
pub struct Linear {
    /// Rows of x.
    pub rows: usize,
    /// Inputs of a row.
    pub inputs: usize,
    /// Outputs of a row.
    pub outputs: usize,
    /// In what data type the products are computed, forward and backward.
    pub precision: Precision,
}

impl HostOp for Linear {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.outputs]
    }

    fn keep(&self, [want_x, want_w, _]: [bool; INPUTS]) -> Keep {
        Keep {
            inputs: [want_w, want_x, false],
            output: false,
        }
    }

    fn forward(&self, [x, w, bias]: [&[f32]; INPUTS]) -> Vec<f32> {
        let (x, w) = (Mat::rows(x, self.inputs), Mat::rows(w, self.inputs));
        let mut y = matrix(
            self.precision,
            [self.rows, self.inputs, self.outputs],
            1.0,
            x,
            w.t(),
        );
        if !bias.is_empty() {
            y.par_chunks_mut(TASK_ROWS * self.outputs).for_each(|rows| {
                for row in rows.chunks_exact_mut(self.outputs) {
                    for (y, b) in row.iter_mut().zip(bias) {
                        *y += b;
                    }
                }
            });
        }
        y
    }

    fn backward(
        &self,
        [x, w, _]: [&[f32]; INPUTS],
        _: &[f32],
        dy: &[f32],
        [want_x, want_w, want_b]: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let Self {
            rows,
            inputs,
            outputs,
            precision,
        } = *self;
        let (x, w) = (Mat::rows(x, inputs), Mat::rows(w, inputs));
        let d = Mat::rows(dy, outputs);
        let when = |wanted: bool, f: &dyn Fn() -> Vec<f32>| if wanted { f() } else { Vec::new() };
        [
            when(want_x, &|| {
                matrix(precision, [rows, outputs, inputs], 1.0, d, w)
            }),
            when(want_w, &|| {
                matrix(precision, [outputs, rows, inputs], 1.0, d.t(), x)
            }),
            when(want_b, &|| column_sums(dy, outputs)),
        ]
    }
}

/// Sums over the rows of `[rows, width]`, in a fixed order.
pub(super) fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(TASK_ROWS * width)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                for (s, v) in sum.iter_mut().zip(row) {
                    *s += v;
                }
            }
            sum
        })
        .collect();
    add_all(parts, width)
}

/// Adds partial sums, in order.
pub(super) fn add_all(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    for part in parts {
        for (t, p) in total.iter_mut().zip(part) {
            *t += p;
        }
    }
    total
}
