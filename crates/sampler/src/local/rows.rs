//! A step's logits.

use percept_kernels::decode::Mass;

/// A step's logits of a model, and the parts of their soft-maxes.
#[derive(Clone, Default)]
pub(crate) struct StepLogits {
    pub logits: Vec<f32>,
    pub masses: Vec<Mass>,
}

impl StepLogits {
    /// One of `rows`.
    pub fn row(&self, row: usize, rows: usize) -> (&[f32], &[Mass]) {
        let (vocab, parts) = (self.logits.len() / rows, self.masses.len() / rows);
        (
            &self.logits[row * vocab..][..vocab],
            &self.masses[row * parts..][..parts],
        )
    }
}
