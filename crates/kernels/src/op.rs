//! What an operator of the training path is: a differentiable function of host arrays.

use std::fmt::Debug;

/// Inputs of an operation; empty arrays fill shorter lists up.
pub const INPUTS: usize = 3;

/// What the backward pass of an operation reads, and so must be kept in memory until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Of the inputs.
    pub inputs: [bool; INPUTS],
    /// The result.
    pub output: bool,
}

impl Keep {
    /// The inputs and not the result.
    pub const INPUTS: Self = Self {
        inputs: [true; INPUTS],
        output: false,
    };
    /// Everything.
    pub const ALL: Self = Self {
        inputs: [true; INPUTS],
        output: true,
    };
    /// Nothing but the gradient of the result.
    pub const NOTHING: Self = Self {
        inputs: [false; INPUTS],
        output: false,
    };
}

/// A differentiable function of up to three arrays. An instance serves one call: it may keep
/// what its backward needs.
pub trait HostOp: Debug + Send + Sync {
    /// Shape of the result.
    fn shape(&self) -> Vec<usize>;

    /// What [`HostOp::backward`] reads, given which inputs need a gradient.
    fn keep(&self, wanted: [bool; INPUTS]) -> Keep;

    /// The result, row-major.
    fn forward(&self, inputs: [&[f32]; INPUTS]) -> Vec<f32>;

    /// Gradients of the inputs; those that are not `wanted` may be empty. Arrays that are not in
    /// [`HostOp::keep`] come as empty slices.
    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        output: &[f32],
        grad: &[f32],
        wanted: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS];
}
