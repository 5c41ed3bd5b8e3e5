//! `percept eval videogen-rewardbench`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::video_reward::files::videogen;

use super::args::ScorerArgs;
use super::run;
use crate::shared::{Done, Failure, Global};

/// VideoGen-RewardBench: which of two clips do people prefer, in visual quality, motion quality, text alignment and overall?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval videogen-rewardbench --data videogen-rewardbench.csv --videos eval/ --model DIR --output runs/vgrb
  percept eval videogen-rewardbench --data videogen-rewardbench.csv --scores videoreward=out_single.csv --scores react=clips.jsonl")]
pub struct VideoGenArgs {
    /// The file of pairs (CSV: path_A, path_B, prompt, VQ, MQ, TA, Overall).
    #[arg(long)]
    pub data: PathBuf,
    /// Who scores.
    #[command(flatten)]
    pub scorers: ScorerArgs,
}

pub fn run(args: &VideoGenArgs, global: &Global) -> Result<Done, Failure> {
    let pairs = videogen(&args.data)?;
    let (name, title) = ("videogen-rewardbench", "VideoGen-RewardBench");
    run::run(name, title, &args.data, pairs, &args.scorers, global)
}
