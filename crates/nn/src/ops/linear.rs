//! Products with a weight.

use burn::tensor::Tensor;
use percept_kernels::Precision;
use percept_kernels::train::Linear;

use crate::host_op::{Input, run};
use crate::tensors::has_kernel;

/// `x · weightᵀ + bias`: `[T, I]`, `[O, I]` as checkpoints store it, `[O]`.
///
/// # Panics
/// When the shapes do not fit.
pub fn linear_in(
    precision: Precision,
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let ([rows, inputs], [outputs, weight_inputs]) = (x.dims(), weight.dims());
    assert_eq!(
        weight_inputs,
        inputs,
        "linear: x {:?}, weight {:?}",
        x.dims(),
        weight.dims()
    );
    if let Some(bias) = &bias {
        assert_eq!(
            bias.dims(),
            [outputs],
            "linear: bias of weight {:?}",
            weight.dims()
        );
    }
    if !has_kernel(&x) {
        return reference::linear(x, weight, bias);
    }
    let bias = bias.map_or_else(Input::none, Input::from);
    run(
        [x.into(), weight.into(), bias],
        Linear {
            rows,
            inputs,
            outputs,
            precision,
        },
    )
}

/// [`linear_in`] f32.
///
/// # Panics
/// As there.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    linear_in(Precision::F32, x, weight, bias)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    /// See [`crate::linear`].
    pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let y = x.matmul(weight.transpose());
        match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    }
}
