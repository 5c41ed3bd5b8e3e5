//! `percept halbench scenes`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::causal::write_scenes;

use crate::shared::output::say;
use crate::shared::{Done, Failure, Global};

/// Build a counterfactual benchmark of drawn shapes, where the ground truth is exact.
#[derive(Debug, Args)]
#[command(
    after_help = "Its images go with the questions of `percept data export --task scenes`, on which a small model
learns to look, or to guess from co-occurrence.

Examples:
  percept halbench scenes --out bench --pairs 200
  percept eval causal-halbench --data bench --model DIR"
)]
pub struct HalbenchScenes {
    /// Folder of the benchmark.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of image pairs; each has seven questions.
    #[arg(long, default_value_t = 200)]
    pub pairs: usize,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Contrast of the faint shapes.
    #[arg(long, default_value_t = 0.5)]
    pub contrast: f32,
}

pub fn run(args: &HalbenchScenes, _: &Global) -> Result<Done, Failure> {
    if args.pairs == 0 {
        return Err(Failure::new("--pairs is 0; expected 1 or more"));
    }
    if !(args.contrast > 0.0 && args.contrast <= 1.0) {
        return Err(Failure::new(format!(
            "--contrast {}: expected more than 0, at most 1",
            args.contrast
        )));
    }
    if args.out.join("qa.json").exists() {
        return Err(Failure::new(format!(
            "{} holds a data set; choose another folder",
            args.out.display()
        )));
    }
    write_scenes(&args.out, args.pairs, args.seed, args.contrast)?;
    say!("{}", args.out.join("qa.json").display());
    Ok(Done::Well)
}
