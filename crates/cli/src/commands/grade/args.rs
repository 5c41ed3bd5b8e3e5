//! The command line of `percept grade`.

use std::path::PathBuf;

use clap::Args;

use crate::shared::reward_arg::RewardArg;

/// Grade given completions with reward functions, to test a reward before training on it.
#[derive(Debug, Args)]
#[command(
    after_help = "Input rows: `completion` (text, a list of texts, or messages) and `answer` (or what
training reads). Used where they are there: prompt, id, n_tokens, finish_reason, and all other
columns by Python functions and commands. `right` (true or false) is what a person says about
the completion: the summary then shows how far the verifier agrees, by `kind` if there is one.

Output rows: row (its line), id, verdict (right, wrong, ungraded), score, reason, extracted (what
was taken for the answer), answer; with several functions the verdict is the first one's, and
total and parts hold all.

Exit code: 0 when rows were graded, whatever the verdicts; 1 when no row could be graded, or
with --strict when any could not.

Examples:
  percept grade --reward math --input answers.jsonl --output graded.jsonl
  percept grade --reward my_reward.py:accuracy_reward --input answers.jsonl --output graded.jsonl
  percept grade --reward '{ name = \"iou\", threshold = 0.5 }' --input boxes.jsonl
  percept grade --recipe recipe.toml --input rollouts.parquet --output graded.jsonl --strict
  percept generate --model DIR --input questions.jsonl | percept grade --input - --reward choice"
)]
pub struct Grade {
    /// A name (accuracy, math, exact, choice, iou, format, length), a table with options, or a Python
    /// file, f.py or f.py:function. May be repeated. Default: the recipe's functions, else accuracy.
    #[arg(long, value_name = "NAME|TABLE")]
    pub reward: Vec<RewardArg>,
    /// Recipe file (TOML): its reward functions and its data.columns.
    #[arg(long)]
    pub recipe: Option<PathBuf>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "recipe")]
    pub set: Vec<String>,
    /// Rows (.jsonl, .json, .parquet); - reads JSON lines from standard input.
    #[arg(long)]
    pub input: PathBuf,
    /// Output file, JSONL (default: standard output; the summary then goes to standard error).
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Column of the completions. Default: completion, completions, response, output, or the recipe's
    /// expert.
    #[arg(long, value_name = "COLUMN")]
    pub completion: Option<String>,
    /// Column of the right answers. Default: the recipe's, else as training finds it.
    #[arg(long, value_name = "COLUMN")]
    pub answer: Option<String>,
    /// Completions that score at least this much are called right.
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    pub threshold: f64,
    /// Exit with 1 if any row cannot be read or graded.
    #[arg(long)]
    pub strict: bool,
    /// Maximum number of bad rows and disagreements listed (0: all).
    #[arg(long, default_value_t = 20)]
    pub most: usize,
}
