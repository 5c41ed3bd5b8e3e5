//! Tensors of the tests.

#![allow(dead_code)]

use burn::tensor::{Device, Tensor, TensorData};

/// Deterministic values between −1 and 1.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// Values that autodiff tracks.
pub fn leaf<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    leaf_on(&Device::flex(), seed, shape)
}

/// Values without a gradient.
pub fn constant<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    constant_on(&Device::flex(), seed, shape)
}

/// [`leaf`] on a device.
pub fn leaf_on<const D: usize>(device: &Device, seed: u64, shape: [usize; D]) -> Tensor<D> {
    constant_on(device, seed, shape).autodiff().require_grad()
}

/// [`constant`] on a device.
pub fn constant_on<const D: usize>(device: &Device, seed: u64, shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values(seed, shape.iter().product()), shape);
    Tensor::from_data(data, device)
}
