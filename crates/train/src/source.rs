//! From the recipe's names to open things: model, processor, data sets, verifiers.

use std::path::{Path, PathBuf};

use percept_data::digit_sum::DigitSum;
use percept_data::{Dataset, FileDataset, Unread};
use percept_model::{Device, Model, Processor};
use percept_nn::Precision;
use percept_reward::RewardSet;

use crate::{DataConfig, Error, Located, Recipe, locate};

/// The data sets of a run.
pub struct Data {
    /// Rows of `[sft]`.
    pub sft: Box<dyn Dataset>,
    /// Rows of `[rl]`.
    pub rl: Box<dyn Dataset>,
    /// Held-out rows; none when the recipe names none.
    pub val: Option<Box<dyn Dataset>>,
}

/// Opens the recipe's data sets.
///
/// # Errors
/// [`Error::Data`] for files that cannot be opened or are malformed.
pub fn open_data(recipe: &Recipe) -> Result<Data, Error> {
    let config = &recipe.data;
    if let Some(task) = &config.digit_sum {
        return Ok(Data {
            sft: Box::new(DigitSum::new(task.sft.clone())?),
            rl: Box::new(DigitSum::new(task.rl.clone())?),
            val: Some(Box::new(DigitSum::new(task.val.clone())?)),
        });
    }
    let open = |files: &[PathBuf]| open_files(config, files);
    let val = match config.val_files.as_slice() {
        [] => None,
        files => Some(open(files)?),
    };
    let own = recipe.sft.as_ref().map(|sft| sft.train_files.as_slice());
    let own = own.filter(|files| !files.is_empty());
    Ok(Data {
        sft: open(own.unwrap_or(&config.train_files))?,
        rl: open(&config.train_files)?,
        val,
    })
}

/// Opens the rows of `[dpo]`; none where the recipe has no such stage.
///
/// # Errors
/// As [`open_data`].
pub fn open_pairs(recipe: &Recipe) -> Result<Option<Box<dyn Dataset>>, Error> {
    let Some(dpo) = &recipe.dpo else {
        return Ok(None);
    };
    let own = &dpo.train_files;
    let files = if own.is_empty() {
        &recipe.data.train_files
    } else {
        own
    };
    Ok(Some(open_files(&recipe.data, files)?))
}

/// Opens the general rows of `[dpo]`; none where it names none.
///
/// # Errors
/// As [`open_data`].
pub(crate) fn open_general(recipe: &Recipe) -> Result<Option<Box<dyn Dataset>>, Error> {
    let files = recipe.dpo.iter().map(|dpo| dpo.general_files.as_slice());
    let files = files.into_iter().find(|files| !files.is_empty());
    files
        .map(|files| open_files(&recipe.data, files))
        .transpose()
}

fn open_files(config: &DataConfig, files: &[PathBuf]) -> Result<Box<dyn Dataset>, Error> {
    let (columns, images) = (&config.columns, config.image_dir.as_deref());
    Ok(Box::new(FileDataset::open(files, columns, images)?))
}

