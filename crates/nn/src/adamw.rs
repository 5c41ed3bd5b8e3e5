//! AdamW with decoupled weight decay (arXiv 1711.05101), as `torch.optim.AdamW` computes it.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::ops::{has_kernel, to_vec};
use crate::reference;

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

/// Elements per task; updates are element-wise, so the split changes no bit.
const CHUNK: usize = 16_384;

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
        let (mut values, grad) = (elements(values), elements(grad));
        let mut first = elements(std::mem::replace(&mut moments.first, nothing()));
        let mut second = elements(std::mem::replace(&mut moments.second, nothing()));
        self.update(&mut values, &grad, [&mut first, &mut second], step);
        (moments.first, moments.second) = (host(first), host(second));
        host(values)
    }

    /// Size of the update, and what the root of the second moment is divided by: the corrections of
    /// the moments' start at 0.
    pub(crate) fn corrections(&self, step: usize) -> (f32, f32) {
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let size = self.lr / (1.0 - self.beta1.powi(steps));
        (size as f32, (1.0 - self.beta2.powi(steps)).sqrt() as f32)
    }

    fn update(&self, values: &mut [f32], grad: &[f32], moments: [&mut [f32]; 2], step: usize) {
        let (beta1, beta2) = (self.beta1 as f32, self.beta2 as f32);
        let keep = (1.0 - self.lr * self.weight_decay) as f32;
        let (size, root) = self.corrections(step);
        let (eps, scale) = (self.eps as f32, self.grad_scale as f32);
        let [first, second] = moments;
        values
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .for_each(|(((values, grad), first), second)| {
                for (((value, grad), m), v) in values.iter_mut().zip(grad).zip(first).zip(second) {
                    let g = grad * scale;
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *value = *value * keep - size * *m / (v.sqrt() / root + eps);
                }
            });
    }
}

/// The elements; no copy when nothing else holds the tensor.
fn elements(x: Tensor<1>) -> Vec<f32> {
    x.into_data()
        .try_into_vec()
        .expect("parameters and gradients are f32")
}

fn host(elements: Vec<f32>) -> Tensor<1> {
    let len = elements.len();
    Tensor::from_data(TensorData::new(elements, [len]), &Device::flex())
}

/// Stands where a tensor was taken out.
fn nothing() -> Tensor<1> {
    host(Vec::new())
}

/// Euclidean norm over all gradients. On the CPU added up in f64 in a fixed order, and none is
/// copied that nothing else holds; on other devices each is added up in f32, the sums in f64.
pub fn global_norm(gradients: &mut [Tensor<1>]) -> f64 {
    let mut sum = 0.0;
    let mut sums = Vec::new();
    for gradient in gradients {
        if !has_kernel(gradient) {
            sums.push(gradient.clone().square().sum());
            continue;
        }
        let values = elements(std::mem::replace(gradient, nothing()));
        let parts: Vec<f64> = values
            .par_chunks(CHUNK)
            .map(|part| part.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
            .collect();
        sum += parts.iter().sum::<f64>();
        *gradient = host(values);
    }
    if !sums.is_empty() {
        // One transfer for all.
        let sums = to_vec(&Tensor::cat(sums, 0));
        sum += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
    sum.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let norm = global_norm(&mut [host(vec![3.0]), host(vec![0.0, 4.0])]);
        assert!((norm - 5.0).abs() < 1e-12);
    }
}
