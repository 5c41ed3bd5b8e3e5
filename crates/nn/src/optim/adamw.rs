//! AdamW with decoupled weight decay (arXiv 1711.05101), as `torch.optim.AdamW` computes it.

use burn::tensor::Tensor;
use percept_kernels::train::AdamWStep;

use super::moments::Moments;
use super::owned::{elements, host, nothing};
use crate::tensors::has_kernel;

/// One step's hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The gradient is multiplied by this first (clipping by global norm).
    pub grad_scale: f64,
}

impl Default for AdamW {
    /// The defaults of `torch.optim.AdamW`.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            grad_scale: 1.0,
        }
    }
}

impl AdamW {
    /// The updated `values` of a parameter, flat; `step` counts the gradients of this parameter, from 1
    /// (torch's `state["step"]`): one that is reached late begins with a step of its own. On the CPU in
    /// place, where nothing else holds the arrays.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn step(
        &self,
        values: Tensor<1>,
        grad: Tensor<1>,
        moments: &mut Moments,
        step: usize,
    ) -> Tensor<1> {
        let len = values.dims();
        assert!(len == grad.dims() && len == moments.first.dims() && len == moments.second.dims());
        if !has_kernel(&values) {
            return reference::adamw(self, values, grad, moments, step);
        }
        let (size, root) = self.corrections(step);
        let kernel = AdamWStep {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            eps: self.eps as f32,
            grad_scale: self.grad_scale as f32,
            keep: (1.0 - self.lr * self.weight_decay) as f32,
            size,
            root,
        };
        let (mut values, grad) = (elements(values), elements(grad));
        let mut first = elements(std::mem::replace(&mut moments.first, nothing()));
        let mut second = elements(std::mem::replace(&mut moments.second, nothing()));
        kernel.apply(&mut values, &grad, [&mut first, &mut second]);
        (moments.first, moments.second) = (host(first), host(second));
        host(values)
    }

    /// Size of the update, and what the root of the second moment is divided by: the corrections of
    /// the moments' start at 0.
    fn corrections(&self, step: usize) -> (f32, f32) {
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let size = self.lr / (1.0 - self.beta1.powi(steps));
        (size as f32, (1.0 - self.beta2.powi(steps)).sqrt() as f32)
    }
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    use crate::optim::adamw::AdamW;
    use crate::optim::moments::Moments;

    /// See [`AdamW::step`](crate::AdamW::step).
    pub fn adamw(
        adamw: &AdamW,
        values: Tensor<1>,
        grad: Tensor<1>,
        moments: &mut Moments,
        step: usize,
    ) -> Tensor<1> {
        let (size, root) = adamw.corrections(step);
        let grad = grad * adamw.grad_scale;
        let first = moments.first.clone() * adamw.beta1 + grad.clone() * (1.0 - adamw.beta1);
        let second = moments.second.clone() * adamw.beta2 + grad.square() * (1.0 - adamw.beta2);
        (moments.first, moments.second) = (first.clone(), second.clone());
        let change = first * size / (second.sqrt() / root + adamw.eps);
        values * (1.0 - adamw.lr * adamw.weight_decay) - change
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::tensors::to_vec;

    /// Three steps of `torch.optim.AdamW([1, -2, 0.5], lr=0.1, betas=(0.9, 0.99), eps=1e-8,
    /// weight_decay=0.1)` on gradients [0.1, -0.2, 0.3]·step (torch 2.15, float64).
    const TORCH: [f64; 3] = [0.681312003, -1.651610993, 0.19616249];

    #[test]
    fn three_steps_equal_torch() {
        let adamw = AdamW {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_scale: 1.0,
        };
        let mut values = host(vec![1.0, -2.0, 0.5]);
        let mut moments = Moments::zeros(3, &Device::flex());
        for step in 1..=3 {
            let grad = [0.1, -0.2, 0.3].map(|g| g * step as f32);
            values = adamw.step(values, host(grad.to_vec()), &mut moments, step);
        }
        for (value, torch) in to_vec(&values).iter().zip(TORCH) {
            assert!(
                (f64::from(*value) - torch).abs() < 1e-6,
                "{value} for {torch}"
            );
        }
    }
}
