//! The recipe: one typed TOML file that fixes a run completely.
//!
//! Every table denies unknown keys, every field is documented here (the text is what
//! `percept config` prints and what the JSON Schema carries), and names are those of verl and TRL
//! wherever those have one. `seed` alone fixes data order, sampling and initialisation.

use std::path::PathBuf;

use percept_data::digit_sum::DigitSumConfig;
use percept_kernels::sparse::AttentionConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recipe::parts::{
    AlgorithmConfig, EvalConfig, OptimConfig, RlConfig, RolloutConfig, TopKAnnealing,
};
use crate::recipe::preference::{DpoConfig, PreferenceOptions};
use crate::recipe::supervised::SftConfig;

/// One run: which model learns what from which data, and how.
///
/// The stages run in order: `[sft]` if present, then `[dpo]` if present, then `[rl]` if present; each is
/// followed by an evaluation on `data.val_files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where the run lives and how it is seeded.
    #[serde(default)]
    pub trainer: TrainerConfig,
    /// The model to train.
    pub model: ModelSource,
    /// Training and validation data.
    pub data: DataConfig,
    /// How a response is judged. Needed by `[rl]` and by every evaluation.
    #[serde(default)]
    pub reward: percept_reward::RewardConfig,
    /// Supervised fine-tuning stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft: Option<SftConfig>,
    /// Preference stage (DPO and its relatives, AdaViP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo: Option<DpoConfig>,
    /// What the `[dpo]` stage learns from a pair.
    #[serde(default)]
    pub preference: PreferenceOptions,
    /// Reinforcement-learning stage (GRPO and its relatives).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rl: Option<RlConfig>,
    /// Credit assignment and policy loss of the `[rl]` stage.
    #[serde(default)]
    pub algorithm: AlgorithmConfig,
    /// Sampling during the `[rl]` stage.
    #[serde(default)]
    pub rollout: RolloutConfig,
    /// Validation.
    #[serde(default)]
    pub eval: EvalConfig,
}

/// The table of a stage.
pub(crate) struct StageTable<'a> {
    /// Its name in the recipe.
    pub(crate) name: &'static str,
    /// Passes over its rows, where they are given in place of steps.
    pub(crate) num_train_epochs: Option<f64>,
    /// Rows or prompts per step.
    pub(crate) train_batch_size: usize,
    /// Token budget of one forward pass.
    pub(crate) ppo_max_token_len: usize,
    /// Optimiser.
    pub(crate) optim: &'a OptimConfig,
}

impl Recipe {
    /// The tables of the stages that it has, in their order.
    pub(crate) fn stage_tables(&self) -> Vec<StageTable<'_>> {
        let sft = self.sft.as_ref().map(|sft| StageTable {
            name: "sft",
            num_train_epochs: sft.num_train_epochs,
            train_batch_size: sft.train_batch_size,
            ppo_max_token_len: sft.ppo_max_token_len,
            optim: &sft.optim,
        });
        let dpo = self.dpo.as_ref().map(|dpo| StageTable {
            name: "dpo",
            num_train_epochs: dpo.num_train_epochs,
            train_batch_size: dpo.train_batch_size,
            ppo_max_token_len: dpo.ppo_max_token_len,
            optim: &dpo.optim,
        });
        let rl = self.rl.as_ref().map(|rl| StageTable {
            name: "rl",
            num_train_epochs: None,
            train_batch_size: rl.train_batch_size,
            ppo_max_token_len: rl.ppo_max_token_len,
            optim: &rl.optim,
        });
        [sft, dpo, rl].into_iter().flatten().collect()
    }
}

/// Where the run lives and how it is seeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainerConfig {
    /// Name of the run; the folder is `output_dir/experiment_name`.
    pub experiment_name: String,
    /// Folder that holds run folders. Like every path in a recipe it is relative to the recipe file;
    /// where it is not given, it is `runs` in the working directory.
    pub output_dir: PathBuf,
    /// Seed of data order, sampling and initialisation. Same seed, device and thread count give
    /// the same run bit for bit.
    pub seed: u64,
    /// Device: `cpu`, or `vulkan:0`, `cuda:0`, … when the build has that feature.
    pub device: String,
    /// Multiply activations with weights in bfloat16, forward and backward; weights, gradients and
    /// sums stay f32. Needs a processor with AMX or AVX-512 BF16; sampling is f32 either way.
    pub bf16: bool,
    /// Write a checkpoint every this many optimiser steps (0: only at the end of a stage).
    pub save_freq: usize,
    /// Keep at most this many checkpoints; the newest ones stay (0: keep all).
    pub max_ckpt_to_keep: usize,
    /// Stop after this many consecutive updates whose loss or gradient is not finite.
    pub max_nonfinite_updates: usize,
    /// End a stage once the run has spent this many tokens: those of SFT rows and of preference pairs, and those
    /// sampled and trained on by RL (0: no limit).
    pub max_tokens: u64,
    /// Store every this many steps' rollouts, and pairs of `[dpo]`, as Parquet (0: never).
    pub rollout_freq: usize,
    /// Metric names in `metrics.jsonl`: verl's or TRL's.
    pub metric_names: MetricNames,
    /// End the run at its first warning, with a checkpoint (`percept train --strict`).
    pub strict: bool,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            experiment_name: "run".into(),
            output_dir: "runs".into(),
            seed: 0,
            device: "cpu".into(),
            bf16: false,
            save_freq: 50,
            max_ckpt_to_keep: 2,
            max_nonfinite_updates: 5,
            max_tokens: 0,
            rollout_freq: 1,
            metric_names: MetricNames::Verl,
            strict: false,
        }
    }
}

