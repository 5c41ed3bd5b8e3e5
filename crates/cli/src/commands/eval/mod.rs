//! `percept eval`: accuracy on data files, or a published benchmark.

mod accuracy;
mod benchmark;
mod questions;

use clap::Args;

use crate::shared::{Done, Failure, Global};

/// Measure accuracy on data with verifiable answers, or run a published benchmark.
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  percept eval --model DIR --data test.jsonl --reward math --output eval/
  percept eval --model DIR --recipe recipe.toml
  percept eval --model DIR --data test.jsonl --reward reward.py --columns '{ answer = \"label\" }'
  percept eval --model DIR --digit-sum 500
  percept eval --model DIR --extrapolate BASE --gamma 0.5 --gate logp:-0.3 --digit-sum 500
  percept eval pope --data POPE/output/coco --images val2014 --model DIR"
)]
pub struct Eval {
    /// A published benchmark instead of data files.
    #[command(subcommand)]
    pub benchmark: Option<benchmark::Benchmark>,
    /// Data files.
    #[command(flatten)]
    pub rows: accuracy::EvalRows,
}

pub fn run(args: &Eval, global: &Global) -> Result<Done, Failure> {
    match &args.benchmark {
        Some(benchmark) => benchmark::run(benchmark, global),
        None => accuracy::run(&args.rows, global),
    }
}
