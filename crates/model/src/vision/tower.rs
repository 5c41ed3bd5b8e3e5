//! What every vision tower is to the model: patches in, rows of the decoder's width out.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use percept_data::Patches;
use percept_weights::Weights;

use crate::pass::part::Part;
use crate::vision::plan::VisionPlan;
use crate::{Error, GradientCheckpointing};

/// The structure of a vision tower; its parameters are the model's.
///
/// A new tower is a file that implements this, and its line in `towers.rs`.
pub(crate) trait Tower: Debug + Send + Sync {
    /// Whether image `index` of a batch fits the tower.
    ///
    /// # Errors
    /// [`Error::Batch`] saying why not.
    fn check(&self, image: &Patches, index: usize) -> Result<(), Error>;

    /// Rows that a `(t, h, w)` grid of patches becomes.
    fn merged_tokens(&self, grid_thw: [usize; 3]) -> usize;

    /// Order, positions and attention of the patches of some images, which [fit](Tower::check).
    fn plan(&self, images: &[Arc<Patches>]) -> VisionPlan;

    /// Number of blocks.
    fn blocks(&self) -> usize;

    /// Numbers that a trained tower keeps for the backward pass, per merged token.
    fn activations(&self, checkpointing: GradientCheckpointing) -> f64;

    /// `[patches, patch_values]` → `[patches, hidden]`.
    fn embed(&self, weights: &Weights, pixels: Tensor<2>) -> Tensor<2>;

    /// A block up to its MLP: `[patches, hidden]` → `[patches, hidden]`.
    fn attention_part(
        &self,
        block: usize,
        weights: &Weights,
        pass: &VisionPass,
        x: Tensor<2>,
    ) -> Tensor<2>;

    /// The rest of a block: `[patches, hidden]` → `[patches, hidden]`.
    fn mlp_part(&self, block: usize, weights: &Weights, x: Tensor<2>) -> Tensor<2>;

    /// A part of a block, or all of it.
    fn part(&self, part: Part, weights: &Weights, pass: &VisionPass, x: Tensor<2>) -> Tensor<2> {
        match part {
            Part::Layer(index) => {
                let x = self.attention_part(index, weights, pass, x);
                self.mlp_part(index, weights, x)
            }
            Part::Attention(index) => self.attention_part(index, weights, pass, x),
            Part::Mlp(index) => self.mlp_part(index, weights, x),
        }
    }

    /// `[patches, hidden]` → `[merged tokens, width of the decoder]`, in the order of the plan.
    fn merge(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2>;
}

/// A plan on the device: what all blocks of one pass share.
pub(crate) struct VisionPass {
    pub(crate) plan: VisionPlan,
    /// Cosines and sines, where the tower rotates.
    pub(crate) rotary: Option<(Tensor<2>, Tensor<2>)>,
}

impl VisionPass {
    /// Moves the plan's tables to the device, and its pixels, `[patches, patch_values]`.
    pub(crate) fn new(mut plan: VisionPlan, device: &Device) -> (Self, Tensor<2>) {
        let rows = plan.patches;
        let table = |values: Vec<f32>| {
            let shape = [rows, values.len() / rows.max(1)];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let pixels = table(std::mem::take(&mut plan.pixels));
        let rotary = plan.rotary.take();
        let pass = Self {
            rotary: rotary.map(|(cos, sin)| (table(cos), table(sin))),
            plan,
        };
        (pass, pixels)
    }
}
