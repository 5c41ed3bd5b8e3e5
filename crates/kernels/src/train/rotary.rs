//! Rotary position embedding in the rotate-half form.

use rayon::prelude::*;

use super::tasks::TASK_ROWS;
use crate::op::{HostOp, INPUTS, Keep};
use crate::unwritten::Unwritten;

/// Inputs: x `[tokens, heads, dim]`, cos and sin `[tokens, dim]` (constants).
#[derive(Debug)]
pub struct Rotary {
    /// Tokens of x.
    pub tokens: usize,
    /// Heads of a token.
    pub heads: usize,
    /// Values of a head, an even number.
    pub dim: usize,
}

impl Rotary {
    /// `turn` is 1 for the rotation and −1 for its transpose.
    ///
    /// With the halves of a head named a and b: `a·cos_a − b·sin_a`, `b·cos_b + a·sin_b`; the
    /// transpose sends `a·cos_a + b·sin_b` and `b·cos_b − a·sin_a`.
    fn rotate(&self, x: &[f32], cos: &[f32], sin: &[f32], transpose: bool) -> Vec<f32> {
        let Self { heads, dim, .. } = *self;
        let half = dim / 2;
        let width = heads * dim;
        assert!(
            x.len() == self.tokens * width
                && dim == 2 * half
                && cos.len() == self.tokens * dim
                && sin.len() == cos.len(),
            "{} values, {} cosines and {} sines of {} tokens of {heads} heads of {dim}",
            x.len(),
            cos.len(),
            sin.len(),
            self.tokens
        );
        let mut out = Unwritten::new(x.len());
        out.slots()
            .par_chunks_mut(TASK_ROWS * width)
            .zip(x.par_chunks(TASK_ROWS * width))
            .zip(
                cos.par_chunks(TASK_ROWS * dim)
                    .zip(sin.par_chunks(TASK_ROWS * dim)),
            )
            .for_each(|((out, x), (cos, sin))| {
                let tables = cos.chunks_exact(dim).zip(sin.chunks_exact(dim));
                let tokens = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for ((out, x), (cos, sin)) in tokens.zip(tables) {
                    let (cos_a, cos_b) = cos.split_at(half);
                    let (sin_a, sin_b) = sin.split_at(half);
                    let pairs = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
                    for (out, x) in pairs {
                        let (a, b) = x.split_at(half);
                        let (out_a, out_b) = out.split_at_mut(half);
                        for i in 0..half {
                            if transpose {
                                out_a[i].write(a[i] * cos_a[i] + b[i] * sin_b[i]);
                                out_b[i].write(b[i] * cos_b[i] - a[i] * sin_a[i]);
                            } else {
                                out_a[i].write(a[i] * cos_a[i] - b[i] * sin_a[i]);
                                out_b[i].write(b[i] * cos_b[i] + a[i] * sin_b[i]);
                            }
                        }
                    }
                }
            });
        // SAFETY: the arrays have all tokens and heads an even width, as checked, so every half of every head was written.
        unsafe { out.written() }
    }
}

impl HostOp for Rotary {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep {
            inputs: [false, true, true],
            output: false,
        }
    }

    fn forward(&self, [x, cos, sin]: [&[f32]; INPUTS]) -> Vec<f32> {
        self.rotate(x, cos, sin, false)
    }

    fn backward(
        &self,
        [_, cos, sin]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        [self.rotate(grad, cos, sin, true), Vec::new(), Vec::new()]
    }
}
