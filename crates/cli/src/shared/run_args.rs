//! Options of a training run.

use clap::Args;
use percept_train::Start;

/// How a recipe is run.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Device: cpu, or vulkan:0, cuda:0, … (sets trainer.device).
    #[arg(long)]
    pub device: Option<String>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// End the run at its first warning, with a checkpoint and exit code 1 (sets trainer.strict).
    #[arg(long)]
    pub strict: bool,
    /// Resume a run that was stopped or killed.
    #[arg(long)]
    pub resume: bool,
    /// Delete the run folder first if it exists.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
}

impl RunArgs {
    /// The fields of the recipe that these options set; later ones count.
    pub fn settings(&self) -> Vec<String> {
        let device = self
            .device
            .iter()
            .map(|name| format!("trainer.device={name}"));
        device
            .chain(self.set.iter().cloned())
            .chain(strict_setting(self.strict))
            .collect()
    }

    /// What becomes of a run folder that exists.
    pub fn start(&self) -> Start {
        match (self.resume, self.overwrite) {
            (true, _) => Start::Resume,
            (false, true) => Start::Overwrite,
            (false, false) => Start::New,
        }
    }
}

/// `--strict` as a field of the recipe.
pub fn strict_setting(strict: bool) -> Option<String> {
    strict.then(|| "trainer.strict=true".to_owned())
}
