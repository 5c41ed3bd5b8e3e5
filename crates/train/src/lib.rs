//! Training: a recipe in, a run folder out.
//!
//! [`run()`] goes through the stages of a [`Recipe`]: supervised fine-tuning ([`SftConfig`]), then
//! preference optimisation ([`DpoConfig`]), then reinforcement learning with verifiable rewards
//! ([`RlConfig`]), each followed by an evaluation.
//! The reinforcement-learning step, `stages/rl/mod.rs`, reads from top to bottom.
//!
//! Two seams: a [`Policy`] is what is trained, wherever its weights are ([`Learner`]: here), and a stage (`run/stage.rs`)
//! is a name, a number of steps and one step. A new stage is a folder, a table of the recipe, and a line in
//! `stages/mod.rs`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod error;
mod locate;
mod policy;
mod reasons;
mod recipe;
mod run;
mod source;
mod stages;

pub use batch::pack::{MicroBatch, PackItem, Packed, micro_batches, pack};
pub use batch::score::{Scores, score};
pub use batch::together::{Incomplete, incomplete_groups};
pub use error::Error;
pub use locate::{Located, locate, locate_adapter};
pub use policy::local::Learner;
pub use policy::schedule::learning_rate;
pub use policy::values::{
    Objective, Pass, PassOptions, ReferenceSource, ScoreOptions, TokenValues, Update, Weights,
};
pub use policy::{LocalModel, Policy};
pub use recipe::file::{load, parse};
pub use recipe::methods::with_method;
pub use recipe::parts::{
    AlgorithmConfig, EvalConfig, OldLogProb, OptimConfig, RlConfig, RolloutConfig, Schedule,
    TopKAnnealing,
};
pub use recipe::preference::{DpoConfig, PreferenceOptions};
pub use recipe::supervised::{MaskSpan, SftConfig};
pub use recipe::tables::{
    DataConfig, DigitSumTask, MetricNames, ModelSource, Recipe, TrainerConfig,
};
pub use run::begin::{Outcome, Start, run};
pub use run::memory::{MemoryEstimate, RowLengths, available_memory, estimate_memory};
pub use run::observer::{Event, Metrics, Observer, Silent};
pub use run::state::StoredEvaluation;
pub use run::warning::WarningKind;
pub use source::{
    Data, load_located, load_model, open_data, open_model, open_pairs, open_rewards, reads_column,
};
pub use stages::dpo::lengths::{PairCost, pair_cost};
