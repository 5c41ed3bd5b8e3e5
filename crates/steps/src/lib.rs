//! Work in numbered steps that may be stopped at any moment: each step reads the rows of the one before it, decides about
//! each, and writes `OUT/steps/NN-name.jsonl`. A step that was stopped goes on where it stopped; the same inputs and
//! settings give the same files bit for bit, however often it was stopped. A step is done again when its settings or what
//! it reads changed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod decide;
mod error;
mod folder;
mod hash;
mod lines;
mod progress;
mod reasons;
mod row;
mod step_id;

pub use decide::{Work, decide};
pub use error::{StepError, io};
pub use folder::{Done, Folder};
pub use hash::{draw, file_sha256, sha256};
pub use lines::{line, lines};
pub use progress::Progress;
pub use reasons::{kind, reasons};
pub use row::Row;
pub use step_id::StepId;
