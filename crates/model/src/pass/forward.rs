//! The forward pass on the packed axis.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_data::Patches;
use percept_weights::Weights;

use crate::text::model::TextPass;
use crate::vision::rows::{PlacedImage, VisionRows, placed};
use crate::vision::tower::Tower;
use crate::{Error, Model, PackedBatch, ParamGrads, SharedVision};

impl Model {
    /// Hidden states after the final norm, `[tokens, hidden]`. Trainable parameters are recorded
    /// by autodiff.
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not fit the model.
    pub fn forward(&self, batch: &PackedBatch) -> Result<Tensor<2>, Error> {
        self.pass(true, batch, &mut SharedVision::default())
    }

    /// [`Model::forward`] without autodiff.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_no_grad(&self, batch: &PackedBatch) -> Result<Tensor<2>, Error> {
        self.pass(false, batch, &mut SharedVision::default())
    }

    /// [`Model::forward_no_grad`] as one of several passes that show the same images. All must be
    /// without autodiff, and of this model.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_no_grad_shared(
        &self,
        batch: &PackedBatch,
        shared: &mut SharedVision,
    ) -> Result<Tensor<2>, Error> {
        self.pass(false, batch, shared)
    }

    fn pass(
        &self,
        track: bool,
        batch: &PackedBatch,
        shared: &mut SharedVision,
    ) -> Result<Tensor<2>, Error> {
        let images = shared.divide(self.check(batch)?);
        let (weights, encoder) = (self.weights(track), self.vision(track));
        let encoder = encoder.as_ref();
        let own = shared.own(encoder, &images, |encoder, plan| encoder.encode(plan));
        let own = own.map(|own| images.own_rows(own));
        let others = shared.shared(encoder, &images, None);
        let hidden = self.run(&weights, batch, own.into_iter().chain(others).collect());
        shared.close(encoder, images, &mut ParamGrads::default());
        Ok(hidden)
    }

    /// The decoder, with rows of images in their places.
    pub(crate) fn run(
        &self,
        weights: &Weights,
        batch: &PackedBatch,
        vision: Vec<VisionRows>,
    ) -> Tensor<2> {
        let pass = TextPass::new(&self.config, batch, &self.device);
        let mut x = self.embed(weights, &batch.tokens, VisionRows::join(vision));
        for layer in 0..self.text.layers.len() {
            x = self.text.layer(layer, weights, &pass, x);
        }
        self.text.norm(weights, x)
    }

    /// Input of the first layer.
    pub(crate) fn embed(
        &self,
        weights: &Weights,
        tokens: &[u32],
        vision: Option<VisionRows>,
    ) -> Tensor<2> {
        let x = self.text.embed(weights, tokens);
        match vision {
            None => x,
            Some(vision) => vision.place(x),
        }
    }

    /// The images of a batch that fits the model.
    pub(crate) fn check<'b>(&self, batch: &'b PackedBatch) -> Result<Vec<PlacedImage<'b>>, Error> {
        self.check_tokens(&batch.tokens)?;
        let tokens = batch.tokens.len();
        if batch.positions.len() != tokens {
            let message = format!("{} for {tokens} tokens", batch.positions.len());
            return Err(Error::batch("positions", message));
        }
        if batch.layout.len() != tokens {
            let message = format!("covers {} tokens of {tokens}", batch.layout.len());
            return Err(Error::batch("layout", message));
        }
        self.placed(&batch.images, &batch.vision_index, tokens)
    }

    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        let size = self.config.text.vocab_size;
        if tokens.is_empty() {
            return Err(Error::batch("tokens", "no token at all"));
        }
        match tokens.iter().position(|&token| token as usize >= size) {
            None => Ok(()),
            Some(row) => {
                let token = tokens[row];
                let message = format!(
                    "row {row} is {token}, not below vocab_size = {size}; tokenizer and model \
                     belong to different checkpoints?"
                );
                Err(Error::batch("tokens", message))
            }
        }
    }

    /// Each of `images` with its part of `index`, the token rows that their embeddings take.
    pub(crate) fn placed<'p>(
        &self,
        images: &'p [Arc<Patches>],
        index: &'p [u32],
        tokens: usize,
    ) -> Result<Vec<PlacedImage<'p>>, Error> {
        if images.is_empty() {
            return placed(self.tower.as_deref(), images, index, tokens);
        }
        placed(Some(self.tower()?), images, index, tokens)
    }

    /// The tower, for images.
    pub(crate) fn tower(&self) -> Result<&dyn Tower, Error> {
        self.tower.as_deref().ok_or_else(|| {
            let architecture = self.config.family.architecture();
            let message = format!("{architecture} has no vision tower");
            Error::batch("images", message)
        })
    }
}
