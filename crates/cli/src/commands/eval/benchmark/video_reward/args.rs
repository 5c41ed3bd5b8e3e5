//! The options that the benchmarks of video reward models share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::commands::eval::benchmark::output::OutputArgs;
use crate::shared::judging::JudgingArgs;

/// A file of scores and the name of who made them.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedScores {
    /// In the table.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for NamedScores {
    type Err = String;

    /// `NAME=FILE`; a file alone is called as it is.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
            None => {
                let path = PathBuf::from(text);
                let stem = path.file_stem().unwrap_or_default();
                (stem.to_string_lossy().into_owned(), path)
            }
        };
        match name.is_empty() || path.as_os_str().is_empty() {
            true => Err("expected NAME=FILE".to_owned()),
            false => Ok(Self { name, path }),
        }
    }
}

/// Who scores the clips.
#[derive(Debug, Args)]
pub struct ScorerArgs {
    /// Scores of another reward model (may be repeated): rows with `path` (or `video`) and score, VQ, MQ, TA, Overall or
    /// reward_VQ, …, or rows of pairs with path_A, path_B and scores that end in _A and _B; CSV, JSONL, … The clips.jsonl of
    /// percept reward react is such a file.
    #[arg(long, value_name = "NAME=FILE")]
    pub scores: Vec<NamedScores>,
    /// Folder of the clips (default: that of the file of pairs).
    #[arg(long, value_name = "DIR")]
    pub videos: Option<PathBuf>,
    /// Tie constant of the probabilities whose calibration is measured: 5 for REACT and VideoReward.
    #[arg(long, default_value_t = 5.0, value_parser = theta)]
    pub theta: f64,
    /// Who judges the clips besides, and how.
    #[command(flatten)]
    pub judging: JudgingArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn theta(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|e| e.to_string())?;
    match number > 1.0 && number.is_finite() {
        true => Ok(number),
        false => Err("expected a number above 1".to_owned()),
    }
}