/// Whose names the metrics carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricNames {
    /// `actor/pg_clipfrac`, `response_length/mean`, …
    Verl,
    /// `clip_ratio/region_mean`, `completions/mean_length`, …
    Trl,
}

/// The model to train: a Hugging Face folder, or a small one built on the spot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// Hugging Face folder (config.json, safetensors, tokenizer.json, preprocessor_config.json), relative
    /// to the recipe file; a run folder (its newest checkpoint at that time; name the checkpoint itself
    /// where that run goes on); or an id of the Hugging Face Hub in the local cache: `org/name`,
    /// `org/name@revision`. Exactly one of `path` and `tiny` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Build a small Qwen2.5-VL-architecture model with random weights and a tokenizer for the
    /// built-in task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiny: Option<percept_model::TinyConfig>,
    /// What the decoder's queries see, in training, rollouts and evaluation: `full`, `sliding`,
    /// `phsa`, `infllm2`, `moba`, `nsa`, or a table with options, `{ name = "phsa", top_k = 4 }`.
    /// Default: what the checkpoint says. Checkpoints keep it in config.json, LoRA adapters in
    /// percept_config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionConfig>,
    /// Begin each stage with more chosen blocks than `attention.top_k`, halved step by step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k_annealing: Option<TopKAnnealing>,
    /// Train low-rank adapters instead of all weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<percept_model::LoraConfig>,
    /// Keep the vision tower frozen.
    #[serde(default)]
    pub freeze_vision: bool,
    /// What the backward pass computes again instead of keeping its activations: `false` nothing,
    /// `"selective"` attention and the product inside the MLP (40 % less for a tenth more time), `true`
    /// or `"full"` every layer (a tenth is left, for a quarter more time).
    #[serde(default)]
    pub gradient_checkpointing: percept_model::GradientCheckpointing,
}

/// Training and validation data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// JSONL, JSON, CSV, TSV or Parquet files, relative to the recipe file; all but Parquet also packed with
    /// gzip or zstd (`train.jsonl.gz`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train_files: Vec<PathBuf>,
    /// Validation files of the same kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub val_files: Vec<PathBuf>,
    /// The built-in digit-sum task instead of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digit_sum: Option<DigitSumTask>,
    /// Folder that relative image paths start from (default: the data file's own folder).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_dir: Option<PathBuf>,
    /// Which column holds what, when the names are none of the known conventions.
    #[serde(default)]
    pub columns: percept_data::ColumnMap,
    /// Named values that the chat template gets with every conversation: `{ enable_thinking = false }`
    /// (verl's `apply_chat_template_kwargs`). A row's own column `chat_template_kwargs` comes before them.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub chat_template_kwargs: serde_json::Map<String, serde_json::Value>,
    /// How `<ref-object>` and `<bbox>` of ms-swift rows are written: `legacy` (tokens), `new` (plain name,
    /// `[x1, y1, x2, y2]`) or `plain`. Default: as ms-swift does for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox_format: Option<percept_data::BoxFormat>,
    /// Prompts longer than this many tokens are reported by `percept data check` and skipped (counted
    /// in `data/skipped_rows`, and said) in training.
    #[serde(default = "default_prompt_length")]
    pub max_prompt_length: usize,
    /// Overrides the checkpoint's largest image size, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<usize>,
    /// Overrides the checkpoint's smallest image size, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pixels: Option<usize>,
    /// Draw the training rows in a new random order each epoch.
    #[serde(default = "yes")]
    pub shuffle: bool,
}

/// The built-in task as used by the three stages.
///
/// The warm start may see fewer handwritings than reinforcement learning: that is what leaves
/// something to be learned from the reward alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigitSumTask {
    /// Rows of the supervised stage.
    pub sft: DigitSumConfig,
    /// Rows of the reinforcement-learning stage.
    pub rl: DigitSumConfig,
    /// Held-out questions on handwriting that neither stage sees.
    pub val: DigitSumConfig,
}

fn default_prompt_length() -> usize {
    2048
}

fn yes() -> bool {
    true
}
