//! `percept quickstart`: the main job on an embedded recipe.

use crate::args::Quickstart;
use crate::shared_args::Global;
use crate::{Done, Failure, train};

/// The recipe of the main job.
pub const RECIPE: &str = include_str!("../recipes/quickstart.toml");

/// What `--short` changes: fewer steps, fewer questions.
pub const SHORT: &str = include_str!("../recipes/quickstart-short.txt");

pub fn run(args: &Quickstart, global: &Global) -> Result<Done, Failure> {
    let mut set: Vec<String> = Vec::new();
    if args.short {
        let lines = SHORT
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        set.extend(lines.map(str::to_owned));
    }
    set.extend(train::device_setting(args.device.as_deref()));
    set.extend(args.set.iter().cloned());
    set.extend(train::strict_setting(args.strict));
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
    train::execute(&recipe, args.resume, args.overwrite, global)
}
