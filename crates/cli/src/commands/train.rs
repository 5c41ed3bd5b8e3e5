//! `percept train`.

use std::path::PathBuf;

use clap::Args;

use crate::shared::run_args::RunArgs;
use crate::shared::{Done, Failure, Global, training};

/// Train a model as a recipe says: supervised fine-tuning, reinforcement learning, evaluation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept train recipe.toml
  percept train recipe.toml --set rl.optim.lr=2e-6 --set trainer.seed=3
  percept train recipe.toml --resume")]
pub struct Train {
    /// Recipe file (TOML); paths in it are relative to it.
    pub recipe: PathBuf,
    /// How it is run.
    #[command(flatten)]
    pub run: RunArgs,
}

pub fn run(args: &Train, global: &Global) -> Result<Done, Failure> {
    let recipe = percept_train::load(&args.recipe, &args.run.settings())?;
    training::execute(&recipe, args.run.start(), global)
}
