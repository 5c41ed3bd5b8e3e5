//! Element-wise kernels: SwiGLU and rotary position embedding.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::activation::sigmoid;
use super::{TASK, TASK_ROWS, Unwritten, vectors};
use crate::host::simd::{Isa, Kernel, Lanes, dispatch};
use crate::host_op::{HostOp, INPUTS, Keep};

/// Inputs: gate and up, both `[rows, width]`; result `silu(gate)·up`.
#[derive(Debug)]
pub(crate) struct SwiGlu {
    pub rows: usize,
    pub width: usize,
}

impl HostOp for SwiGlu {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, [gate, up, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        assert_eq!(gate.len(), up.len(), "gate and up");
        let mut out = Unwritten::new(gate.len());
        out.slots()
            .par_chunks_mut(TASK)
            .zip(gate.par_chunks(TASK))
            .zip(up.par_chunks(TASK))
            .for_each(|((out, gate), up)| dispatch(Isa::detect(), Forward { gate, up, out }));
        // SAFETY: the tasks cover the arrays, and the vectors of a task its piece.
        unsafe { out.written() }
    }

    fn backward(
        &self,
        [gate, up, _]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        assert!(
            gate.len() == up.len() && gate.len() == grad.len(),
            "gate, up and gradient"
        );
        let (mut d_gate, mut d_up) = (Unwritten::new(gate.len()), Unwritten::new(gate.len()));
        d_gate
            .slots()
            .par_chunks_mut(TASK)
            .zip(d_up.slots().par_chunks_mut(TASK))
            .zip(
                gate.par_chunks(TASK)
                    .zip(up.par_chunks(TASK))
                    .zip(grad.par_chunks(TASK)),
            )
            .for_each(|((d_gate, d_up), ((gate, up), grad))| {
                dispatch(
                    Isa::detect(),
                    Backward {
                        gate,
                        up,
                        grad,
                        d_gate,
                        d_up,
                    },
                );
            });
        // SAFETY: as in the forward pass.
        unsafe { [d_gate.written(), d_up.written(), Vec::new()] }
    }
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

struct Backward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    grad: &'a [f32],
    d_gate: &'a mut [MaybeUninit<f32>],
    d_up: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        for (at, n) in vectors(self.out.len()) {
            // SAFETY: `n` elements follow `at` in all arrays; the caller has the instructions.
            unsafe {
                let gate = S::load_part(self.gate.as_ptr().add(at), n);
                let up = S::load_part(self.up.as_ptr().add(at), n);
                gate.mul(sigmoid(gate))
                    .mul(up)
                    .store_part(self.out.as_mut_ptr().cast::<f32>().add(at), n);
            }
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        for (at, n) in vectors(self.grad.len()) {
            // SAFETY: as in `Forward`.
            unsafe {
                let gate = S::load_part(self.gate.as_ptr().add(at), n);
                let up = S::load_part(self.up.as_ptr().add(at), n);
                let grad = S::load_part(self.grad.as_ptr().add(at), n);
                let s = sigmoid(gate);
                let silu = gate.mul(s);
                grad.mul(silu)
                    .store_part(self.d_up.as_mut_ptr().cast::<f32>().add(at), n);
                // silu' = s + silu·(1 − s)
                let slope = silu.fma(S::splat(1.0).sub(s), s);
                grad.mul(up)
                    .mul(slope)
                    .store_part(self.d_gate.as_mut_ptr().cast::<f32>().add(at), n);
            }
        }
    }
}

/// Inputs: x `[tokens, heads, dim]`, cos and sin `[tokens, dim]` (constants).
#[derive(Debug)]
pub(crate) struct Rotary {
    pub tokens: usize,
    pub heads: usize,
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
