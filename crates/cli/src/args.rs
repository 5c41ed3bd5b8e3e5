//! The command line: verbs, options and the examples that `--help` shows.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::Bench;
use crate::expert::DataExpert;
use crate::questions::QuestionArgs;
use crate::shared_args::{ExtrapolateArgs, Global, ModelArgs, SamplingArgs};

/// Train vision-language models to reason from what they see, and measure them.
#[derive(Debug, Parser)]
#[command(
    name = "percept",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  percept quickstart                                  train a small model on digit-sum, end to end
  percept train recipe.toml --set rl.optim.lr=2e-6    train your model on your data
  percept train recipe.toml --resume                  go on where a killed run stopped
  percept eval --model DIR --data test.jsonl --reward math
  percept view runs/quickstart                        look at curves and rollouts")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Heading under which a command's help lists them, behind its own options.
/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a small vision-language model on the built-in task: warm start, GRPO, evaluation, report.
    Quickstart(Quickstart),
    /// Train a model as a recipe says: supervised fine-tuning, reinforcement learning, evaluation.
    Train(Train),
    /// Print a recipe with every option, its value, its default and its documentation.
    Config(Config),
    /// Check a data set, write a built-in task as files, collect verified answers of a strong model.
    #[command(subcommand)]
    Data(Data),
    /// Sample responses.
    Generate(Box<Generate>),
    /// Grade given completions with reward functions, to test a reward before training on it.
    Grade(Box<crate::grade::Grade>),
    /// Compute log-probabilities and entropies of given completions, per token.
    Score(Score),
    /// Measure accuracy on data with verifiable answers, or run a published benchmark.
    Eval(Box<Eval>),
    /// Build object-hallucination benchmarks from annotated images.
    #[command(subcommand)]
    Halbench(crate::halbench::Halbench),
    /// Train several methods on the same data, seeds and token budget, and compare them.
    Compare(Compare),
    /// Analyse what training changed.
    #[command(subcommand)]
    Analyze(Analyze),
    /// Benchmark this machine: operators, training steps, sampling; next to PyTorch where it is installed.
    Bench(Bench),
    /// Write or serve the report of a run.
    View(View),
    /// Merge a LoRA adapter into its base model.
    Merge(Merge),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `percept quickstart`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept quickstart
  percept quickstart --set trainer.seed=1 --output runs/seed1")]
pub struct Quickstart {
    /// Run folder.
    #[arg(long, default_value = "runs/quickstart")]
    pub output: PathBuf,
    /// A run of about a minute that still has to learn something (used by CI).
    #[arg(long)]
    pub short: bool,
    /// Device: cpu, or vulkan:0, cuda:0, … (sets trainer.device).
    #[arg(long)]
    pub device: Option<String>,
    /// Override a field of the built-in recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// End the run at its first warning, with a checkpoint and exit code 1 (sets trainer.strict).
    #[arg(long)]
    pub strict: bool,
    /// Resume a run that was stopped or killed.
    #[arg(long)]
    pub resume: bool,
    /// Delete the run folder first if it exists.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
}

/// `percept train`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept train recipe.toml
  percept train recipe.toml --set rl.optim.lr=2e-6 --set trainer.seed=3
  percept train recipe.toml --resume")]
pub struct Train {
    /// Recipe file (TOML); paths in it are relative to it.
    pub recipe: PathBuf,
    /// Device: cpu, or vulkan:0, cuda:0, … (sets trainer.device).
    #[arg(long)]
    pub device: Option<String>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// End the run at its first warning, with a checkpoint and exit code 1 (sets trainer.strict).
    #[arg(long)]
    pub strict: bool,
    /// Resume a run that was stopped or killed.
    #[arg(long)]
    pub resume: bool,
    /// Delete the run folder first if it exists.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
}

/// `percept config`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept config recipe.toml                 every field with its value and documentation
  percept config --quickstart                the built-in recipe
  percept config --schema > recipe.schema.json")]
pub struct Config {
    /// Recipe file (TOML); paths in it are relative to it.
    #[arg(required_unless_present_any = ["schema", "quickstart"])]
    pub recipe: Option<PathBuf>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the JSON Schema of recipes instead.
    #[arg(long)]
    pub schema: bool,
    /// Print the recipe of `percept quickstart`.
    #[arg(long, conflicts_with = "recipe")]
    pub quickstart: bool,
    /// Leave out the documentation and the options that are not set.
    #[arg(long)]
    pub bare: bool,
}

