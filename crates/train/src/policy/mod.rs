//! The policy in training: what a stage asks of it, wherever its weights are.
//!
//! A loss is a value between two calls:
//!
//! ```text
//! pass = policy.forward(packed)          log-probabilities, entropies, …, and what is saved for the way back
//! objective = loss(pass.values)          a scalar and its gradient with respect to them
//! policy.backward(pass.saved, objective)  gradients add up
//! policy.optim_step(…)
//! ```
//!
//! What comes back is linear in the values (`Σ dL/d log p · log p`), so an engine elsewhere that offers a
//! weighted cross-entropy computes the gradient of any loss: it keeps the batch of a pass, and sends it
//! again with the gradient as weights.

use std::path::Path;

use percept_model::Model;

use crate::batch::pack::Packed;
use crate::policy::values::{
    Objective, Pass, PassOptions, ReferenceSource, ScoreOptions, TokenValues, Update,
};
use crate::{Error, OptimConfig};

pub(crate) mod local;
mod moments;
mod reached;
#[cfg(test)]
pub(crate) mod recorder;
mod reference;
pub(crate) mod schedule;
pub(crate) mod values;

/// A policy in training.
pub trait Policy {
    /// What a forward pass saves for its backward pass: tensors here, the batch itself for an engine elsewhere.
    type Saved;

    /// Before the step of a stage that follows `done` of `total`: what changes from step to step.
    ///
    /// # Errors
    /// [`Error::Model`] when the weights do not allow it.
    fn begin_step(&mut self, _done: usize, _total: usize) -> Result<(), Error> {
        Ok(())
    }

    /// Says which passes the next update consists of, before the first of them: what several of them show
    /// need be computed only once. Without this call, once in each.
    fn plan_update(&mut self, _passes: &[Packed], _options: &PassOptions) {}

    /// A forward pass. Dropout, where there is any, is on with masks that `dropout_seed` alone decides.
    ///
    /// # Errors
    /// [`Error::Model`] when the batch does not fit the model.
    fn forward(
        &mut self,
        packed: &Packed,
        options: &PassOptions,
        dropout_seed: u64,
    ) -> Result<Pass<Self::Saved>, Error>;

    /// The backward pass of a forward pass; gradients add up until [`Policy::optim_step`].
    ///
    /// # Errors
    /// Those of an engine that is elsewhere.
    fn backward(&mut self, saved: Self::Saved, objective: &Objective) -> Result<(), Error>;

    /// One AdamW step on the accumulated gradients, which are consumed. A loss or gradient that is not
    /// finite changes nothing.
    ///
    /// # Errors
    /// [`Error::NoGradient`] when a trainable tensor has none in the first step.
    fn optim_step(&mut self, config: &OptimConfig, lr: f64) -> Result<Update, Error>;

    /// Values of the targets of each pass, without gradients and without dropout.
    ///
    /// # Errors
    /// [`Error::Model`] when a batch does not fit the model.
    fn score(&self, passes: &[Packed], options: &ScoreOptions) -> Result<Vec<TokenValues>, Error>;

    /// [`Policy::score`] of each pass as if it were the only one: its values do not depend on the others, to the bit. Passes
    /// of at most `tokens` tokens together may be in memory at a time.
    ///
    /// # Errors
    /// As [`Policy::score`].
    fn score_each(
        &self,
        passes: &[Packed],
        options: &ScoreOptions,
        _tokens: usize,
    ) -> Result<Vec<TokenValues>, Error> {
        let mut all = Vec::with_capacity(passes.len());
        for pass in passes {
            all.extend(self.score(std::slice::from_ref(pass), options)?);
        }
        Ok(all)
    }

    /// Begins with fresh moments.
    fn reset_optimizer(&mut self);

    /// Makes the weights of now the reference, and keeps them in `folder` for a resume.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Report`] when they cannot be kept.
    fn freeze_reference(&mut self, folder: &Path) -> Result<(), Error> {
        self.keep_reference(folder)?;
        self.load_reference(folder).map(drop)
    }

    /// Keeps the weights of now in `folder`, whole or not at all, and no second model in memory.
    ///
    /// # Errors
    /// As [`Policy::freeze_reference`].
    fn keep_reference(&self, folder: &Path) -> Result<(), Error>;

    /// The reference in memory, where there is one, is not needed any more.
    fn release_reference(&mut self);

    /// Opens the reference that [`Policy::freeze_reference`] kept in `folder`.
    ///
    /// # Errors
    /// [`Error::Model`] when it is unreadable.
    fn load_reference(&mut self, folder: &Path) -> Result<ReferenceSource, Error>;

    /// Whether a later step could go on from the weights and moments: finite, and small enough that
    /// products with them are.
    ///
    /// # Errors
    /// What is wrong with which tensor.
    fn check(&self) -> Result<(), String>;

    /// Writes the weights: a Hugging Face folder, or a PEFT adapter folder with LoRA.
    ///
    /// # Errors
    /// [`Error::Model`] when the disk refuses.
    fn save_weights(&self, dir: &Path) -> Result<(), Error>;

    /// Writes the optimiser's moments.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    fn save_optimizer(&self, path: &Path) -> Result<(), Error>;

    /// Reads the optimiser's moments. `updates` is the step of every parameter that has moments, where
    /// the file was written by a version that counted no steps of each.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when they do not belong to this model.
    fn load_optimizer(&mut self, path: &Path, updates: usize) -> Result<(), Error>;
}

/// A policy whose weights are in this process: evaluation and the built-in sampler read them. A stage
/// that asks for it runs here only.
pub trait LocalModel {
    /// The current weights.
    fn model(&self) -> &Model;
}
