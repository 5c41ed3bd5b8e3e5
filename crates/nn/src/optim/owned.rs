//! Flat tensors and the arrays that they own.

use burn::tensor::{Device, Tensor, TensorData};

/// The elements; no copy when nothing else holds the tensor.
pub(super) fn elements(x: Tensor<1>) -> Vec<f32> {
    x.into_data()
        .try_into_vec()
        .expect("parameters and gradients are f32")
}

pub(super) fn host(elements: Vec<f32>) -> Tensor<1> {
    let len = elements.len();
    Tensor::from_data(TensorData::new(elements, [len]), &Device::flex())
}

/// Stands where a tensor was taken out.
pub(super) fn nothing() -> Tensor<1> {
    host(Vec::new())
}
