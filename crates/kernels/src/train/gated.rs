//! `y = (silu(gate)·up)·wᵀ`, keeping gate and up for the backward pass but not their product, which
//! is computed again: a pass over memory instead of an array of the MLP's inner width.

use super::linear::Linear;
use super::swiglu::SwiGlu;
use crate::op::{HostOp, INPUTS, Keep};

/// Inputs: gate and up `[rows, inner]`, w `[outputs, inner]`.
#[derive(Debug)]
pub struct GatedLinear {
    /// Of gate and up.
    pub product: SwiGlu,
    /// Of their product with w.
    pub linear: Linear,
}

impl HostOp for GatedLinear {
    fn shape(&self) -> Vec<usize> {
        self.linear.shape()
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, [gate, up, w]: [&[f32]; INPUTS]) -> Vec<f32> {
        let x = self.product.forward([gate, up, &[]]);
        self.linear.forward([&x, w, &[]])
    }

    fn backward(
        &self,
        [gate, up, w]: [&[f32]; INPUTS],
        _: &[f32],
        dy: &[f32],
        [want_gate, want_up, want_w]: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let want_x = want_gate || want_up;
        let x = match want_w {
            true => self.product.forward([gate, up, &[]]),
            false => Vec::new(),
        };
        let wanted = [want_x, want_w, false];
        let [dx, dw, _] = self.linear.backward([&x, w, &[]], &[], dy, wanted);
        drop(x);
        if !want_x {
            return [Vec::new(), Vec::new(), dw];
        }
        let wanted = [want_gate, want_up, false];
        let [d_gate, d_up, _] = self.product.backward([gate, up, &[]], &[], &dx, wanted);
        [d_gate, d_up, dw]
    }
}
