//! The stage tables of the [`Recipe`](crate::Recipe).

use percept_credit as credit;
use percept_kernels::decode::WeightDtype;
use percept_sampler::{EngineConfig, SamplingParams};
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

/// From many chosen blocks to few: very sparse attention may not learn from the start.
///
/// The PHSA paper (arXiv 2601.02819) trains at a fixed K; this is our reading of what to do where
/// that diverges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopKAnnealing {
    /// Blocks chosen at the first step.
    pub start: usize,
    /// Share of the stage's steps after which `attention.top_k` is reached.
    pub share: f64,
}

impl Default for TopKAnnealing {
    fn default() -> Self {
        Self {
            start: 8,
            share: 0.02,
        }
    }
}

/// Steps of a stage over `rows` rows: as given, or as many as passes over them take.
pub(crate) fn steps_over(
    rows: usize,
    steps: usize,
    num_train_epochs: Option<f64>,
    train_batch_size: usize,
) -> usize {
    match num_train_epochs {
        None => steps,
        Some(epochs) => (epochs * rows as f64 / train_batch_size.max(1) as f64).ceil() as usize,
    }
}

/// Reinforcement-learning stage: batches and optimiser. The mathematics is in `[algorithm]`, the
/// sampling in `[rollout]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RlConfig {
    /// Rollout batches (each makes `ceil(train_batch_size / ppo_mini_batch_size) × ppo_epochs`
    /// optimiser steps).
    pub steps: usize,
    /// Prompts per rollout batch.
    pub train_batch_size: usize,
    /// Prompts per optimiser step. Default: `train_batch_size`, at most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppo_mini_batch_size: Option<usize>,
    /// Passes over one rollout batch.
    pub ppo_epochs: usize,
    /// Token budget of one forward pass, also of those without a gradient; larger mini-batches
    /// accumulate gradients over as few as they need, of about equal length (verl's
    /// `use_dynamic_bsz` with `ppo_max_token_len_per_gpu`).
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
            ppo_mini_batch_size: None,
            ppo_epochs: 1,
            ppo_max_token_len: 16_384,
            old_log_prob: OldLogProb::Rollout,
            optim: OptimConfig::default(),
        }
    }
}

/// Prompts per optimiser step at most, where the recipe does not say.
const MINI_BATCH: usize = 64;

impl RlConfig {
    /// Prompts per optimiser step.
    pub fn mini_batch_size(&self) -> usize {
        self.ppo_mini_batch_size
            .unwrap_or(self.train_batch_size.min(MINI_BATCH))
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

/// Credit assignment and policy loss. A part is named by a string, or by a table with its options:
/// `advantage = "durian"`, `advantage = { name = "durian", reasoning_buckets = 8 }`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlgorithmConfig {
    /// Advantage estimator: `grpo`, `dr_grpo`, `rloo`, `reinforce_plus_plus`, `durian`, `tgrl`, ….
    pub advantage: credit::AdvantageConfig,
    /// Token weights, multiplied: `tor`, `direction`, `tgrl` (known before the update) and `fipo`
    /// (of the current policy, anew in every mini-batch).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_weight: Vec<credit::TokenWeightConfig>,
    /// Scale the product of the token weights to a mean of 1 over the trained tokens. None of the
    /// published methods does.
    pub renormalize_weight: bool,
    /// Which groups are trained on: `dapo` (dynamic sampling: groups whose `metric`, accuracy
    /// unless said otherwise, is equal in all responses are replaced by new prompts), `tgrl` (expert trajectories enter groups).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<credit::FilterConfig>,
    /// Policy loss, its clipping, Kullback-Leibler penalty and entropy bonus.
    pub loss: credit::LossConfig,
    /// DAPO's soft penalty for responses that nearly fill `max_completion_length`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlong: Option<credit::OverlongConfig>,
    /// What "without the image" means for the methods that ask what the answer would be then.
    pub image_ablation: percept_data::ImageAblation,
}

impl AlgorithmConfig {
    /// The part that is mathematics on signals.
    pub fn credit(&self) -> credit::CreditConfig {
        credit::CreditConfig {
            advantage: self.advantage.clone(),
            token_weight: self.token_weight.clone(),
            renormalize_weight: self.renormalize_weight,
        }
    }

    /// The filter that keeps some groups, if one is chosen, and its name.
    pub(crate) fn group_filter(&self) -> Option<(&'static str, &dyn credit::GroupFilter)> {
        let mut filters = self.filter.iter();
        filters.find_map(|filter| Some((filter.name(), filter.groups()?)))
    }

    /// The filter that chooses experts for groups, if one is chosen, and its name.
    pub(crate) fn expert_filter(&self) -> Option<(&'static str, &dyn credit::ExpertFilter)> {
        let mut filters = self.filter.iter();
        filters.find_map(|filter| Some((filter.name(), filter.experts()?)))
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
    /// Keep tokens with at least this share of the likeliest one's probability (0: off).
    pub min_p: f32,
    /// Above 1, tokens of the prompt and of the response become less likely (1: off). As `top_p`, `top_k`, `min_p` and
    /// the two penalties below it changes what is sampled and not what is trained: log-probabilities stay the
    /// model's own (vLLM's `raw_logprobs`), so the loss does not correct for it. What a model's
    /// generation_config.json recommends is not used in training.
    pub repetition_penalty: f32,
    /// Taken off the logits of tokens that the response has said (0: off).
    pub presence_penalty: f32,
    /// Taken off the logits of tokens for each time that the response has said them (0: off).
    pub frequency_penalty: f32,
    /// Sequences decoded at once.
    pub max_num_seqs: usize,
    /// Bound on the memory of keys and values, in bytes (0: none). Sequences wait until they fit; when
    /// the running ones outgrow it the youngest are preempted and computed again later. No token
    /// changes.
    pub kv_cache_memory_bytes: usize,
    /// Compute once what prompts have in common at their start: the same tokens and images. No token
    /// changes.
    pub enable_prefix_caching: bool,
    /// Data type of the sampler's weights: `float32`; `bfloat16` on processors with AMX or
    /// AVX-512 BF16; `int8` (one scale per output, a quarter of the memory). With the last two, the
    /// sampler's log-probabilities differ from the trainer's (`training/rollout_probs_diff_mean`);
    /// `algorithm.loss.tis_imp_ratio_cap` with `rl.old_log_prob = "recompute"` corrects for it.
    pub dtype: WeightDtype,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            num_generations: 8,
            max_completion_length: 512,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            max_num_seqs: 256,
            kv_cache_memory_bytes: 0,
            enable_prefix_caching: true,
            dtype: WeightDtype::F32,
        }
    }
}

impl RolloutConfig {
    /// Whether a penalty changes what is sampled.
    pub(crate) fn penalises(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
    }

    /// How sequences are decoded; what is sampled does not depend on it.
    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig {
            max_num_seqs: self.max_num_seqs,
            kv_cache_memory_bytes: self.kv_cache_memory_bytes,
            enable_prefix_caching: self.enable_prefix_caching,
        }
    }

    /// What is sampled for each prompt, with the draws of `seed`.
    pub(crate) fn sampling(&self, seed: u64) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            max_tokens: self.max_completion_length,
            n: self.num_generations,
            seed,
            ..SamplingParams::default()
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
