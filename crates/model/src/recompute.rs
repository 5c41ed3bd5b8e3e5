//! Forward and backward in one call, with or without gradient checkpointing.
//!
//! With full checkpointing the forward pass keeps the input of every layer and nothing else; the
//! backward pass goes through the layers from the last to the first, computing each once more.
//! That is true recomputation: peak memory holds one layer's graph, whatever the depth, for one
//! more forward pass of time. Selective checkpointing does so with the attention half of every
//! layer and keeps the graph of the other, but for the product of gate and up.

use burn::tensor::Tensor;

use crate::embed::Encoded;
use crate::gradients::segment;
use crate::layers::Weights;
use crate::tape::{Tape, parts};
use crate::text::TextPass;
use crate::vision::VisionPass;
use crate::{Error, GradientCheckpointing, Model, PackedBatch, ParamGrads};

impl Model {
    /// Computes hidden states, gives them to `loss`, and returns what `loss` returns beside the
    /// gradients of its scalar.
    ///
    /// `loss` receives `[tokens, hidden]` after the final norm and returns a `[1]` tensor and
    /// anything else; it may use [`Model::lm_head`].
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not fit the model; the errors of `loss`.
    pub fn forward_backward<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        checkpointing: impl Into<GradientCheckpointing>,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<(T, ParamGrads), E> {
        let mut grads = ParamGrads::new(self.params.len());
        let checkpointing = checkpointing.into();
        if checkpointing != GradientCheckpointing::Off {
            let output = self.recompute(batch, checkpointing, &mut grads, loss)?;
            return Ok((output, grads));
        }
        let (scalar, output) = loss(self.forward(batch)?)?;
        if scalar.is_tracked() {
            grads.collect(&self.params, &mut scalar.backward());
        }
        Ok((output, grads))
    }

    fn recompute<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        checkpointing: GradientCheckpointing,
        grads: &mut ParamGrads,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<T, E> {
        self.check(batch)?;
        let (plain, tracked) = (self.weights(false), self.weights(true));
        let pass = TextPass::new(&self.config, batch, &self.device);
        let vision = VisionTape::record(self, batch, checkpointing)?;
        let rows = vision
            .as_ref()
            .map(|tape| tape.encoded(tape.merged.clone()));
        let x = self.embed(&plain, &batch.tokens, rows, &batch.vision_index);
        let parts = parts(checkpointing, self.text.layers.len());
        let (tape, x) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            self.text.part(part, weights, &pass, x)
        });

        let x = x.autodiff().require_grad();
        let (scalar, output) = loss(self.text.norm(&tracked, x.clone()))?;
        if !scalar.is_tracked() {
            return Ok(output);
        }
        let mut gradients = scalar.backward();
        grads.collect(&self.params, &mut gradients);
        let dx = x.grad_remove(&mut gradients);
        drop((x, gradients));
        let dx = tape.backward(&self.params, grads, dx, |part, x| {
            self.text.part(part, &tracked, &pass, x)
        });
        if let Some(dy) = dx {
            self.recompute_inputs(&tracked, batch, grads, vision, dy);
        }
        Ok(output)
    }

    /// Sends the gradient of the first layer's input into the embedding table and the tower.
    fn recompute_inputs(
        &self,
        weights: &Weights,
        batch: &PackedBatch,
        grads: &mut ParamGrads,
        vision: Option<VisionTape>,
        dy: Tensor<2>,
    ) {
        let Some(tape) = vision else {
            if self.params[self.text.embed_tokens].trainable() {
                let x = self.text.embed(weights, &batch.tokens);
                grads.collect(&self.params, &mut (x * dy).sum().backward());
            }
            return;
        };
        let d_merged = segment(&self.params, grads, tape.merged.clone(), dy, |merged| {
            self.embed(
                weights,
                &batch.tokens,
                Some(tape.encoded(merged)),
                &batch.vision_index,
            )
        });
        if let (Some(dy), true) = (d_merged, self.trains_vision()) {
            tape.backward(self, weights, grads, dy);
        }
    }

    /// Whether a parameter or an adapter of the tower is trained.
    fn trains_vision(&self) -> bool {
        let visual = |name: &str| name.starts_with("visual.") || name.contains(".visual.");
        let mut params = self.params.iter();
        params.any(|p| p.trainable() && visual(p.name()))
    }
}

/// The tower's forward pass: what was kept of its blocks, the merger's input, and its output.
struct VisionTape {
    pass: VisionPass,
    pixels: Tensor<2>,
    blocks: Tape,
    last: Tensor<2>,
    merged: Tensor<2>,
}

impl VisionTape {
    fn record(
        model: &Model,
        batch: &PackedBatch,
        checkpointing: GradientCheckpointing,
    ) -> Result<Option<Self>, Error> {
        let (plain, tracked) = (model.weights(false), model.weights(true));
        let plan = model.vision_plan(&batch.images, &batch.vision_index, batch.tokens.len())?;
        let Some(plan) = plan else { return Ok(None) };
        let (config, tower) = model.tower()?;
        let mut pass = VisionPass::new(config, plan, &model.device);
        let pixels = tower.pixels(&mut pass, &model.device);
        let x = tower.embed(&plain, pixels.clone());
        let parts = match model.trains_vision() {
            true => parts(checkpointing, tower.blocks.len()),
            // Nothing goes back through a frozen tower.
            false => parts(GradientCheckpointing::Full, tower.blocks.len()),
        };
        let (blocks, last) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            tower.part(part, weights, &pass, x)
        });
        let merged = tower.merge(&plain, last.clone());
        Ok(Some(Self {
            pass,
            pixels,
            blocks,
            last,
            merged,
        }))
    }

    fn encoded(&self, merged: Tensor<2>) -> Encoded {
        Encoded::new(merged, &self.pass.plan)
    }

    fn backward(self, model: &Model, weights: &Weights, grads: &mut ParamGrads, dy: Tensor<2>) {
        let Ok((_, tower)) = model.tower() else {
            return;
        };
        let params = &model.params;
        let dx = segment(params, grads, self.last, dy, |x| tower.merge(weights, x));
        let dx = self.blocks.backward(params, grads, dx, |part, x| {
            tower.part(part, weights, &self.pass, x)
        });
        let x = tower.embed(weights, self.pixels);
        if let (Some(dy), true) = (dx, x.is_tracked()) {
            grads.collect(params, &mut (x * dy).sum().backward());
        }
    }
}
