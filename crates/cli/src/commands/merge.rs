//! `percept merge`: a LoRA adapter becomes part of its base model.

use std::path::PathBuf;

use clap::Args;
use percept_model::SaveDtype;

use crate::shared::output::say;
use crate::shared::{Done, Failure, Global, open};

/// Merge a LoRA adapter into its base model.
#[derive(Debug, Args)]
pub struct Merge {
    /// Base model: a folder, a run folder, or an id in the local Hugging Face cache.
    #[arg(long)]
    pub model: PathBuf,
    /// Adapter (PEFT format): a folder, a run folder, or an id.
    #[arg(long)]
    pub adapter: PathBuf,
    /// Output folder.
    #[arg(long)]
    pub output: PathBuf,
}

pub fn run(args: &Merge, _: &Global) -> Result<Done, Failure> {
    if args.output.exists() {
        return Err(Failure::new(format!(
            "{} exists; choose a folder that does not",
            args.output.display()
        )));
    }
    let (model, processor) = open::named(&args.model, Some(&args.adapter), "cpu")?;
    let temporary = percept_base::files::temporary_path(&args.output);
    std::fs::create_dir_all(&temporary)?;
    model.save(&temporary, SaveDtype::F32)?;
    processor.save(&temporary)?;
    percept_base::files::replace_dir(&temporary, &args.output)?;
    say!("{}", args.output.display());
    Ok(Done::Well)
}
