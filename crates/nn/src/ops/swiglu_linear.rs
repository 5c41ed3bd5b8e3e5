//! The product of a SwiGLU with a weight.

use burn::tensor::Tensor;
use percept_kernels::Precision;
use percept_kernels::train::{GatedLinear, Linear, SwiGlu};

use super::{linear, swiglu};
use crate::host_op::run;
use crate::tensors::has_kernel;

/// [`linear_in`](crate::linear_in) of [`swiglu`](crate::swiglu) without a bias: `gate` and `up`
/// `[T, I]`, `weight` `[O, I]`. Their product, which the gradient of the weight needs, is not kept
/// for the backward pass but computed again.
///
/// # Panics
/// When the shapes do not fit.
pub fn swiglu_linear(
    precision: Precision,
    gate: Tensor<2>,
    up: Tensor<2>,
    weight: Tensor<2>,
) -> Tensor<2> {
    let ([rows, width], [outputs, inputs]) = (gate.dims(), weight.dims());
    assert!(
        up.dims() == [rows, width] && width == inputs,
        "swiglu_linear: gate {:?}, up {:?}, weight {:?}",
        gate.dims(),
        up.dims(),
        weight.dims()
    );
    if !has_kernel(&gate) {
        return linear::reference::linear(swiglu::reference::swiglu(gate, up), weight, None);
    }
    let op = GatedLinear {
        product: SwiGlu { rows, width },
        linear: Linear {
            rows,
            inputs,
            outputs,
            precision,
        },
    };
    run([gate.into(), up.into(), weight.into()], op)
}
