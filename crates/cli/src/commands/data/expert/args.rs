//! Arguments of `percept data expert`.

use std::path::PathBuf;

use clap::Args;

use crate::shared::endpoint_args::{AllowImages, CallArgs, EndpointArgs};

/// Collect answers of a strong model and keep those that a verifier accepts (column `expert`).
#[derive(Debug, Args)]
#[command(
    after_help = "Every answer is written to OUT's journal (experts.journal.jsonl) before it is judged. A stopped
command, started again, asks only what is missing; with a larger -n it asks more of the rows that
have no right answer yet. The key comes from PERCEPT_API_KEY or OPENAI_API_KEY and is written
nowhere. OUT holds all rows; `expert` is the first right answer.

Examples:
  percept data expert recipe.toml --endpoint https://api.openai.com --api-model gpt-4.1 \\
      --out experts.jsonl --price-in 2 --price-out 8
  percept data expert --data train.jsonl --reward math --endpoint http://localhost:8000 \\
      --api-model Qwen/Qwen2.5-VL-72B-Instruct --system 'Think step by step. End with \\boxed{}.' \\
      --out experts.jsonl -n 8 --max-concurrency 64
  percept data expert recipe.toml --model DIR --out experts.jsonl",
    mut_arg("endpoint", |arg| arg.required_unless_present("model"))
)]
pub struct DataExpert {
    /// Recipe file (TOML): its training rows and its reward functions.
    #[arg(required_unless_present = "data")]
    pub recipe: Option<PathBuf>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "recipe")]
    pub set: Vec<String>,
    /// Data files, instead of a recipe.
    #[arg(long, conflicts_with = "recipe")]
    pub data: Vec<PathBuf>,
    /// Reward function for --data, by name; an answer is accepted if it scores 1.
    #[arg(long, default_value = "accuracy", conflicts_with = "recipe")]
    pub reward: String,
    /// An expert on a server.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// A local expert: Hugging Face folder, run folder, or id in the local Hugging Face cache.
    #[arg(long, conflicts_with = "endpoint")]
    pub model: Option<PathBuf>,
    /// LoRA adapter folder (PEFT format) on top of it.
    #[arg(long, requires = "model")]
    pub adapter: Option<PathBuf>,
    /// Device of --model: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Output data set (JSONL); its journal is written next to it.
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: PathBuf,
    /// Maximum number of answers requested per row.
    #[arg(long, short, default_value_t = 4)]
    pub n: usize,
    /// Stop asking about a row once this many answers are right; each becomes a row of its own.
    #[arg(long, default_value_t = 1)]
    pub keep: usize,
    /// Leave out rows without a right answer.
    #[arg(long)]
    pub only_verified: bool,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// System message for the expert; it is not written to the rows.
    #[arg(long)]
    pub system: Option<String>,
    /// Leave out reasoning that the server returns separately (by default it is kept in think tags).
    #[arg(long)]
    pub no_reasoning: bool,
    /// Sampling temperature.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
    /// Nucleus sampling: keep the likeliest tokens whose probabilities sum to this (1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of a response in tokens, reasoning included.
    #[arg(long, default_value_t = 2048)]
    pub max_tokens: usize,
    /// Text that ends a response (may be repeated).
    #[arg(long)]
    pub stop: Vec<String>,
    /// Random seed; sent to a server only if given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// From where images may be sent.
    #[command(flatten)]
    pub allow: AllowImages,
    /// How a server is asked.
    #[command(flatten)]
    pub calls: CallArgs,
    /// Maximum number of sequences that --model decodes at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
}
