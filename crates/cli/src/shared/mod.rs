//! What commands share: options, opening models and data, output, progress. Knows no command.

pub mod answerer;
pub mod asked_model;
pub mod attention_arg;
pub mod chat_model;
mod done;
pub mod edit_args;
pub mod endpoint_args;
mod failure;
mod global;
pub mod judging;
pub mod memory_args;
pub mod model_args;
pub mod open;
pub mod output;
pub mod progress;
pub mod quickstart_recipe;
pub mod reward_arg;
pub mod run_args;
pub mod sampling;
pub mod sampling_args;
mod step_progress;
mod subcommands;
pub mod table;
pub mod training;

pub use done::Done;
pub use failure::Failure;
pub use global::Global;
pub use step_progress::step_progress;

pub(crate) use subcommands::subcommands;
