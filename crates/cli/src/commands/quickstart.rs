//! `percept quickstart`: the main job on an embedded recipe.

use std::path::PathBuf;

use clap::Args;

use crate::shared::quickstart_recipe::{RECIPE, SHORT};
use crate::shared::run_args::RunArgs;
use crate::shared::{Done, Failure, Global, training};

/// Train a small vision-language model on the built-in task: warm start, GRPO, evaluation, report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept quickstart
  percept quickstart --set trainer.seed=1 --output runs/seed1")]
pub struct Quickstart {
    /// Run folder.
    #[arg(long, default_value = "runs/quickstart")]
    pub output: PathBuf,
    /// A run of about a minute that still has to learn something (used by CI).
    #[arg(long)]
    pub short: bool,
    /// How it is run.
    #[command(flatten)]
    pub run: RunArgs,
}

pub fn run(args: &Quickstart, global: &Global) -> Result<Done, Failure> {
    let mut set: Vec<String> = Vec::new();
    if args.short {
        let lines = SHORT
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        set.extend(lines.map(str::to_owned));
    }
    set.extend(args.run.settings());
    let mut recipe = percept_train::parse(RECIPE, "the quick-start recipe", &set)?;
    let name = args.output.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        return Err(Failure::new(format!(
            "--output {}: not a folder name",
            args.output.display()
        )));
    };
    recipe.trainer.experiment_name = name.to_owned();
    recipe.trainer.output_dir = args
        .output
        .parent()
        .map_or_else(Default::default, |parent| parent.to_path_buf());
    training::execute(&recipe, args.run.start(), global)
}
