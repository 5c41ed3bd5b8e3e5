//! `percept data export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept_data::crawlers::{self, CrawlersConfig};
use percept_data::digit_sum::{DigitSum, DigitSumConfig, Split};
use percept_data::scenes::{Ask, Scenes, ScenesConfig};
use percept_data::{ColumnMap, Dataset, FileDataset, write_jsonl};

use crate::shared::output::say;
use crate::shared::{Done, Failure, Global};

/// Write a built-in task, or rows of any convention, as a JSONL file in TRL's form with the pictures beside it.
#[derive(Debug, Args)]
pub struct DataExport {
    /// Task to write.
    #[arg(long, value_enum, default_value_t = Task::DigitSum)]
    pub task: Task,
    /// Write the rows of these data files instead of a task: rows of TRL, RLAIF-V, ms-swift, LLaMA-Factory, …,
    /// preference pairs among them.
    #[arg(
        long,
        value_name = "FILES",
        num_args = 1..,
        conflicts_with_all = [
            "task", "rows", "split", "cooccurrence", "hallucination", "ask", "contrast", "clips", "difficulty", "scale", "seed"
        ]
    )]
    pub data: Vec<PathBuf>,
    /// Output folder.
    #[arg(long)]
    pub output: PathBuf,
    /// Number of rows.
    #[arg(long, default_value_t = 100)]
    pub rows: usize,
    /// For digit-sum: handwriting of the `train` or the `test` writers.
    #[arg(long, default_value = "train")]
    pub split: String,
    /// For scenes: probability that a shape appears if its companion shape does, and that it is
    /// absent if its companion is (0.5: independent).
    #[arg(long, default_value_t = 0.5)]
    pub cooccurrence: f32,
    /// For descriptions of scenes: probability that a companion which is not there is named.
    #[arg(long, default_value_t = 0.0)]
    pub hallucination: f32,
    /// For scenes: what is asked.
    #[arg(long, value_enum, default_value_t = AskAbout::Presence)]
    pub ask: AskAbout,
    /// For scenes: contrast of the faint shapes.
    #[arg(long, default_value_t = 0.5)]
    pub contrast: f32,
    /// For crawlers: write `--rows` pairs of clips (pairs.csv, videos/*.gif) instead of frames.
    #[arg(long)]
    pub clips: bool,
    /// For crawlers: from 0 (one place, large faults) to 1 (many places and colours, small faults).
    #[arg(long, default_value_t = CrawlersConfig::default().difficulty)]
    pub difficulty: f32,
    /// For crawlers: times that frames are larger than 112 × 56 pixels.
    #[arg(long, default_value_t = 1)]
    pub scale: u32,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A built-in task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Questions about handwritten digits.
    DigitSum,
    /// Shapes with planted co-occurrence: is this one in the image, or describe it.
    Scenes,
    /// Frames of small walking creatures, with labels of what is broken.
    Crawlers,
}

/// What rows of scenes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AskAbout {
    /// Whether a shape is in the image.
    Presence,
    /// For a description.
    Description,
    /// For a description, with a worse one and a worse image: preference pairs.
    Preference,
}

pub fn run(args: &DataExport, _: &Global) -> Result<Done, Failure> {
    let split = match args.split.as_str() {
        "train" => Split::Train,
        "test" => Split::Test,
        other => {
            return Err(Failure::new(format!(
                "--split {other}: expected train or test"
            )));
        }
    };
    let path = match args.task {
        _ if !args.data.is_empty() => write(
            &FileDataset::open(&args.data, &ColumnMap::default(), None)?,
            args,
        )?,
        Task::DigitSum => {
            let config = DigitSumConfig {
                split,
                seed: args.seed,
                len: args.rows,
                ..DigitSumConfig::default()
            };
            write(&DigitSum::new(config)?, args)?
        }
        Task::Scenes => {
            let config = ScenesConfig {
                seed: args.seed,
                len: args.rows,
                ask: match args.ask {
                    AskAbout::Presence => Ask::Presence,
                    AskAbout::Description => Ask::Description,
                    AskAbout::Preference => Ask::Preference,
                },
                cooccurrence: args.cooccurrence,
                hallucination: args.hallucination,
                contrast: args.contrast,
            };
            write(&Scenes::new(config)?, args)?
        }
        Task::Crawlers => {
            let config = CrawlersConfig {
                seed: args.seed,
                difficulty: args.difficulty,
                scale: args.scale,
                ..CrawlersConfig::default()
            };
            match args.clips {
                true => crawlers::export_clips(&config, args.rows, &args.output)?,
                false => crawlers::export_frames(&config, args.rows, &args.output)?,
            }
        }
    };
    say!("{}", path.display());
    Ok(Done::Well)
}

fn write(task: &dyn Dataset, args: &DataExport) -> Result<PathBuf, Failure> {
    let rows = (0..task.len()).map(|row| task.get(row));
    Ok(write_jsonl(rows, &args.output)?)
}