/// Builds or loads the model and its processor, with the recipe's image limits and adapters;
/// weights come from `checkpoint` when a run goes on.
///
/// # Errors
/// [`Error::Model`] for a checkpoint that is missing, malformed or of an unknown architecture.
pub fn open_model(
    recipe: &Recipe,
    checkpoint: Option<&Path>,
    device: &Device,
) -> Result<(Model, Processor), Error> {
    let lora = recipe.model.lora.as_ref();
    let (mut model, mut processor) = match (&recipe.model.path, &recipe.model.tiny) {
        // An adapter checkpoint has no base weights; those come from where the recipe says.
        (path, _) if lora.is_none() && checkpoint.is_some() => {
            let folder = checkpoint.or(path.as_deref()).unwrap_or(Path::new("."));
            (Model::load(folder, device)?, Processor::load(folder)?)
        }
        (Some(path), _) => load_model(path, device)?,
        (None, tiny) => {
            let tiny = tiny.clone().unwrap_or_default();
            let processor = Processor::tiny(&tiny)?;
            let config = tiny.for_processor(&processor)?;
            (Model::init(config, recipe.trainer.seed, device)?, processor)
        }
    };
    if recipe.trainer.bf16 {
        model.set_precision(Precision::bf16().map_err(percept_model::Error::from)?);
    }
    let sampling = recipe.rollout.dtype.checked();
    model.set_decoder_dtype(sampling.map_err(percept_model::Error::from)?);
    let attention = recipe.model.attention.as_ref();
    let attention = attention.map(|choice| processor.attention(choice.clone()));
    let attention = attention.transpose()?;
    // Before adapters: NSA has gates, which they may adapt.
    if let Some(attention) = &attention {
        model.set_attention(attention.clone())?;
    }
    processor.set_pixel_limits(recipe.data.min_pixels, recipe.data.max_pixels)?;
    processor.set_chat_template_kwargs(recipe.data.chat_template_kwargs.clone());
    processor.set_box_format(recipe.data.bbox_format);
    match (lora, checkpoint) {
        (Some(_), Some(adapter)) => model.load_lora(adapter)?,
        (Some(lora), None) => model.add_lora(lora, recipe.trainer.seed)?,
        (None, _) => {}
    }
    // And after the adapter, which brings what its last step chose: annealing goes on from the recipe.
    if let Some(attention) = attention {
        model.set_attention(attention)?;
    }
    if recipe.model.freeze_vision {
        model.freeze_vision();
    }
    Ok((model, processor))
}

/// Whether something of a run reads a column that no convention knows: a reward function, or the tables by
/// kind of question. `rejected` stands for all that makes a row a pair, which `[dpo]` reads.
pub fn reads_column(recipe: &Recipe, column: &str) -> bool {
    let mut functions = recipe.reward.functions.iter();
    matches!(column, "question_type" | "reward_model")
        || column == "rejected" && recipe.dpo.is_some()
        || functions.any(|function| function.kind.reads(column))
}

/// Rows that are looked at before a run for what nothing uses.
const SURVEYED: usize = 256;

/// What the first rows of a data set say and nothing uses, in one line; none where everything is used.
pub(crate) fn unread(recipe: &Recipe, processor: &Processor, data: &dyn Dataset) -> Option<String> {
    let mut unread = Unread::default();
    let rows = data.len().min(SURVEYED);
    // A row that cannot be read is another matter, and is said when it is skipped.
    for sample in (0..rows).filter_map(|row| data.get(row).ok()) {
        let others = processor.unread(&sample);
        unread.add(&sample, &|column| reads_column(recipe, column), others);
    }
    if unread.is_empty() {
        return None;
    }
    let of = match rows == data.len() {
        true => String::new(),
        false => format!(" in the first {rows} of {} rows", data.len()),
    };
    Some(format!(
        "{} has what nothing uses{of}: {}",
        data.name(),
        unread.lines().join("; ")
    ))
}

/// Loads the model of a name that [`locate`] finds, an adapter of it merged, and its processor.
///
/// # Errors
/// As [`locate`]; [`Error::Model`] for a checkpoint that is malformed or of an unknown architecture.
pub fn load_model(name: &Path, device: &Device) -> Result<(Model, Processor), Error> {
    load_located(&locate(name)?, device)
}

/// Loads a model that was found.
///
/// # Errors
/// As [`load_model`].
pub fn load_located(found: &Located, device: &Device) -> Result<(Model, Processor), Error> {
    let mut model = Model::load(&found.base, device)?;
    if let Some(adapter) = &found.adapter {
        model.load_lora(adapter)?;
        model.merge_lora()?;
    }
    let processor = Processor::load_with(&found.base, found.processor())?;
    Ok((model, processor))
}

/// Builds the recipe's verifiers.
///
/// # Errors
/// [`Error::Reward`] for unknown names or options.
pub fn open_rewards(recipe: &Recipe) -> Result<RewardSet, Error> {
    Ok(RewardSet::build(&recipe.reward)?)
}
