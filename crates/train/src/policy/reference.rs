//! The frozen reference of a stage: the weights at its start (with LoRA the adapters, on the shared base).

use std::path::Path;

use percept_model::{Model, SaveDtype};

use crate::Error;
use crate::policy::values::ReferenceSource;

/// Writes the weights: a Hugging Face folder, or a PEFT adapter folder with LoRA.
pub(super) fn write_weights(model: &Model, dir: &Path) -> Result<(), Error> {
    match model.lora() {
        Some(_) => model.save_adapter(dir, SaveDtype::F32)?,
        None => model.save(dir, SaveDtype::F32)?,
    }
    Ok(())
}

/// Keeps the weights of now in `folder`, whole or not at all.
pub(super) fn keep(model: &Model, folder: &Path) -> Result<(), Error> {
    let temporary = percept_base::files::temporary_path(folder);
    std::fs::create_dir_all(&temporary).map_err(|e| Error::write(&temporary, e))?;
    write_weights(model, &temporary)?;
    Ok(percept_base::files::replace_dir(&temporary, folder)?)
}

/// The reference that was kept in `folder`, for a policy whose weights are now those of `model`.
pub(super) fn open(model: &Model, folder: &Path) -> Result<(Model, ReferenceSource), Error> {
    let mut source = ReferenceSource::Copy;
    let mut reference = match model.lora() {
        None => Model::load(folder, model.device())?,
        Some(_) => {
            let mut base = model.without_lora();
            match folder.exists() {
                true => base.load_lora(folder)?,
                false => source = ReferenceSource::Base,
            }
            let params = base.parameters_mut().iter_mut();
            params.for_each(|param| param.set_trainable(false));
            base
        }
    };
    reference.set_precision(model.precision());
    Ok((reference, source))
}
