//! Prompts and images outside of a training pass: what the sampler and its tests ask for.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use percept_data::Patches;
use percept_nn as nn;

use crate::vision::encoder::VisionEncoder;
use crate::{Error, Model, ParamGrads, PlacedImage, Prompt, SharedVision};

impl Model {
    /// Input of the first layer for one prompt, `[tokens × hidden]` row-major, without autodiff:
    /// token rows, and merged vision rows in their places.
    ///
    /// # Errors
    /// [`Error::Batch`] when the prompt does not fit the model.
    pub fn embed_prompt(&self, prompt: &Prompt) -> Result<Vec<f32>, Error> {
        let images = self.vision_rows(prompt)?;
        let mut rows = nn::to_vec(&self.text.embed(&self.weights(false), &prompt.tokens));
        let width = self.config.text.hidden_size;
        for (image, places) in images {
            let encoded = self.encode_image(image)?;
            for (&row, values) in places.iter().zip(encoded.chunks(width)) {
                rows[row as usize * width..][..width].copy_from_slice(values);
            }
        }
        Ok(rows)
    }

    /// The images of a prompt, each with the token rows that its merged embeddings take.
    ///
    /// # Errors
    /// [`Error::Batch`] when the prompt does not fit the model.
    pub fn vision_rows<'p>(&self, prompt: &'p Prompt) -> Result<Vec<PlacedImage<'p>>, Error> {
        self.check_tokens(&prompt.tokens)?;
        self.placed(&prompt.vision, &prompt.vision_index, prompt.tokens.len())
    }

    /// Merged embeddings of one image, `[merged tokens × hidden]`, without autodiff. They do not depend on
    /// what else is encoded.
    ///
    /// # Errors
    /// [`Error::Batch`] when the model has no vision tower or the image does not fit it.
    pub fn encode_image(&self, image: &Arc<Patches>) -> Result<Vec<f32>, Error> {
        let (rows, sources) = self.encode_images(false, std::slice::from_ref(image))?;
        let (rows, width) = (nn::to_vec(&rows), self.config.text.hidden_size);
        let row = |&source: &u32| &rows[source as usize * width..][..width];
        Ok(sources.iter().flat_map(row).copied().collect())
    }

    /// Merged vision embeddings, `[merged tokens, hidden]`, in the order of the images' tokens.
    /// Trainable parameters are recorded by autodiff.
    ///
    /// # Errors
    /// [`Error::Batch`] when the model has no vision tower or an image does not fit it.
    pub fn vision_embeddings(&self, images: &[Arc<Patches>]) -> Result<Tensor<2>, Error> {
        let (rows, sources) = self.encode_images(true, images)?;
        let sources: Vec<i32> = sources.iter().map(|&row| row as i32).collect();
        let len = sources.len();
        let sources = Tensor::<1, Int>::from_data(TensorData::new(sources, [len]), &self.device);
        Ok(rows.select(0, sources))
    }

    /// Rows of all distinct images, and for each merged token of the images its row.
    fn encode_images(
        &self,
        track: bool,
        images: &[Arc<Patches>],
    ) -> Result<(Tensor<2>, Vec<u32>), Error> {
        let encoder = VisionEncoder {
            tower: self.tower()?,
            weights: self.weights(track),
            device: &self.device,
        };
        for (index, image) in images.iter().enumerate() {
            encoder.tower.check(image, index)?;
        }
        Ok(encoder.encode(encoder.plan(images)))
    }
}

impl SharedVision {
    /// Sends back the gradients of images that were announced for more passes than there were;
    /// nothing, when all passes are done.
    #[must_use]
    pub fn finish(self, model: &Model) -> ParamGrads {
        let mut grads = ParamGrads::new(model.params.len());
        self.backward_rest(model.vision(true).as_ref(), &mut grads);
        grads
    }
}
