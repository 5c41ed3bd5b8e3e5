//! The input of the first layer: token rows, and merged vision rows in their places.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use percept_data::Patches;
use percept_nn as nn;

use crate::layers::Weights;
use crate::vision::{VisionPass, VisionTower};
use crate::vision_plan::VisionPlan;
use crate::{Error, Model, Prompt, VisionConfig};

impl Model {
    /// Input of the first layer for one prompt, `[tokens × hidden]` row-major, without autodiff:
    /// token rows, and merged vision rows in their places.
    ///
    /// # Errors
    /// [`Error::Batch`] when the prompt does not fit the model.
    pub fn embed_prompt(&self, prompt: &Prompt) -> Result<Vec<f32>, Error> {
        self.check_tokens(&prompt.tokens)?;
        let weights = self.weights(false);
        let plan = self.vision_plan(&prompt.vision, &prompt.vision_index, prompt.tokens.len())?;
        let rows = plan.map(|plan| self.encode(&weights, plan));
        let x = self.embed(&weights, &prompt.tokens, rows, &prompt.vision_index);
        Ok(x.into_data().try_into_vec().expect("hidden states are f32"))
    }

    /// Merged vision embeddings, `[merged tokens, hidden]`, in the order of the images' tokens.
    /// Trainable parameters are recorded by autodiff.
    ///
    /// # Errors
    /// [`Error::Batch`] when the model has no vision tower or an image does not fit it.
    pub fn vision_embeddings(&self, images: &[Arc<Patches>]) -> Result<Tensor<2>, Error> {
        let (config, _) = self.tower()?;
        let plan = VisionPlan::new(config, images)?;
        let rows = self.encode(&self.weights(true), plan);
        Ok(rows.rows.select(0, self.indices(&rows.sources)))
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

    pub(crate) fn vision_plan(
        &self,
        images: &[Arc<Patches>],
        index: &[u32],
        tokens: usize,
    ) -> Result<Option<VisionPlan>, Error> {
        let plan = match images.is_empty() {
            true => None,
            false => Some(VisionPlan::new(self.tower()?.0, images)?),
        };
        let merged = plan.as_ref().map_or(0, |plan| plan.sources.len());
        if merged != index.len() {
            let message = format!(
                "{} placeholder rows for {merged} merged vision tokens of {} images",
                index.len(),
                images.len()
            );
            return Err(Error::batch("vision_index", message));
        }
        let ascending = index.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || index.last().is_some_and(|&last| last as usize >= tokens) {
            let message = format!("must ascend and stay below the number of tokens, {tokens}");
            return Err(Error::batch("vision_index", message));
        }
        Ok(plan)
    }

    /// The whole tower: merged embeddings of all distinct images.
    pub(crate) fn encode(&self, weights: &Weights, plan: VisionPlan) -> Encoded {
        let (config, tower) = self.tower().expect("a plan is made with a tower");
        let mut pass = VisionPass::new(config, plan, &self.device);
        let mut x = tower.embed(weights, tower.pixels(&mut pass, &self.device));
        for block in 0..tower.blocks.len() {
            x = tower.block(block, weights, &pass, x);
        }
        Encoded::new(tower.merge(weights, x), &pass.plan)
    }

    /// Input of the first layer.
    pub(crate) fn embed(
        &self,
        weights: &Weights,
        tokens: &[u32],
        vision: Option<Encoded>,
        index: &[u32],
    ) -> Tensor<2> {
        let x = self.text.embed(weights, tokens);
        match vision {
            None => x,
            Some(vision) => vision.place(x, index),
        }
    }

    fn indices(&self, rows: &[u32]) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let len = rows.len();
        Tensor::from_data(TensorData::new(rows, [len]), &self.device)
    }
}

/// Merged embeddings of distinct images, and where they go.
pub(crate) struct Encoded {
    pub(crate) rows: Tensor<2>,
    sources: Vec<u32>,
    distinct: bool,
}

impl Encoded {
    pub(crate) fn new(rows: Tensor<2>, plan: &VisionPlan) -> Self {
        Self {
            rows,
            sources: plan.sources.clone(),
            distinct: plan.distinct,
        }
    }

    /// Replaces row `index[i]` of `x` by the i-th merged token of the prompt's images.
    pub(crate) fn place(self, x: Tensor<2>, index: &[u32]) -> Tensor<2> {
        if !self.distinct {
            // A gather whose backward adds up what the occurrences of an image receive.
            let rows = nn::gather_rows(self.rows, &self.sources);
            return nn::scatter_rows(x, index, rows);
        }
        let mut targets = vec![0; index.len()];
        for (&source, &row) in self.sources.iter().zip(index) {
            targets[source as usize] = row;
        }
        nn::scatter_rows(x, &targets, self.rows)
    }
}
