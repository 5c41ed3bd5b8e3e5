//! SwiGLU, `silu(gate)·up` (arXiv 2002.05202).

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::activation::sigmoid;
use super::tasks::{TASK, vectors};
use crate::op::{HostOp, INPUTS, Keep};
use crate::simd::{Isa, Kernel, Lanes, dispatch};
use crate::unwritten::Unwritten;

/// Inputs: gate and up, both `[rows, width]`; result `silu(gate)·up`.
#[derive(Debug)]
pub struct SwiGlu {
    /// Rows of both inputs.
    pub rows: usize,
    /// Values of a row.
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
