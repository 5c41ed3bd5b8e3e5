//! Forward and backward in one call, with or without gradient checkpointing.
//!
//! With checkpointing the forward pass keeps the input of every layer and nothing else; the
//! backward pass goes through the layers from the last to the first, computing each once more.
//! That is true recomputation: peak memory holds one layer's graph, whatever the depth, for one
//! more forward pass of time.

use burn::tensor::Tensor;

use crate::embed::Encoded;
use crate::gradients::segment;
use crate::layers::Weights;
use crate::text::TextPass;
use crate::vision::VisionPass;
use crate::{Error, Model, PackedBatch, ParamGrads};

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
        gradient_checkpointing: bool,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<(T, ParamGrads), E> {
        let mut grads = ParamGrads::new(self.params.len());
        if gradient_checkpointing {
            let output = self.recompute(batch, &mut grads, loss)?;
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
        grads: &mut ParamGrads,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<T, E> {
        self.check(batch)?;
        let (plain, tracked) = (self.weights(false), self.weights(true));
        let pass = TextPass::new(&self.config, batch, &self.device);
        let vision = VisionTape::record(self, &plain, batch)?;
        let rows = vision
            .as_ref()
            .map(|tape| tape.encoded(tape.merged.clone()));
        let mut x = self.embed(&plain, &batch.tokens, rows, &batch.vision_index);
        let mut inputs = Vec::with_capacity(self.text.layers.len());
        for layer in 0..self.text.layers.len() {
            inputs.push(x.clone());
            x = self.text.layer(layer, &plain, &pass, x);
        }

        let x = x.autodiff().require_grad();
        let (scalar, output) = loss(self.text.norm(&tracked, x.clone()))?;
        if !scalar.is_tracked() {
            return Ok(output);
        }
        let mut gradients = scalar.backward();
        grads.collect(&self.params, &mut gradients);
        let mut dx = x.grad_remove(&mut gradients);
        drop((x, gradients));
        for (layer, x) in inputs.into_iter().enumerate().rev() {
            let Some(dy) = dx else { return Ok(output) };
            dx = segment(&self.params, grads, x, dy, |x| {
                self.text.layer(layer, &tracked, &pass, x)
            });
        }
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
        let trained = |name: &str| name.starts_with("visual.") || name.contains(".visual.");
        if !self
            .params
            .iter()
            .any(|p| p.trainable() && trained(p.name()))
        {
            return;
        }
        if let Some(dy) = d_merged {
            tape.backward(self, weights, grads, dy);
        }
    }
}

/// The tower's forward pass without autodiff: inputs of its blocks, and its output.
struct VisionTape {
    pass: VisionPass,
    pixels: Tensor<2>,
    inputs: Vec<Tensor<2>>,
    merged: Tensor<2>,
}

impl VisionTape {
    fn record(
        model: &Model,
        weights: &Weights,
        batch: &PackedBatch,
    ) -> Result<Option<Self>, Error> {
        let plan = model.vision_plan(&batch.images, &batch.vision_index, batch.tokens.len())?;
        let Some(plan) = plan else { return Ok(None) };
        let (config, tower) = model.tower()?;
        let mut pass = VisionPass::new(config, plan, &model.device);
        let pixels = tower.pixels(&mut pass, &model.device);
        let mut x = tower.embed(weights, pixels.clone());
        let mut inputs = Vec::with_capacity(tower.blocks.len() + 1);
        for block in 0..tower.blocks.len() {
            inputs.push(x.clone());
            x = tower.block(block, weights, &pass, x);
        }
        inputs.push(x.clone());
        let merged = tower.merge(weights, x);
        Ok(Some(Self {
            pass,
            pixels,
            inputs,
            merged,
        }))
    }

    fn encoded(&self, merged: Tensor<2>) -> Encoded {
        Encoded::new(merged, &self.pass.plan)
    }

    fn backward(mut self, model: &Model, weights: &Weights, grads: &mut ParamGrads, dy: Tensor<2>) {
        let Ok((_, tower)) = model.tower() else {
            return;
        };
        let params = &model.params;
        let Some(x) = self.inputs.pop() else { return };
        let mut dx = segment(params, grads, x, dy, |x| tower.merge(weights, x));
        for (block, x) in self.inputs.into_iter().enumerate().rev() {
            let Some(dy) = dx else { return };
            dx = segment(params, grads, x, dy, |x| {
                tower.block(block, weights, &self.pass, x)
            });
        }
        let x = tower.embed(weights, self.pixels);
        if let (Some(dy), true) = (dx, x.is_tracked()) {
            grads.collect(params, &mut (x * dy).sum().backward());
        }
    }
}
