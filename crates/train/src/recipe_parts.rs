//! The stage tables of the [`Recipe`](crate::Recipe).

use percept_credit as credit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// AdamW with decoupled weight decay, and its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay; applied to matrices, not to biases and norms.
    pub weight_decay: f64,
    /// Global gradient norm limit (0: off).
    pub clip_grad: f64,
    /// Shape of the schedule after warm-up.
    pub lr_scheduler_type: Schedule,
    /// Steps of linear warm-up.
    pub lr_warmup_steps: usize,
    /// The schedule ends at this fraction of `lr`.
    pub min_lr_ratio: f64,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            lr: 1e-6,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            clip_grad: 1.0,
            lr_scheduler_type: Schedule::Constant,
            lr_warmup_steps: 0,
            min_lr_ratio: 0.0,
        }
    }
}

/// Learning-rate schedule after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Stay at the peak.
    Constant,
    /// Straight line down to `min_lr_ratio`.
    Linear,
    /// Half a cosine down to `min_lr_ratio`.
    Cosine,
}

/// Supervised fine-tuning stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SftConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Rows per optimiser step.
    pub train_batch_size: usize,
    /// Token budget of one forward pass; a step accumulates gradients over as many as it needs.
    pub ppo_max_token_len: usize,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            steps: 100,
            train_batch_size: 32,
            ppo_max_token_len: 16_384,
            optim: OptimConfig {
                lr: 1e-5,
                ..OptimConfig::default()
            },
        }
    }
}

/// Reinforcement-learning stage: batches and optimiser. The mathematics is in
/// [`AlgorithmConfig`], the sampling in [`RolloutConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RlConfig {
    /// Rollout batches (each makes `ceil(train_batch_size / ppo_mini_batch_size) × ppo_epochs`
    /// optimiser steps).
    pub steps: usize,
    /// Prompts per rollout batch.
    pub train_batch_size: usize,
    /// Prompts per optimiser step.
    pub ppo_mini_batch_size: usize,
    /// Passes over one rollout batch.
    pub ppo_epochs: usize,
    /// Token budget of one forward pass; larger mini-batches accumulate gradients.
    pub ppo_max_token_len: usize,
    /// Where the behaviour log-probabilities come from.
    pub old_log_prob: OldLogProb,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for RlConfig {
    fn default() -> Self {
        Self {
            steps: 100,
            train_batch_size: 64,
            ppo_mini_batch_size: 64,
            ppo_epochs: 1,
            ppo_max_token_len: 16_384,
            old_log_prob: OldLogProb::Rollout,
            optim: OptimConfig::default(),
        }
    }
}

/// Where the behaviour log-probabilities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OldLogProb {
    /// The sampler's own: it runs the same weights with the same kernels; the difference is
    /// measured every step as `training/rollout_probs_diff_mean`.
    Rollout,
    /// One more forward pass before the first update, as verl does.
    Recompute,
}

/// Credit assignment and policy loss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlgorithmConfig {
    /// Advantage estimator by name: `grpo`, `dr_grpo`, `rloo`, `reinforce_plus_plus`, ….
    pub advantage: credit::AdvantageConfig,
    /// Policy loss, its clipping, Kullback-Leibler penalty and entropy bonus.
    pub loss: credit::LossConfig,
    /// DAPO's dynamic sampling: groups whose rewards are all equal are replaced by new prompts.
    pub filter_groups: FilterGroups,
    /// DAPO's soft penalty for responses that nearly fill `max_completion_length`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlong: Option<credit::OverlongConfig>,
}

/// DAPO's dynamic sampling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterGroups {
    /// Drop groups whose rewards are all equal and sample new prompts in their place.
    pub enable: bool,
    /// Generation batches per step at most; then the step goes on with what it has.
    pub max_num_gen_batches: usize,
}

impl Default for FilterGroups {
    fn default() -> Self {
        Self {
            enable: false,
            max_num_gen_batches: 10,
        }
    }
}

/// Sampling during reinforcement learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Responses per prompt (G).
    pub num_generations: usize,
    /// Longest response, in tokens.
    pub max_completion_length: usize,
    /// Softmax temperature of sampling; log-probabilities in the loss use it too.
    pub temperature: f32,
    /// Nucleus size (1: off).
    pub top_p: f32,
    /// Keep the k likeliest tokens (0: off).
    pub top_k: usize,
    /// Sequences decoded at once.
    pub max_num_seqs: usize,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            num_generations: 8,
            max_completion_length: 512,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_num_seqs: 256,
        }
    }
}

/// Validation: greedy decoding by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Evaluate every this many rollout batches during `[rl]` (0: only after each stage).
    pub test_freq: usize,
    /// At most this many validation rows (0: all).
    pub max_samples: usize,
    /// Rows of the evaluations *during* a stage (0: as many as after it).
    pub quick_samples: usize,
    /// Temperature (0: greedy).
    pub temperature: f32,
    /// Longest response, in tokens (0: as in `rollout`).
    pub max_completion_length: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            test_freq: 0,
            max_samples: 0,
            quick_samples: 0,
            temperature: 0.0,
            max_completion_length: 0,
        }
    }
}