/// `percept data …`
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Read a recipe's whole data set and report every problem; exits with 1 if there is one.
    Check(DataCheck),
    /// Write a built-in task as a JSONL file with PNG images.
    Export(DataExport),
    /// Collect answers of a strong model and keep those that a verifier accepts (column `expert`).
    Expert(Box<DataExpert>),
}

/// `percept data check`
#[derive(Debug, Args)]
pub struct DataCheck {
    /// Recipe file (TOML); paths in it are relative to it.
    pub recipe: PathBuf,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Maximum number of problems listed per kind (0: all).
    #[arg(long, default_value_t = 20)]
    pub most: usize,
}

/// `percept data export`
#[derive(Debug, Args)]
pub struct DataExport {
    /// Task to write.
    #[arg(long, value_enum, default_value_t = Task::DigitSum)]
    pub task: Task,
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
    /// For scenes: contrast of the faint shapes.
    #[arg(long, default_value_t = 0.5)]
    pub contrast: f32,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A built-in task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Questions about handwritten digits.
    DigitSum,
    /// Is this shape in the image? Pictures with planted co-occurrence.
    Scenes,
}

/// `percept generate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept generate --model DIR --image photo.png 'What is in the picture?'
  percept generate --model DIR --image a.png --image b.png 'What is in <image> and not in <image>?'
  percept generate --model DIR --extrapolate BASE --gamma 0.5 --input prompts.jsonl
  percept generate --model DIR --input prompts.jsonl --output answers.jsonl -n 4 --temperature 1")]
pub struct Generate {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The prompt (or use --input). `<image>` says where a picture stands; without it they come first.
    #[arg(required_unless_present = "input")]
    pub prompt: Option<String>,
    /// An image of the prompt (may be repeated).
    #[arg(long)]
    pub image: Vec<PathBuf>,
    /// System message.
    #[arg(long)]
    pub system: Option<String>,
    /// Prompts: a data file in any of the formats that training reads.
    #[arg(long, conflicts_with = "prompt")]
    pub input: Option<PathBuf>,
    /// Output file, JSONL (default: standard output).
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Sampling.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// A second model.
    #[command(flatten)]
    pub extrapolate: ExtrapolateArgs,
}

/// `percept score`
#[derive(Debug, Args)]
#[command(
    after_help = "Input rows: a prompt in any format that training reads, plus `completion` (text).
Output rows: id, tokens, token_ids, log_probs, entropies, sum.

Examples:
  percept score --model DIR --input pairs.jsonl --output scored.jsonl"
)]
pub struct Score {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Data file whose rows have a `completion`.
    #[arg(long)]
    pub input: PathBuf,
    /// Output file, JSONL (default: standard output).
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Temperature of the softmax whose log-probabilities are reported.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
}

/// `percept eval`
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  percept eval --model DIR --data test.jsonl --reward math --output eval/
  percept eval --model DIR --recipe recipe.toml
  percept eval --model DIR --data test.jsonl --reward reward.py --columns '{ answer = \"label\" }'
  percept eval --model DIR --digit-sum 500
  percept eval --model DIR --extrapolate BASE --gamma 0.5 --gate logp:-0.3 --digit-sum 500
  percept eval pope --data POPE/output/coco --images val2014 --model DIR"
)]
pub struct Eval {
    /// A published benchmark instead of data files.
    #[command(subcommand)]
    pub benchmark: Option<crate::benchmark::Benchmark>,
    /// Data files.
    #[command(flatten)]
    pub rows: EvalRows,
}

/// `percept eval` on data files.
#[derive(Debug, Args)]
pub struct EvalRows {
    /// The model.
    #[command(flatten)]
    pub model: Option<ModelArgs>,
    /// Questions and how they are graded.
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Output folder: records.jsonl with every graded response, summary.json, pictures.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Sampling.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// A second model.
    #[command(flatten)]
    pub extrapolate: ExtrapolateArgs,
}

/// `percept compare`
#[derive(Debug, Args)]
#[command(
    after_help = "A method is a part of [algorithm] by its name, or several joined by +:
grpo, dr_grpo, rloo, durian, tgrl, tor, direction, fipo, dapo, gspo, cispo, sapo, ….

