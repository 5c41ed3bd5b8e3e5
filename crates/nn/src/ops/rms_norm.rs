//! RMS normalisation.

use burn::tensor::Tensor;
use percept_kernels::train::RmsNorm;

use crate::host_op::{Input, run};
use crate::tensors::has_kernel;

/// `x / sqrt(mean(x²) + eps) · weight` over the last axis: `[T, H]`, `[H]` (arXiv 1910.07467).
///
/// # Panics
/// When the widths differ.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert_eq!(
        weight.dims(),
        [width],
        "rms_norm: weight of x {:?}",
        x.dims()
    );
    if !has_kernel(&x) {
        return reference::rms_norm(x, weight, eps);
    }
    let op = RmsNorm {
        rows,
        width,
        eps: eps as f32,
    };
    run([x.into(), weight.into(), Input::none()], op)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    /// See [`crate::rms_norm`].
    pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
        let root = (x.clone().square().mean_dim(1) + eps).sqrt();
        x / root * weight.unsqueeze()
    }
}
