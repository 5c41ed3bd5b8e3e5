//! What an optimiser remembers of a parameter.

use burn::tensor::{Device, Tensor};

/// Running averages of the gradient and of its square, row-major, on the parameter's device.
#[derive(Debug, Clone)]
pub struct Moments {
    /// `exp_avg`.
    pub first: Tensor<1>,
    /// `exp_avg_sq`.
    pub second: Tensor<1>,
}

impl Moments {
    /// Moments of a parameter that was never updated.
    pub fn zeros(len: usize, device: &Device) -> Self {
        Self {
            first: Tensor::zeros([len], device),
            second: Tensor::zeros([len], device),
        }
    }
}
