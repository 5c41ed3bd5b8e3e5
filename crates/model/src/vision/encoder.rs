//! A vision tower with its weights: the one way from preprocessed images to rows.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use percept_data::Patches;
use percept_weights::Weights;

use crate::pass::part::Part;
use crate::vision::names::is_vision_param;
use crate::vision::plan::VisionPlan;
use crate::vision::tower::{Tower, VisionPass};

/// The vision tower of a model, and the weights of one pass.
#[derive(Clone, Copy)]
pub(crate) struct VisionEncoder<'m> {
    pub(crate) tower: &'m dyn Tower,
    pub(crate) weights: Weights<'m>,
    pub(crate) device: &'m Device,
}

impl VisionEncoder<'_> {
    /// Order, positions and attention of some images.
    pub(crate) fn plan(&self, images: &[Arc<Patches>]) -> VisionPlan {
        self.tower.plan(images)
    }

    /// The whole tower: the rows of all distinct images, `[merged tokens, hidden]` in its order, and for each merged
    /// token of the images, in theirs, its row.
    pub(crate) fn encode(&self, plan: VisionPlan) -> (Tensor<2>, Vec<u32>) {
        let (pass, pixels) = VisionPass::new(plan, self.device);
        let mut x = self.tower.embed(&self.weights, pixels);
        for block in 0..self.tower.blocks() {
            x = self.tower.part(Part::Layer(block), &self.weights, &pass, x);
        }
        (self.tower.merge(&self.weights, x), pass.plan.sources)
    }

    /// Whether a parameter or an adapter of the tower is trained.
    pub(crate) fn trained(&self) -> bool {
        let mut params = self.weights.params.iter();
        params.any(|p| p.trainable() && is_vision_param(p.name()))
    }
}
