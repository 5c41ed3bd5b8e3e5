//! The tower's forward pass, and what its backward pass needs of it.

use burn::tensor::Tensor;

use crate::pass::gradients::segment;
use crate::pass::tape::{Tape, parts};
use crate::vision::plan::VisionPlan;
use crate::vision::qwen2vl::VisionPass;
use crate::weights::layers::{Dropout, Weights};
use crate::{Error, GradientCheckpointing, Model, ParamGrads};

/// What the tower made of some images, without autodiff, and the way back.
pub(crate) struct VisionTape {
    /// `[merged tokens, hidden]`, in the tower's order.
    pub(crate) merged: Tensor<2>,
    /// For each merged token of the images, in their order, its row of `merged`.
    pub(crate) sources: Vec<u32>,
    /// None where nothing goes back through the tower.
    back: Option<Back>,
}

/// What was kept of the blocks, and the ends of the tower.
struct Back {
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
        model: &Model,
        plan: VisionPlan,
        keep: Option<GradientCheckpointing>,
        dropout: Option<Dropout>,
    ) -> Result<Self, Error> {
        let weights = |track| Weights {
            dropout,
            ..model.weights(track)
        };
        let plain = weights(false);
        let Some(checkpointing) = keep.filter(|_| model.trains_vision()) else {
            let (merged, sources) = model.encode(&plain, plan);
            return Ok(Self {
                merged,
                sources,
                back: None,
            });
        };
        let tracked = weights(true);
        let (config, tower) = model.tower()?;
        let mut pass = VisionPass::new(config, plan, &model.device);
        let pixels = tower.pixels(&mut pass, &model.device);
        let x = tower.embed(&plain, pixels.clone());
        let parts = parts(checkpointing, tower.blocks.len());
        let (blocks, last) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            tower.part(part, weights, &pass, x)
        });
        let merged = tower.merge(&plain, last.clone());
        let sources = std::mem::take(&mut pass.plan.sources);
        let back = Back {
            pass,
            pixels,
            blocks,
            last,
            dropout,
        };
        Ok(Self {
            merged,
            sources,
            back: Some(back),
        })
    }

    /// Sends the gradient of `merged` back through the tower.
    pub(crate) fn backward(self, model: &Model, grads: &mut ParamGrads, dy: Tensor<2>) {
        let (Some(back), Ok((_, tower))) = (self.back, model.tower()) else {
            return;
        };
        let params = &model.params;
        let weights = Weights {
            dropout: back.dropout,
            ..model.weights(true)
        };
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
