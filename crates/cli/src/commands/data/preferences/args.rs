//! Arguments of `percept data preferences`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept_preferences::LengthLimit;

use super::judge_args::JudgeArgs;
use crate::shared::endpoint_args::{AllowImages, CallArgs, EndpointArgs};

/// Make preference pairs from a model's own answers: sample several, judge their claims, pair those whose scores differ.
#[derive(Debug, Args)]
#[command(
    after_help = "As RLAIF-V makes them: a claim is a sentence, a fact or an object of an answer; an answer's score is minus
the number of its claims that the judge rejects (or a verifier's reward); answers to one prompt whose
scores differ by --min-gap are a pair. OUT is a file (round-1.jsonl, the others beside it) or a folder:
preferences.jsonl (TRL's conversational pairs, with claims and scores of both sides), candidates.jsonl
(every answer, claim and verdict), skipped.jsonl (rows without a pair, and why), summary.json, and two
journals from which a stopped command, started again, goes on. The key of a server comes from
PERCEPT_API_KEY or OPENAI_API_KEY and is written nowhere.

Examples:
  percept data preferences --data coco.jsonl --model DIR --judge annotations \\
      --instances instances_val2014.json --references captions_val2014.json --out round-1
  percept data preferences --data questions.jsonl --model DIR --judge model --judge-model LABELLER --out round-1
  percept data preferences --data questions.jsonl --model DIR --judge endpoint \\
      --judge-endpoint http://localhost:8000 --judge-api-model Qwen/Qwen2.5-VL-72B-Instruct \\
      --claims model --questions model --max-shortening auto --out round-1
  percept data preferences --data math.jsonl --model DIR --judge verifier --reward math --out pairs.jsonl",
    mut_arg("endpoint", |arg| arg.required_unless_present("model"))
)]
pub struct DataPreferences {
    /// Data files with the prompts (may be repeated). Answers that they have already are not used.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// Folder that relative image paths start from (default: the data file's own folder).
    #[arg(long, value_name = "DIR")]
    pub image_dir: Option<PathBuf>,
    /// A model on a server, whose answers are paired.
    #[command(flatten)]
    pub server: EndpointArgs,
    /// A local model: Hugging Face folder, run folder, or id in the local Hugging Face cache.
    #[arg(long, conflicts_with = "endpoint")]
    pub model: Option<PathBuf>,
    /// LoRA adapter folder (PEFT format) on top of it.
    #[arg(long, requires = "model")]
    pub adapter: Option<PathBuf>,
    /// Device of --model and --judge-model: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Output: a file that ends in .jsonl, or a folder.
    #[arg(long, value_name = "FILE|DIR")]
    pub out: PathBuf,
    /// Answers sampled per row (RLAIF-V: 10).
    #[arg(long, default_value_t = 10)]
    pub num_generations: usize,
    /// Sampling temperature (RLAIF-V: 0.7).
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f32,
    /// Nucleus sampling: keep the likeliest tokens whose probabilities sum to this (1: off).
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Maximum length of an answer in tokens (RLAIF-V: 512).
    #[arg(long, default_value_t = 512)]
    pub max_tokens: usize,
    /// Text that ends an answer (may be repeated).
    #[arg(long)]
    pub stop: Vec<String>,
    /// Random seed of answers and pairs; sent to a server only if given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// System message for the answers; it is not written to the rows.
    #[arg(long)]
    pub system: Option<String>,
    /// Judge also answers that were cut at --max-tokens (by default they are left out: a model that learns from
    /// them learns not to end).
    #[arg(long)]
    pub keep_cut: bool,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Who judges.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Smallest difference of scores in a pair.
    #[arg(long, default_value_t = 1.0)]
    pub min_gap: f64,
    /// Between answers of equal score: no pair, or the one that names more objects of the image is better
    /// (--judge annotations).
    #[arg(long, value_enum, default_value_t = Tie::None)]
    pub tie_break: Tie,
    /// Which of the possible pairs of a row are taken: random ones (RLAIF-V), or the best answer with the worst.
    #[arg(long, value_enum, default_value_t = Choice::Random)]
    pub pairs: Choice,
    /// Maximum number of pairs per row (0: all).
    #[arg(long, default_value_t = 2)]
    pub pairs_per_row: usize,
    /// Drop pairs whose chosen answer is shorter by more than this share of the rejected one, in words; auto: the
    /// share at which their mean lengths differ least (RLAIF-V); off: none. A judge that counts faults prefers short
    /// answers.
    #[arg(long, value_name = "SHARE|auto|off", default_value = "off", value_parser = shortening)]
    pub max_shortening: LengthLimit,
    /// From where images may be sent.
    #[command(flatten)]
    pub allow: AllowImages,
    /// How a server is asked.
    #[command(flatten)]
    pub calls: CallArgs,
    /// Maximum number of sequences that --model and --judge-model decode at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
}

/// What decides between equal scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tie {
    /// Nothing.
    None,
    /// Objects of the image that are named.
    Coverage,
}

/// Which pairs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// Drawn at random.
    Random,
    /// The best answer with the worst: one pair per row.
    BestWorst,
}

/// `off`, `auto` or a share.
fn shortening(text: &str) -> Result<LengthLimit, String> {
    let share = |text: &str| text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    match text {
        "off" => Ok(LengthLimit::Off),
        "auto" => Ok(LengthLimit::Auto),
        text => share(text)
            .map(LengthLimit::Share)
            .ok_or_else(|| "expected off, auto, or a share from 0 up to 1".to_owned()),
    }
}