Examples:
  percept compare recipe.toml --methods grpo,dapo,tor,fipo,durian,tgrl,direction --seeds 5
  percept compare recipe.toml --baseline dapo --methods dapo+tor,dapo+fipo --seeds 3"
)]
pub struct Compare {
    /// Recipe file (TOML); paths in it are relative to it.
    pub recipe: PathBuf,
    /// Methods, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub methods: Vec<String>,
    /// Method that the others are compared with.
    #[arg(long, default_value = "grpo")]
    pub baseline: String,
    /// Number of seeds per method, starting from trainer.seed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub seeds: u16,
    /// Output folder (runs, results, compare.html); finished runs in it are not repeated.
    #[arg(long, default_value = "runs/compare")]
    pub output: PathBuf,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// End at the first warning of a run, with a checkpoint and exit code 1 (sets trainer.strict).
    #[arg(long)]
    pub strict: bool,
}

/// `percept analyze …`
#[derive(Debug, Subcommand)]
pub enum Analyze {
    /// Which tokens training raised and lowered, and what replacing them does to accuracy.
    Direction(Box<AnalyzeDirection>),
    /// Which tokens of a run's rollouts perceive and which reason (ToR's sets), by question type.
    Tokens(AnalyzeTokens),
}

/// `percept analyze tokens`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept analyze tokens runs/tor
  percept analyze tokens runs/tor --step 100")]
pub struct AnalyzeTokens {
    /// Run folder.
    pub run: PathBuf,
    /// Use only the rollouts of this step.
    #[arg(long)]
    pub step: Option<u64>,
}

/// `percept analyze direction`
#[derive(Debug, Args)]
#[command(
    after_help = "Writes direction.html, summary.json, responses.parquet (both models' numbers of every token) and
replacement.parquet (accuracy by rule and share of tokens replaced).

Examples:
  percept analyze direction --base runs/quickstart/checkpoints/step-001400 \\
      --tuned runs/quickstart --digit-sum 500
  percept analyze direction --base BASE --tuned TUNED --data test.jsonl --reward math --top-p 0.7"
)]
pub struct AnalyzeDirection {
    /// The model before training: Hugging Face folder, run folder, or id in the local Hugging Face cache.
    #[arg(long)]
    pub base: PathBuf,
    /// The model after it.
    #[arg(long)]
    pub tuned: PathBuf,
    /// Device: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Data files: JSONL, JSON or Parquet, in any format that training reads.
    #[arg(long, required_unless_present = "digit_sum")]
    pub data: Vec<PathBuf>,
    /// Use this many held-out questions of the built-in task digit-sum.
    #[arg(long, conflicts_with = "data")]
    pub digit_sum: Option<usize>,
    /// Reward function that grades the responses, by name.
    #[arg(long, default_value = "math")]
    pub reward: String,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Number of responses per question and setting.
    #[arg(long, short, default_value_t = 4)]
    pub n: usize,
    /// Sampling temperature; training samples at 1.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
    /// Nucleus sampling (the paper's runs use 0.7; 1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of a response, in tokens.
    #[arg(long, default_value_t = 512)]
    pub max_tokens: usize,
    /// Maximum number of sequences decoded at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Fractions of tokens to replace.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.01,0.02,0.05,0.1,0.2,0.4"
    )]
    pub shares: Vec<f64>,
    /// Fraction at which the rules are compared.
    #[arg(long, default_value_t = 0.1)]
    pub budget: f64,
    /// Values of gamma to try.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,0.25,0.5,0.75,1,1.25,1.5",
        allow_negative_numbers = true
    )]
    pub gammas: Vec<f32>,
    /// Selective extrapolation: where the base's draft was lowered by at least this (paper: -0.3
    /// to -0.4).
    #[arg(long, default_value_t = -0.3, allow_negative_numbers = true)]
    pub tau: f64,
    /// Only this many of the drafting model's likeliest tokens are drawn in place of a draft
    /// (0: any).
    #[arg(long, default_value_t = 50)]
    pub candidates: usize,
    /// Output folder.
    #[arg(long, default_value = "runs/direction")]
    pub output: PathBuf,
}

/// `percept view`
#[derive(Debug, Args)]
pub struct View {
    /// Run folder.
    pub run: PathBuf,
    /// Serve the report with all rollouts at this address instead of writing report.html.
    #[arg(long, num_args = 0..=1, default_missing_value = "127.0.0.1:7860", value_name = "ADDRESS")]
    pub serve: Option<String>,
}

/// `percept merge`
#[derive(Debug, Args)]
pub struct Merge {
    /// Base model: a folder, a run folder, or an id in the local Hugging Face cache.
    #[arg(long)]
    pub model: PathBuf,
    /// Adapter (PEFT format): a folder, a run folder, or an id.
    #[arg(long)]
    pub adapter: PathBuf,
    /// Output folder.
    #[arg(long)]
    pub output: PathBuf,
}
