//! The options of questions.

use std::path::PathBuf;

use clap::Args;
use percept_data::ColumnMap;
use serde::Deserialize;

use crate::shared::reward_arg::RewardArg;

/// Questions and how they are graded.
#[derive(Debug, Clone, Args)]
pub struct QuestionArgs {
    /// Recipe file (TOML) whose validation data and reward functions are used; the options below
    /// replace its parts. Sampling options are those of the command line.
    #[arg(long)]
    pub recipe: Option<PathBuf>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "recipe")]
    pub set: Vec<String>,
    /// Data files: JSONL, JSON or Parquet, in any format that training reads (default: the recipe's
    /// data.val_files).
    #[arg(long, required_unless_present_any = ["digit_sum", "recipe"])]
    pub data: Vec<PathBuf>,
    /// Use this many held-out questions of the built-in task digit-sum.
    #[arg(long, conflicts_with = "data")]
    pub digit_sum: Option<usize>,
    /// Column names, as in data.columns of a recipe: '{ prompt = "question", answer = "label" }'.
    #[arg(long, value_name = "TABLE", value_parser = columns)]
    pub columns: Option<ColumnMap>,
    /// Folder that relative image paths start from (default: the data file's own folder).
    #[arg(long, value_name = "DIR")]
    pub image_dir: Option<PathBuf>,
    /// Override the checkpoint's largest image size, in pixels.
    #[arg(long)]
    pub max_pixels: Option<usize>,
    /// Override the checkpoint's smallest image size, in pixels.
    #[arg(long)]
    pub min_pixels: Option<usize>,
    /// Reward function: a name (math, exact, choice, iou, …), a table with options as in a recipe
    /// ('{ name = "math", rel_tolerance = 0.05 }'), or a Python file, reward.py or reward.py:function.
    /// May be repeated; the first one is the accuracy (default: the recipe's functions, else math).
    #[arg(long, value_name = "NAME|TABLE|FILE.py")]
    pub reward: Vec<RewardArg>,
}

/// Column names from a TOML table.
fn columns(text: &str) -> Result<ColumnMap, String> {
    let braces = match text.trim().starts_with('{') {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let outer = toml::from_str::<toml::Table>(&format!("columns = {braces}"));
    let value = outer.map_err(|e| e.message().to_owned())?.remove("columns");
    ColumnMap::deserialize(value.unwrap_or(toml::Value::Boolean(false)))
        .map_err(|e| e.message().to_owned())
}
