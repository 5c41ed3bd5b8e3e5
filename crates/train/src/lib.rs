//! Training: a recipe in, a run folder out.
//!
//! [`run()`] goes through the stages of a [`Recipe`]: supervised fine-tuning ([`SftConfig`]), then
//! reinforcement learning with verifiable rewards ([`RlConfig`]), each followed by an evaluation.
//! The reinforcement-learning step is one file, `rl.rs`, and reads from top to bottom.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod balance;
mod changes;
mod checkpoint;
mod dynamic_sampling;
mod error;
mod experts;
mod foreign_keys;
mod group;
mod learner;
mod locate;
mod memory;
mod methods;
mod moments;
mod names;
mod observer;
mod order;
mod pack;
mod reasons;
mod recipe;
mod recipe_check;
mod recipe_file;
mod recipe_idle;
mod recipe_parts;
mod recipe_paths;
mod recipe_schema;
mod recipe_sizes;
mod records;
mod refused;
mod requirements;
mod rl;
mod rl_metrics;
mod run;
mod sampled;
mod schedule;
mod score;
mod sft;
mod signals;
mod source;
mod state;
mod summary;
mod update_metrics;
mod visual_entropy;
mod warn;
mod watch;

pub use error::Error;
pub use learner::{Learner, Objective, TokenValues, Update};
pub use locate::{Located, locate, locate_adapter};
pub use memory::{MemoryEstimate, RowLengths, available_memory, estimate_memory};
pub use methods::with_method;
pub use observer::{Event, Metrics, Observer, Silent, Stage};
pub use pack::{MicroBatch, PackItem, Packed, micro_batches, pack};
pub use recipe::*;
pub use recipe_file::{load, parse};
pub use run::{Outcome, Start, run};
pub use schedule::learning_rate;
pub use score::score;
pub use source::{
    Data, load_located, load_model, open_data, open_model, open_rewards, reads_column,
};
pub use state::{State, StoredEvaluation};
pub use watch::{Warning, WarningKind, Watch};
