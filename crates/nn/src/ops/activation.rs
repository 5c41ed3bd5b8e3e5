//! Activations of one argument: the exact GELU and its sigmoid approximation.

use burn::tensor::Tensor;
use percept_kernels::train::{Activation, Function};

use crate::host_op::{Input, run};
use crate::tensors::has_kernel;

/// The exact GELU, `x·Φ(x)`, over `[T, H]` (arXiv 1606.08415).
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    if !has_kernel(&x) {
        return reference::gelu(x);
    }
    activation(x, Function::Gelu)
}

/// `x·σ(1.702·x)` over `[T, H]`: the GELU of CLIP and of Qwen2-VL's vision tower.
pub fn quick_gelu(x: Tensor<2>) -> Tensor<2> {
    if !has_kernel(&x) {
        return reference::quick_gelu(x);
    }
    activation(x, Function::QuickGelu)
}

fn activation(x: Tensor<2>, function: Function) -> Tensor<2> {
    let [rows, width] = x.dims();
    run(
        [x.into(), Input::none(), Input::none()],
        Activation {
            function,
            rows,
            width,
        },
    )
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::{Tensor, activation};

    /// See [`crate::gelu`].
    pub fn gelu(x: Tensor<2>) -> Tensor<2> {
        // Burn's own backward pass of gelu is that of its tanh form on devices, off by 1e-3.
        (x.clone() * std::f64::consts::FRAC_1_SQRT_2)
            .erf()
            .add_scalar(1.0)
            * x
            * 0.5
    }

    /// See [`crate::quick_gelu`].
    pub fn quick_gelu(x: Tensor<2>) -> Tensor<2> {
        x.clone() * activation::sigmoid(x * 1.702)
    }
}
