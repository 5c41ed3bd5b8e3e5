//! Layer normalisation.

use burn::tensor::Tensor;
use percept_kernels::train::LayerNorm;

use crate::host_op::run;
use crate::tensors::has_kernel;

/// Layer normalisation over the last axis: `[T, H]`, `[H]`, `[H]` (arXiv 1607.06450).
///
/// # Panics
/// When the widths differ.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert_eq!(
        weight.dims(),
        [width],
        "layer_norm: weight of x {:?}",
        x.dims()
    );
    assert_eq!(bias.dims(), [width], "layer_norm: bias of x {:?}", x.dims());
    if !has_kernel(&x) {
        return reference::layer_norm(x, weight, bias, eps);
    }
    let op = LayerNorm {
        rows,
        width,
        eps: eps as f32,
    };
    run([x.into(), weight.into(), bias.into()], op)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    use crate::ops::rms_norm::reference::rms_norm;

    /// See [`crate::layer_norm`].
    pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
        let mean = x.clone().mean_dim(1);
        rms_norm(x - mean, weight, eps) + bias.unsqueeze()
    }
}
