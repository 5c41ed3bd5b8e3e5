//! Opening what the commands that use a finished model need.

use std::io::Write;
use std::path::Path;

use percept_data::digit_sum::{DigitSum, DigitSumConfig, Split};
use percept_data::{ColumnMap, Dataset, FileDataset};
use percept_kernels::decode::WeightDtype;
use percept_model::{Model, Processor};
use percept_reward::{RewardConfig, RewardSet};
use percept_sampler::LocalSampler;
use serde_json::{Value, json};

use crate::shared::Failure;
use crate::shared::model_args::ModelArgs;
use crate::shared::output::note;
use crate::shared::reward_arg::RewardArg;
use crate::shared::sampling_args::ExtrapolateArgs;

/// The model, its adapter merged, and its processor.
pub fn model(args: &ModelArgs) -> Result<(Model, Processor), Failure> {
    let (mut model, processor) = named(&args.model, args.adapter.as_deref(), &args.device)?;
    model.set_decoder_dtype(args.dtype);
    if let Some(attention) = &args.attention {
        attention.apply(&mut model, &processor)?;
    }
    Ok((model, processor))
}

/// A model by its name, with an adapter by its, merged.
pub fn named(
    name: &Path,
    adapter: Option<&Path>,
    device: &str,
) -> Result<(Model, Processor), Failure> {
    let device = percept_nn::parse_device(device)?;
    let found = percept_train::locate(name)?;
    // The folder is reported where the name is not its path.
    let taken = found.adapter.as_deref().unwrap_or(&found.base);
    if taken != name {
        note!("model: {}", taken.display());
    }
    let (mut model, processor) = percept_train::load_located(&found, &device)?;
    if let Some(adapter) = adapter {
        model.load_lora(&percept_train::locate_adapter(adapter)?)?;
        model.merge_lora()?;
    }
    Ok((model, processor))
}

/// Files beside the weights that change what a model computes.
const CONFIGS: [&str; 3] = ["config.json", "adapter_config.json", "percept_config.json"];

/// Names a local model: its folders, what changes when they are trained on, and an attention that
/// is not the checkpoint's.
pub fn weights(args: &ModelArgs) -> Result<Value, Failure> {
    let found = percept_train::locate(&args.model)?;
    let mut folders = vec![found.base];
    folders.extend(found.adapter);
    if let Some(adapter) = &args.adapter {
        folders.push(percept_train::locate_adapter(adapter)?);
    }
    let mut named = Vec::new();
    for folder in folders {
        let path = folder
            .canonicalize()
            .map_err(|e| Failure::new(format!("--model {}: {e}", folder.display())))?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".safetensors") || CONFIGS.contains(&name.as_str()) {
                let meta = entry.metadata()?;
                let changed = meta.modified()?.duration_since(std::time::UNIX_EPOCH);
                files.push((name, meta.len(), changed.map_or(0, |d| d.as_nanos() as u64)));
            }
        }
        files.sort_unstable();
        named.push(json!({"folder": path.display().to_string(), "files": files}));
    }
    let mut identity = json!({ "weights": named });
    if let Some(attention) = &args.attention {
        identity["attention"] = json!(attention.text());
    }
    if args.dtype != WeightDtype::F32 {
        identity["dtype"] = json!(args.dtype);
    }
    Ok(identity)
}

/// The model before training and its processor, where the command line names one. What the command
/// line says of attention and numbers holds for both models.
pub fn base(
    args: &ExtrapolateArgs,
    tuned: &ModelArgs,
    (model, _): &(Model, Processor),
) -> Result<Option<(Model, Processor)>, Failure> {
    let Some(folder) = &args.extrapolate else {
        return Ok(None);
    };
    let (mut base, processor) = named(folder, None, &tuned.device)?;
    base.set_decoder_dtype(tuned.dtype);
    if tuned.attention.is_some() {
        let attention = model.config().attention.config();
        base.set_attention(processor.attention(attention.clone())?)?;
    }
    Ok(Some((base, processor)))
}

/// A sampler of one model, or of two in step.
pub fn sampler<'a>(
    (model, processor): &'a (Model, Processor),
    base: Option<&'a (Model, Processor)>,
) -> Result<LocalSampler<'a>, Failure> {
    let sampler = LocalSampler::new(model, processor, 0)?;
    Ok(match base {
        None => sampler,
        Some((model, processor)) => sampler.with_base(model, processor)?,
    })
}

/// Rows of data files, or held-out questions of the built-in task.
pub fn questions(
    data: &[std::path::PathBuf],
    digit_sum: Option<usize>,
) -> Result<Box<dyn Dataset>, Failure> {
    Ok(match digit_sum {
        Some(len) => Box::new(DigitSum::new(DigitSumConfig {
            split: Split::Test,
            len,
            ..DigitSumConfig::default()
        })?),
        None => Box::new(FileDataset::open(data, &ColumnMap::default(), None)?),
    })
}

/// The verifier of `--reward`.
pub fn rewards(name: &str) -> Result<RewardSet, Failure> {
    let arg: RewardArg = name
        .parse()
        .map_err(|e| Failure::new(format!("--reward {name}: {e}")))?;
    Ok(RewardSet::build(&RewardConfig {
        functions: vec![arg.function().clone()],
    })?)
}

/// Rows of a file in any format that training reads.
pub fn rows(path: &Path) -> Result<impl Dataset, Failure> {
    Ok(FileDataset::open(
        &[path.to_path_buf()],
        &ColumnMap::default(),
        None,
    )?)
}

/// JSON lines on standard output, or in a file that gets its name when it is complete.
pub enum JsonLines {
    /// Standard output.
    Stdout(std::io::Stdout),
    /// A file.
    File(Box<std::io::BufWriter<percept_base::files::AtomicFile>>),
}

impl JsonLines {
    /// Standard output where no path is given.
    pub fn create(path: Option<&Path>) -> Result<Self, Failure> {
        Ok(match path {
            None => Self::Stdout(std::io::stdout()),
            Some(path) => {
                let file = percept_base::files::AtomicFile::create(path)?;
                Self::File(Box::new(std::io::BufWriter::new(file)))
            }
        })
    }

    /// Makes the file appear under its name.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout(mut out) => Ok(out.flush()?),
            Self::File(file) => {
                let file = file.into_inner().map_err(|e| Failure::new(e.to_string()))?;
                Ok(file.commit()?)
            }
        }
    }
}

impl Write for JsonLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(out) => match std::str::from_utf8(bytes) {
                // Lines of JSON: escapes of control characters mean the same.
                Ok(text) => {
                    let shown = crate::shared::output::visible(text);
                    out.write_all(shown.as_bytes()).map(|()| bytes.len())
                }
                Err(_) => out.write(bytes),
            },
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}
