//! AdamW with decoupled weight decay (arXiv 1711.05101), as `torch.optim.AdamW` computes it.

use rayon::prelude::*;

/// Running averages of the gradient and of its square.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// `exp_avg`.
    pub first: Vec<f32>,
    /// `exp_avg_sq`.
    pub second: Vec<f32>,
}

impl Moments {
    /// Moments of a parameter that was never updated.
    pub fn zeros(len: usize) -> Self {
        Self {
            first: vec![0.0; len],
            second: vec![0.0; len],
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
    /// Updates `values` in place; `step` counts from 1.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn step(&self, values: &mut [f32], grad: &[f32], moments: &mut Moments, step: usize) {
        assert!(values.len() == grad.len() && grad.len() == moments.first.len());
        let (beta1, beta2) = (self.beta1 as f32, self.beta2 as f32);
        let keep = (1.0 - self.lr * self.weight_decay) as f32;
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let size = (self.lr / (1.0 - self.beta1.powi(steps))) as f32;
        let root = (1.0 - self.beta2.powi(steps)).sqrt() as f32;
        let (eps, scale) = (self.eps as f32, self.grad_scale as f32);
        values
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(moments.first.par_chunks_mut(CHUNK))
            .zip(moments.second.par_chunks_mut(CHUNK))
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

/// Euclidean norm over all gradients, added up in f64 in a fixed order.
pub fn global_norm<'a>(gradients: impl Iterator<Item = &'a [f32]>) -> f64 {
    let sum: f64 = gradients
        .map(|gradient| {
            let parts: Vec<f64> = gradient
                .par_chunks(CHUNK)
                .map(|part| part.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
                .collect();
            parts.iter().sum::<f64>()
        })
        .sum();
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
        let mut values = [1.0, -2.0, 0.5];
        let mut moments = Moments::zeros(3);
        for step in 1..=3 {
            let grad = [0.1, -0.2, 0.3].map(|g| g * step as f32);
            adamw.step(&mut values, &grad, &mut moments, step);
        }
        for (value, torch) in values.iter().zip(TORCH) {
            assert!(
                (f64::from(*value) - torch).abs() < 1e-6,
                "{value} for {torch}"
            );
        }
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let norm = global_norm([[3.0].as_slice(), &[0.0, 4.0]].into_iter());
        assert!((norm - 5.0).abs() < 1e-12);
    }
}
