//! Options of the judge.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::shared::reward_arg::RewardArg;

/// Who judges, and how.
#[derive(Debug, Clone, Args)]
pub struct JudgeArgs {
    /// Who judges: the image's annotations, a verifier, a local model, or a model on a server.
    #[arg(long, value_enum)]
    pub judge: JudgeKind,
    /// For annotations: COCO instances files; name every split that has an image (may be repeated).
    #[arg(long, value_name = "INSTANCES.json")]
    pub instances: Vec<PathBuf>,
    /// For annotations: COCO captions files; what they mention is in the image too (may be repeated).
    #[arg(long, value_name = "CAPTIONS.json", requires = "instances")]
    pub references: Vec<PathBuf>,
    /// For annotations: column of the rows that lists the image's objects, instead of --instances.
    #[arg(long, value_name = "COLUMN", conflicts_with = "instances")]
    pub objects: Option<String>,
    /// For annotations: your own word list, one class per line, its name first, separated by commas (default: CHAIR's
    /// words for COCO's 80 classes).
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// For a verifier: reward function, by name, as a table with options, or a Python file (may be repeated: weights are
    /// those of the tables).
    #[arg(long, value_name = "NAME|TABLE|FILE.py")]
    pub reward: Vec<RewardArg>,
    /// For a local model: its folder or id. It may be --model itself.
    #[arg(long, value_name = "DIR")]
    pub judge_model: Option<PathBuf>,
    /// For a model on a server: OpenAI-compatible server.
    #[arg(long, value_name = "URL", requires = "judge_api_model")]
    pub judge_endpoint: Option<String>,
    /// Judge's name as its server knows it.
    #[arg(long, value_name = "NAME", requires = "judge_endpoint")]
    pub judge_api_model: Option<String>,
    /// For models: what splits an answer into claims, its sentences or the judge (RLAIF-V).
    #[arg(long, value_enum, default_value_t = Claims::Sentences)]
    pub claims: Claims,
    /// For models: whether a claim is quoted in the question, or the judge makes a question of it (RLAIF-V).
    #[arg(long, value_enum, default_value_t = Questions::Statement)]
    pub questions: Questions,
    /// For models: maximum length of a verdict in tokens.
    #[arg(long, default_value_t = 8)]
    pub judge_max_tokens: usize,
    /// For models: judge by the text of the verdict alone, not by p(yes) > p(no); for servers that refuse
    /// `top_logprobs`.
    #[arg(long)]
    pub no_judge_logprobs: bool,
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JudgeKind {
    /// Objects that an answer names against those of the image.
    Annotations,
    /// A reward function on whole answers.
    Verifier,
    /// A local model, claim by claim.
    Model,
    /// A model on a server, claim by claim.
    Endpoint,
}

/// What splits an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Claims {
    /// Its sentences and the entries of its lists.
    Sentences,
    /// The judge lists its facts.
    Model,
}

/// What makes a question of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Questions {
    /// The claim is quoted.
    Statement,
    /// The judge rewrites it.
    Model,
}
