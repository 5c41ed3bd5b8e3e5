//! Arguments of `percept data react-cot`.

use std::path::PathBuf;

use clap::Args;

use crate::shared::endpoint_args::{AllowImages, CallArgs, EndpointArgs};

/// Let a strong model write the reasoning for frames whose labels and boxes are known (column `response`).
#[derive(Debug, Args)]
#[command(
    after_help = "The model gets each frame with its labels and boxes and writes what a judge would think who sees the frame
alone. A trace is kept when it ends in the right labels and regions and does not give away that it was told; others are
dropped and counted by reason. The score is drawn from the number of labels (REACT's bands), from --seed and the frame's
name. Every answer is written to OUT's journal before it is looked at: a stopped command, started again, asks only what
is missing. The key comes from PERCEPT_API_KEY or OPENAI_API_KEY and is written nowhere.

Example:
  percept data react-cot --data labels/train.jsonl --endpoint https://api.openai.com --api-model gpt-4.1 \\
      --out labels/cot.jsonl -n 3 --price-in 2 --price-out 8",
    mut_arg("endpoint", |arg| arg.required(true))
)]
pub struct DataReactCot {
    /// Labelled frames, as `percept annotate export` writes them.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// The model on a server.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// Output data set (JSONL); its journal is written next to it.
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: PathBuf,
    /// Maximum number of traces requested per frame; the first right one is kept.
    #[arg(long, short, default_value_t = 3)]
    pub n: usize,
    /// Smallest overlap (intersection over union) of a trace's region with the annotator's box.
    #[arg(long, default_value_t = 0.5)]
    pub min_iou: f64,
    /// Maximum number of frames (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Sampling temperature.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
    /// Nucleus sampling: keep the likeliest tokens whose probabilities sum to this (1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of a trace in tokens.
    #[arg(long, default_value_t = 2048)]
    pub max_tokens: usize,
    /// Random seed of the scores; also sent to the server where --send-seed says so.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Send the seed to the server (not every server takes one).
    #[arg(long)]
    pub send_seed: bool,
    /// From where images may be sent.
    #[command(flatten)]
    pub allow: AllowImages,
    /// How a server is asked.
    #[command(flatten)]
    pub calls: CallArgs,
}
