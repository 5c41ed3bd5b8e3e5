//! `percept eval genai-bench`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::video_reward::files::genai;

use super::args::ScorerArgs;
use super::run;
use crate::shared::{Done, Failure, Global};

/// GenAI-Bench, videos: which of two clips do people prefer? Votes for a tie and for "both bad" are ties.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval genai-bench --data video_generation.json --videos videos/ --model DIR --output runs/genai
  percept eval genai-bench --data video_generation.json --scores videoscore=scores.csv")]
pub struct GenAiArgs {
    /// The file of pairs (JSON: id, prompt, video_left, video_right, vote_type).
    #[arg(long)]
    pub data: PathBuf,
    /// Who scores.
    #[command(flatten)]
    pub scorers: ScorerArgs,
}

pub fn run(args: &GenAiArgs, global: &Global) -> Result<Done, Failure> {
    let pairs = genai(&args.data)?;
    let (name, title) = ("genai-bench", "GenAI-Bench, videos");
    run::run(name, title, &args.data, pairs, &args.scorers, global)
}
