//! The tower's forward pass, and what its backward pass needs of it.

use burn::tensor::Tensor;
use percept_weights::{Dropout, Weights, segment};

use crate::pass::part::parts;
use crate::pass::tape::Tape;
use crate::vision::encoder::VisionEncoder;
use crate::vision::plan::VisionPlan;
use crate::vision::tower::VisionPass;
use crate::{GradientCheckpointing, ParamGrads};

/// What the tower made of some images, without autodiff, and the way back.
pub(crate) struct VisionTape {
    /// `[merged tokens, hidden]`, in the tower's order.
    pub(crate) merged: Tensor<2>,
    /// For each merged token of the images, in their order, its row of `merged`.
    pub(crate) sources: Vec<u32>,
    /// None where nothing goes back through the tower.
    back: Option<VisionBackward>,
}

/// What was kept of the blocks, and the ends of the tower.
struct VisionBackward {
    pass: VisionPass,
    pixels: Tensor<2>,
    blocks: Tape,
    last: Tensor<2>,
    /// The masks of the forward pass: the backward pass may come when the model has others.
    dropout: Option<Dropout>,
}

impl VisionTape {
    /// Runs the tower. `keep` says what is kept of it; without it nothing is, nor of a tower that is
    /// not trained. The norms and linear layers at its ends are computed again in any case.
    pub(crate) fn record(
        encoder: &VisionEncoder<'_>,
        plan: VisionPlan,
        keep: Option<GradientCheckpointing>,
        dropout: Option<Dropout>,
    ) -> Self {
        let (plain, tracked) = weights(encoder, dropout);
        let Some(checkpointing) = keep.filter(|_| encoder.trained()) else {
            let encoder = VisionEncoder {
                weights: plain,
                ..*encoder
            };
            let (merged, sources) = encoder.encode(plan);
            return Self {
                merged,
                sources,
                back: None,
            };
        };
        let tower = encoder.tower;
        let (mut pass, pixels) = VisionPass::new(plan, encoder.device);
        let x = tower.embed(&plain, pixels.clone());
        let parts = parts(checkpointing, tower.blocks());
        let (blocks, last) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            tower.part(part, weights, &pass, x)
        });
        let merged = tower.merge(&plain, last.clone());
        let sources = std::mem::take(&mut pass.plan.sources);
        let back = VisionBackward {
            pass,
            pixels,
            blocks,
            last,
            dropout,
        };
        Self {
            merged,
            sources,
            back: Some(back),
        }
    }

    /// Sends the gradient of `merged` back through the tower.
    pub(crate) fn backward(
        self,
        encoder: &VisionEncoder<'_>,
        grads: &mut ParamGrads,
        dy: Tensor<2>,
    ) {
        let Some(back) = self.back else {
            return;
        };
        let (tower, params) = (encoder.tower, encoder.weights.params);
        let (_, weights) = weights(encoder, back.dropout);
        let dx = segment(params, grads, back.last, dy, |x| tower.merge(&weights, x));
        let dx = back.blocks.backward(params, grads, dx, |part, x| {
            tower.part(part, &weights, &back.pass, x)
        });
        let x = tower.embed(&weights, back.pixels);
        if let (Some(dy), true) = (dx, x.is_tracked()) {
            grads.collect(params, &mut (x * dy).sum().backward());
        }
    }
}

/// The encoder's weights without and with autodiff, with this dropout.
fn weights<'m>(
    encoder: &VisionEncoder<'m>,
    dropout: Option<Dropout>,
) -> (Weights<'m>, Weights<'m>) {
    let with = |track| Weights {
        dropout,
        track,
        ..encoder.weights
    };
    (with(false), with(true))
}
