//! Arguments of `percept analyze direction`.

use std::path::PathBuf;

use clap::Args;

/// Which tokens training raised and lowered, and what replacing them does to accuracy.
#[derive(Debug, Args)]
#[command(
    after_help = "Writes direction.html, summary.json, responses.parquet (both models' numbers of every token) and
replacement.parquet (accuracy by rule and share of tokens replaced).

Examples:
  percept analyze direction --base runs/quickstart/checkpoints/step-001400 \\
      --tuned runs/quickstart --digit-sum 500
  percept analyze direction --base BASE --tuned TUNED --data test.jsonl --reward math --top-p 0.7"
)]
pub struct AnalyzeDirection {
    /// The model before training: Hugging Face folder, run folder, or id in the local Hugging Face cache.
    #[arg(long)]
    pub base: PathBuf,
    /// The model after it.
    #[arg(long)]
    pub tuned: PathBuf,
    /// Device: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Data files: JSONL, JSON or Parquet, in any format that training reads.
    #[arg(long, required_unless_present = "digit_sum")]
    pub data: Vec<PathBuf>,
    /// Use this many held-out questions of the built-in task digit-sum.
    #[arg(long, conflicts_with = "data")]
    pub digit_sum: Option<usize>,
    /// Reward function that grades the responses, by name.
    #[arg(long, default_value = "math")]
    pub reward: String,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Number of responses per question and setting.
    #[arg(long, short, default_value_t = 4)]
    pub n: usize,
    /// Sampling temperature; training samples at 1.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
    /// Nucleus sampling (the paper's runs use 0.7; 1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of a response, in tokens.
    #[arg(long, default_value_t = 512)]
    pub max_tokens: usize,
    /// Maximum number of sequences decoded at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Fractions of tokens to replace.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.01,0.02,0.05,0.1,0.2,0.4"
    )]
    pub shares: Vec<f64>,
    /// Fraction at which the rules are compared.
    #[arg(long, default_value_t = 0.1)]
    pub budget: f64,
    /// Values of gamma to try.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,0.25,0.5,0.75,1,1.25,1.5",
        allow_negative_numbers = true
    )]
    pub gammas: Vec<f32>,
    /// Selective extrapolation: where the base's draft was lowered by at least this (paper: -0.3
    /// to -0.4).
    #[arg(long, default_value_t = -0.3, allow_negative_numbers = true)]
    pub tau: f64,
    /// Only this many of the drafting model's likeliest tokens are drawn in place of a draft
    /// (0: any).
    #[arg(long, default_value_t = 50)]
    pub candidates: usize,
    /// Output folder.
    #[arg(long, default_value = "runs/direction")]
    pub output: PathBuf,
}
