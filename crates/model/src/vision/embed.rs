//! The input of the first layer: token rows, and merged vision rows in their places.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use percept_data::Patches;
use percept_nn as nn;

use crate::vision::plan::{VisionPlan, check_image};
use crate::vision::qwen2vl::{VisionPass, VisionTower};
use crate::weights::layers::Weights;
use crate::{Error, Model, Prompt, VisionConfig};

/// An image of a prompt, and the token rows that its merged embeddings take.
pub type PlacedImage<'p> = (&'p Arc<Patches>, &'p [u32]);

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

    /// Each of `images` with its part of `index`.
    pub(crate) fn placed<'p>(
        &self,
        images: &'p [Arc<Patches>],
        index: &'p [u32],
        tokens: usize,
    ) -> Result<Vec<PlacedImage<'p>>, Error> {
        let mut merged = Vec::with_capacity(images.len());
        for (i, image) in images.iter().enumerate() {
            let (config, _) = self.tower()?;
            check_image(config, image, i)?;
            merged.push(config.merged_tokens(image.grid_thw));
        }
        let total = merged.iter().sum();
        check_places(index, total, images.len(), tokens)?;
        let mut left = index;
        Ok(images
            .iter()
            .zip(merged)
            .map(|(image, count)| {
                let (own, rest) = left.split_at(count);
                left = rest;
                (image, own)
            })
            .collect())
    }

    /// Merged embeddings of one image, `[merged tokens × hidden]`, without autodiff. They do not depend on
    /// what else is encoded.
    ///
    /// # Errors
    /// [`Error::Batch`] when the model has no vision tower or the image does not fit it.
    pub fn encode_image(&self, image: &Arc<Patches>) -> Result<Vec<f32>, Error> {
        let plan = VisionPlan::new(self.tower()?.0, std::slice::from_ref(image))?;
        let (rows, sources) = self.encode(&self.weights(false), plan);
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
        let (config, _) = self.tower()?;
        let plan = VisionPlan::new(config, images)?;
        let (rows, sources) = self.encode(&self.weights(true), plan);
        Ok(rows.select(0, self.indices(&sources)))
    }

    pub(crate) fn tower(&self) -> Result<(&VisionConfig, &VisionTower), Error> {
        match (&self.config.vision, &self.vision) {
            (Some(config), Some(tower)) => Ok((config, tower)),
            _ => {
                let architecture = self.config.family.architecture();
                let message = format!("{architecture} has no vision tower");
                Err(Error::batch("images", message))
            }
        }
    }

    /// The whole tower: merged embeddings of all distinct images, in its order, and for each merged
    /// token of the images, in theirs, its row.
    pub(crate) fn encode(&self, weights: &Weights, plan: VisionPlan) -> (Tensor<2>, Vec<u32>) {
        let (config, tower) = self.tower().expect("a plan is made with a tower");
        let mut pass = VisionPass::new(config, plan, &self.device);
        let mut x = tower.embed(weights, tower.pixels(&mut pass, &self.device));
        for block in 0..tower.blocks.len() {
            x = tower.block(block, weights, &pass, x);
        }
        (tower.merge(weights, x), pass.plan.sources)
    }

    /// Input of the first layer.
    pub(crate) fn embed(
        &self,
        weights: &Weights,
        tokens: &[u32],
        vision: Option<Encoded>,
    ) -> Tensor<2> {
        let x = self.text.embed(weights, tokens);
        match vision {
            None => x,
            Some(vision) => vision.place(x),
        }
    }

    fn indices(&self, rows: &[u32]) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let len = rows.len();
        Tensor::from_data(TensorData::new(rows, [len]), &self.device)
    }
}

/// `index` names one token row for each of `merged` tokens of `images` images.
fn check_places(index: &[u32], merged: usize, images: usize, tokens: usize) -> Result<(), Error> {
    if merged != index.len() {
        let message = format!(
            "{} placeholder rows for {merged} merged vision tokens of {images} images",
            index.len(),
        );
        return Err(Error::batch("vision_index", message));
    }
    let ascending = index.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || index.last().is_some_and(|&last| last as usize >= tokens) {
        let message = format!("must ascend and stay below the number of tokens, {tokens}");
        return Err(Error::batch("vision_index", message));
    }
    Ok(())
}

/// Merged embeddings, each of which a batch shows at least once: token row `places[i]` takes row
/// `sources[i]`.
#[derive(Clone)]
pub(crate) struct Encoded {
    pub(crate) rows: Tensor<2>,
    pub(crate) sources: Vec<u32>,
    pub(crate) places: Vec<u32>,
}

impl Encoded {
    /// Several as one; its rows are theirs in their order.
    pub(crate) fn join(parts: Vec<Self>) -> Option<Self> {
        let mut first = 0;
        let (mut rows, mut sources, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            sources.extend(part.sources.iter().map(|source| first + source));
            places.extend(part.places);
            first += part.rows.dims()[0] as u32;
            rows.push(part.rows);
        }
        let rows = match rows.len() {
            0 => return None,
            1 => rows.pop()?,
            _ => Tensor::cat(rows, 0),
        };
        Some(Self {
            rows,
            sources,
            places,
        })
    }

    /// Puts the rows into their places in `x`.
    pub(crate) fn place(self, x: Tensor<2>) -> Tensor<2> {
        if self.sources.len() > self.rows.dims()[0] {
            // A gather whose backward adds up what the occurrences of an image receive.
            let rows = nn::gather_rows(self.rows, &self.sources);
            return nn::scatter_rows(x, &self.places, rows);
        }
        let mut targets = vec![0; self.places.len()];
        for (&source, &row) in self.sources.iter().zip(&self.places) {
            targets[source as usize] = row;
        }
        nn::scatter_rows(x, &targets, self.rows)
    }
}
