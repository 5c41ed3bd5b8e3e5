//! What a vision tower needs to know of its images before it runs.
//!
//! One run of the tower computes every distinct image once, also one that several rows hold each for itself.

use std::sync::Arc;

use percept_data::Patches;
use percept_nn::Layout;

/// Everything the tower needs to know about the images of one pass.
pub(crate) struct VisionPlan {
    /// Number of rows of all distinct images: patches, and class tokens where the tower has them.
    pub(crate) patches: usize,
    /// Rows that they become.
    pub(crate) merged: usize,
    /// `[patches, patch_values]` in the tower's order.
    pub(crate) pixels: Vec<f32>,
    /// Attention over each frame.
    pub(crate) frames: Arc<Layout>,
    /// Attention over each window; `None` where the tower has none.
    pub(crate) windows: Option<Arc<Layout>>,
    /// Cosines and sines, `[patches, head_dim]` each; `None` where positions are learned.
    pub(crate) rotary: Option<(Vec<f32>, Vec<f32>)>,
    /// For each merged token of the prompt's images, in their order, its row in the output.
    pub(crate) sources: Vec<u32>,
}

/// The distinct images, and for each image which of them it is.
pub(crate) fn distinct(images: &[Arc<Patches>]) -> (Vec<&Arc<Patches>>, Vec<usize>) {
    let mut unique: Vec<&Arc<Patches>> = Vec::new();
    let mut which = Vec::with_capacity(images.len());
    for image in images {
        // Quadratic, but over the images of one pass and mostly on a few pixels.
        let found = unique.iter().position(|other| other.same_picture(image));
        which.push(found.unwrap_or(unique.len()));
        if found.is_none() {
            unique.push(image);
        }
    }
    (unique, which)
}
