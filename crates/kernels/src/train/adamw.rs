//! The update of AdamW, and the sum that gradients are clipped by.

use rayon::prelude::*;

/// Elements per task; updates are element-wise, so the split changes no bit.
const CHUNK: usize = 16_384;

/// One step of AdamW for one parameter, with the corrections of the moments' start at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// The gradient is multiplied by this first.
    pub grad_scale: f32,
    /// Values are multiplied by this first (weight decay).
    pub keep: f32,
    /// Size of the update: the learning rate over the correction of the first moment.
    pub size: f32,
    /// What the root of the second moment is divided by.
    pub root: f32,
}

impl AdamWStep {
    /// Updates the values of a parameter and its two moments. Arrays of unequal lengths are updated as far as all reach.
    pub fn apply(&self, values: &mut [f32], grad: &[f32], [first, second]: [&mut [f32]; 2]) {
        let Self {
            beta1,
            beta2,
            eps,
            grad_scale: scale,
            keep,
            size,
            root,
        } = *self;
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

/// `Σ x²` in f64, in an order that does not depend on the number of threads.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let parts: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|part| part.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
        .collect();
    parts.iter().sum::<f64>()
}
