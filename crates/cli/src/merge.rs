//! `percept merge`: a LoRA adapter becomes part of its base model.

use percept_model::{Model, Processor, SaveDtype};

use crate::args::Merge;
use crate::output::say;
use crate::{Done, Failure};

pub fn run(args: &Merge) -> Result<Done, Failure> {
    if args.output.exists() {
        return Err(Failure::new(format!(
            "{} exists; choose a folder that does not",
            args.output.display()
        )));
    }
    let device = percept_nn::parse_device("cpu")?;
    let mut model = Model::load(&args.model, &device)?;
    model.load_lora(&args.adapter)?;
    model.merge_lora()?;
    let temporary = percept_report::temporary_path(&args.output);
    std::fs::create_dir_all(&temporary)?;
    model.save(&temporary, SaveDtype::F32)?;
    Processor::load(&args.model)?.save(&temporary)?;
    percept_report::replace_dir(&temporary, &args.output)?;
    say!("{}", args.output.display());
    Ok(Done::Well)
}
