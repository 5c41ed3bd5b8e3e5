//! Opening what the commands that use a finished model need.

use std::io::Write;
use std::path::Path;

use percept_data::{ColumnMap, Dataset, FileDataset};
use percept_model::{Model, Processor};
use percept_rollout::SamplingParams;

use crate::Failure;
use crate::args::{ModelArgs, SamplingArgs};

/// The model, its adapter merged, and its processor.
pub fn model(args: &ModelArgs) -> Result<(Model, Processor), Failure> {
    let device = percept_nn::parse_device(&args.device)?;
    let mut model = Model::load(&args.model, &device)?;
    if let Some(adapter) = &args.adapter {
        model.load_lora(adapter)?;
        model.merge_lora()?;
    }
    Ok((model, Processor::load(&args.model)?))
}

/// Rows of a file in any format that training reads.
pub fn rows(path: &Path) -> Result<impl Dataset, Failure> {
    Ok(FileDataset::open(
        &[path.to_path_buf()],
        &ColumnMap::default(),
        None,
    )?)
}

/// Sampling parameters of the command line.
pub fn sampling(args: &SamplingArgs) -> SamplingParams {
    SamplingParams {
        temperature: args.temperature,
        top_p: args.top_p,
        top_k: args.top_k,
        max_tokens: args.max_tokens,
        n: args.n,
        seed: args.seed,
        stop: args.stop.clone(),
        ignore_eos: false,
        max_num_seqs: args.max_num_seqs,
        extrapolate: None,
    }
}

/// JSON lines on standard output, or in a file that gets its name when it is complete.
pub enum JsonLines {
    /// Standard output.
    Stdout(std::io::Stdout),
    /// A file.
    File(Box<std::io::BufWriter<percept_report::AtomicFile>>),
}

impl JsonLines {
    /// Standard output where no path is given.
    pub fn create(path: Option<&Path>) -> Result<Self, Failure> {
        Ok(match path {
            None => Self::Stdout(std::io::stdout()),
            Some(path) => {
                let file = percept_report::AtomicFile::create(path)?;
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
            Self::Stdout(out) => out.write(bytes),
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
