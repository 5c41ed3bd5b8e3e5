//! Arguments of `percept eval long`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::output::OutputArgs;
use crate::shared::memory_args::MemoryArgs;
use crate::shared::model_args::ModelArgs;

/// Long texts: needle in a haystack, RULER's synthetic tasks, perplexity.
#[derive(Debug, Args)]
#[command(after_help = "Tasks:
  needle        a magic number at --depths depths of texts of each --length; a heat map
  ruler-subset  RULER's needle, variable tracking, common and frequent words tasks in its words;
                those that need an essay are skipped without --text
  ppl           perplexity of --text in sliding windows

Without --text, haystacks are RULER's noise sentences. Decoding is greedy.

Examples:
  percept eval long --model DIR --task needle --length 4096,8192,16384,32768 --output runs/needle
  percept eval long --model DIR --task ruler-subset --length 32768 --text essays.txt --samples 50
  percept eval long --model DIR --task ppl --length 32768 --text book.txt --attention phsa")]
pub struct LongArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// What is measured.
    #[arg(long, value_enum)]
    pub task: Task,
    /// Context length in tokens: text, question and answer; for ppl, the window.
    #[arg(long, value_delimiter = ',', default_value = "4096")]
    pub length: Vec<usize>,
    /// Text file: the haystack's sentences; for ppl, the text to score.
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Number of questions per RULER task, or per cell of the needle grid.
    #[arg(long, default_value_t = 5)]
    pub samples: usize,
    /// Number of needle depths, from the beginning to the end of the text.
    #[arg(long, default_value_t = 11)]
    pub depths: usize,
    /// Tokens from one window of ppl to the next (default: half of --length).
    #[arg(long)]
    pub stride: Option<usize>,
    /// Maximum length of an answer in tokens (default: the task's).
    #[arg(long)]
    pub max_tokens: Option<usize>,
    /// Use the model's chat template (default: plain-text continuation).
    #[arg(long)]
    pub apply_chat_template: bool,
    /// Random seed of texts and needles.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Maximum number of sequences decoded at once.
    #[arg(long, default_value_t = 8)]
    pub max_num_seqs: usize,
    /// Memory of keys and values.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// A needle in a haystack.
    Needle,
    /// RULER's synthetic tasks.
    RulerSubset,
    /// Perplexity.
    Ppl,
}
