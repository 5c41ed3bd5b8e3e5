//! Forward and backward in one call, with or without gradient checkpointing.
//!
//! With full checkpointing the forward pass keeps the input of every layer and nothing else; the
//! backward pass goes through the layers from the last to the first, computing each once more.
//! That is true recomputation: peak memory holds one layer's graph, whatever the depth, for one
//! more forward pass of time. Selective checkpointing does so with the attention half of every
//! layer and keeps the graph of the other, but for the product of gate and up.
//!
//! An image that other passes show too is not part of this: see `shared_vision.rs`.

use burn::tensor::Tensor;

use crate::pass::gradients::segment;
use crate::pass::tape::{Tape, parts};
use crate::text::model::TextPass;
use crate::vision::embed::Encoded;
use crate::vision::tape::VisionTape;
use crate::weights::layers::Weights;
use crate::{Error, GradientCheckpointing, Model, PackedBatch, ParamGrads, SharedVision};

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
        self.forward_backward_shared(batch, checkpointing, &mut SharedVision::default(), loss)
    }

    /// [`Model::forward_backward`] as one of the passes of an update, with the images that several
    /// of them show. The gradient that a shared image sends into the tower comes with the last pass
    /// that shows it: only the sum over all passes, and [`SharedVision::finish`], is the update's.
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn forward_backward_shared<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        checkpointing: impl Into<GradientCheckpointing>,
        shared: &mut SharedVision,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<(T, ParamGrads), E> {
        let mut grads = ParamGrads::new(self.params.len());
        let output = match checkpointing.into() {
            GradientCheckpointing::Off => self.keep(batch, shared, &mut grads, loss)?,
            some => self.recompute(batch, some, shared, &mut grads, loss)?,
        };
        Ok((output, grads))
    }

    /// One graph, but for shared images: their rows are leaves of it.
    fn keep<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        shared: &mut SharedVision,
        grads: &mut ParamGrads,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<T, E> {
        let images = shared.divide(self.check(batch)?);
        let weights = self.weights(true);
        let own = shared.own(self, &images, |plan| Ok(self.encode(&weights, plan)))?;
        let own = own.map(|own| images.own_encoded(own));
        let mut others = shared.shared(self, &images, Some(GradientCheckpointing::Off))?;
        let trained = self.trains_vision();
        for other in others.iter_mut().filter(|_| trained) {
            other.rows = other.rows.clone().autodiff().require_grad();
        }
        let leaves: Vec<_> = others.iter().map(|other| other.rows.clone()).collect();
        let hidden = self.run(&weights, batch, own.into_iter().chain(others).collect());
        let (scalar, output) = loss(hidden)?;
        if scalar.is_tracked() {
            let mut gradients = scalar.backward();
            grads.collect(&self.params, &mut gradients);
            if trained {
                let found = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients));
                shared.receive(&images, found);
            }
        }
        shared.close(self, images, grads);
        Ok(output)
    }

    fn recompute<T, E: From<Error>>(
        &self,
        batch: &PackedBatch,
        checkpointing: GradientCheckpointing,
        shared: &mut SharedVision,
        grads: &mut ParamGrads,
        loss: impl FnOnce(Tensor<2>) -> Result<(Tensor<1>, T), E>,
    ) -> Result<T, E> {
        let images = shared.divide(self.check(batch)?);
        let (plain, tracked) = (self.weights(false), self.weights(true));
        let pass = TextPass::new(&self.config, batch, &self.device);
        let keep = Some(checkpointing);
        let own = shared.own(self, &images, |plan| {
            VisionTape::record(self, plan, keep, self.dropout)
        })?;
        let others = shared.shared(self, &images, keep)?;
        let parts_of_rows = own
            .iter()
            .map(|tape| images.own_encoded((tape.merged.clone(), tape.sources.clone())))
            .chain(others);
        let parts_of_rows: Vec<Encoded> = parts_of_rows.collect();
        let counts: Vec<usize> = parts_of_rows.iter().map(|p| p.rows.dims()[0]).collect();
        let vision = Encoded::join(parts_of_rows);
        let x = self.embed(&plain, &batch.tokens, vision.clone());
        let parts = parts(checkpointing, self.text.layers.len());
        let (tape, x) = Tape::record(parts, x, |part, track, x| {
            let weights = if track { &tracked } else { &plain };
            self.text.part(part, weights, &pass, x)
        });

        let x = x.autodiff().require_grad();
        let (scalar, output) = loss(self.text.norm(&tracked, x.clone()))?;
        if scalar.is_tracked() {
            let mut gradients = scalar.backward();
            grads.collect(&self.params, &mut gradients);
            let dx = x.grad_remove(&mut gradients);
            drop((x, gradients));
            let dx = tape.backward(&self.params, grads, dx, |part, x| {
                self.text.part(part, &tracked, &pass, x)
            });
            let rows = dx.and_then(|dy| self.recompute_inputs(&tracked, batch, grads, vision, dy));
            if let Some(rows) = rows.filter(|_| self.trains_vision()) {
                let mut found = rows.split_with_sizes(counts, 0).into_iter();
                if let Some((tape, dy)) = own.and_then(|tape| Some((tape, found.next()?))) {
                    tape.backward(self, grads, dy);
                }
                shared.receive(&images, found.map(Some));
            }
        }
        shared.close(self, images, grads);
        Ok(output)
    }

    /// Sends the gradient of the first layer's input into the embedding table; returns that of the
    /// rows of images.
    fn recompute_inputs(
        &self,
        weights: &Weights,
        batch: &PackedBatch,
        grads: &mut ParamGrads,
        vision: Option<Encoded>,
        dy: Tensor<2>,
    ) -> Option<Tensor<2>> {
        let Some(vision) = vision else {
            if self.params[self.text.embed_tokens].trainable() {
                let x = self.text.embed(weights, &batch.tokens);
                grads.collect(&self.params, &mut (x * dy).sum().backward());
            }
            return None;
        };
        segment(&self.params, grads, vision.rows.clone(), dy, |rows| {
            let vision = Encoded { rows, ..vision };
            self.embed(weights, &batch.tokens, Some(vision))
        })
    }

    /// Whether a parameter or an adapter of the tower is trained.
    pub(crate) fn trains_vision(&self) -> bool {
        let visual = |name: &str| name.starts_with("visual.") || name.contains(".visual.");
        let mut params = self.params.iter();
        params.any(|p| p.trainable() && visual(p.name()))
    }
}
