//! `percept merge`: a LoRA adapter becomes part of its base model.

use percept_model::SaveDtype;

use crate::args::Merge;
use crate::output::say;
use crate::{Done, Failure, open};

pub fn run(args: &Merge) -> Result<Done, Failure> {
    if args.output.exists() {
        return Err(Failure::new(format!(
            "{} exists; choose a folder that does not",
            args.output.display()
        )));
    }
    let (model, processor) = open::named(&args.model, Some(&args.adapter), "cpu")?;
    let temporary = percept_report::temporary_path(&args.output);
    std::fs::create_dir_all(&temporary)?;
    model.save(&temporary, SaveDtype::F32)?;
    processor.save(&temporary)?;
    percept_report::replace_dir(&temporary, &args.output)?;
    say!("{}", args.output.display());
    Ok(Done::Well)
}
