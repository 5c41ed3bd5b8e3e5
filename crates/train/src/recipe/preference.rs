//! The tables `[dpo]` and `[preference]` of the [`Recipe`](crate::Recipe).

use std::path::PathBuf;

use percept_credit::preference::PreferenceConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recipe::parts::OptimConfig;

/// Preference stage: batches and optimiser. What is learned from a pair is in `[preference]`.
///
/// A row is a prompt with a better answer (`chosen`) and worse ones (`rejected`), or pictures with which the better
/// answer is wrong (`rejected_images`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DpoConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Passes over the pairs, in place of `steps`: the stage takes as many steps as they need, rounded up. A row that is
    /// skipped is made up for by the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_train_epochs: Option<f64>,
    /// Pairs per optimiser step.
    pub train_batch_size: usize,
    /// Token budget of one forward pass; a step accumulates gradients over as few as it needs, of about equal length
    /// (verl's `use_dynamic_bsz` with `ppo_max_token_len_per_gpu`). What a pair contrasts stays in one pass; a pair
    /// that is longer is skipped, counted and said.
    pub ppo_max_token_len: usize,
    /// Files of this stage's pairs, relative to the recipe file, where the other stages have rows of their own. Default:
    /// `data.train_files`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub train_files: Vec<PathBuf>,
    /// Files of rows whose answers hold the policy near its reference (`halva`), relative to the recipe file. A step takes as
    /// many of them as pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub general_files: Vec<PathBuf>,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for DpoConfig {
    fn default() -> Self {
        Self {
            steps: 100,
            num_train_epochs: None,
            train_batch_size: 32,
            ppo_max_token_len: 16_384,
            train_files: Vec::new(),
            general_files: Vec::new(),
            optim: OptimConfig::default(),
        }
    }
}

/// What `[dpo]` learns from a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceOptions {
    /// The loss by its name, `"adavip"`, or with its options, `{ name = "dpo", beta = 0.1, loss_type = "ipo" }`.
    pub loss: PreferenceConfig,
    /// Take the reference's log-probabilities to be 0: no reference model is asked.
    pub reference_free: bool,
    /// Compute the reference's log-probabilities once, before the first step, and keep them in the run folder
    /// (`reference_log_probs.jsonl`): later epochs and resumed runs read them, and no second model stays in memory.
    /// The numbers are the same either way.
    pub precompute_ref_log_probs: bool,
    /// Weight of the tokens in which chosen and rejected answer differ, in the sums over an answer; others count 1.
    /// Default: the loss's own, 4 for `chip`, 1 for all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_weight: Option<f64>,
    /// What "without the picture" means for the losses that ask how likely an answer is then.
    pub image_ablation: percept_data::ImageAblation,
}

impl Default for PreferenceOptions {
    fn default() -> Self {
        Self {
            loss: PreferenceConfig::default(),
            reference_free: false,
            precompute_ref_log_probs: true,
            segment_weight: None,
            image_ablation: percept_data::ImageAblation::default(),
        }
    }
}

impl PreferenceOptions {
    /// Weight of the tokens in which chosen and rejected answer differ.
    pub(crate) fn segment_weight(&self) -> f64 {
        self.segment_weight
            .unwrap_or_else(|| self.loss.segment_weight())
    }
}
