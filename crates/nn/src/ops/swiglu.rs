//! SwiGLU.

use burn::tensor::Tensor;
use percept_kernels::train::SwiGlu;

use crate::host_op::{Input, run};
use crate::tensors::has_kernel;

/// `silu(gate) · up`, both `[T, H]` (arXiv 2002.05202).
///
/// # Panics
/// When the shapes differ.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let [rows, width] = gate.dims();
    assert_eq!(up.dims(), [rows, width], "swiglu: gate and up");
    if !has_kernel(&gate) {
        return reference::swiglu(gate, up);
    }
    run(
        [gate.into(), up.into(), Input::none()],
        SwiGlu { rows, width },
    )
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::{Tensor, activation};

    /// See [`crate::swiglu`].
    pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        activation::silu(gate) * up
    }
}
