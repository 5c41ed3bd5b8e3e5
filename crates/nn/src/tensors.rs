//! Values of tensors on the host, and what operators ask of tensors before they compute.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Whether the CPU kernels apply: f32 in host memory.
pub(crate) fn has_kernel<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

pub(crate) fn check_rows(op: &str, index: &[u32], rows: usize) {
    let wrong = index.iter().find(|&&row| row as usize >= rows);
    assert!(wrong.is_none(), "{op}: index {wrong:?} of {rows} rows");
}

/// Indices as a tensor without gradient.
pub(crate) fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let data = TensorData::new(values, [ids.len()]);
    Tensor::from_data(data, &device.clone().inner())
}

/// `Σ x·c` as a `[1]` tensor; `c` has no gradient. What a loss computed on the host needs to send
/// its gradient back.
///
/// # Panics
/// When the lengths differ.
pub fn dot(x: Tensor<1>, c: &[f32]) -> Tensor<1> {
    assert_eq!(x.dims()[0], c.len(), "one coefficient per value");
    let device = x.device().inner();
    let c = Tensor::<1>::from_data(TensorData::new(c.to_vec(), [c.len()]), &device);
    (x * c).sum()
}

/// The values of a tensor on the host, row-major, without its autodiff graph.
pub fn to_vec<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone()
        .into_data()
        .try_into_vec()
        .expect("tensors of this crate are f32")
}
