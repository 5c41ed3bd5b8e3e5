//! Building a counterfactual benchmark in the manner of Causal-HalBench (arXiv 2511.10268) from a
//! folder of images with COCO annotations.
//!
//! ```text
//! statistics → roles → choice → edit → quality → questions → dataset
//! ```
//!
//! Each step reads the rows of the one before it, decides about each, and writes
//! `OUT/steps/NN-name.jsonl`: one row for each decision, `kept` with what was decided or `dropped`
//! with the reason. A step that was stopped goes on where it stopped; the same inputs, settings and
//! seed give the same files bit for bit, however often it was stopped. A step is done again when
//! its settings or what it reads changed.
//!
//! The official scripts (`zhexu-ustc/Causal-HalBench`, without a licence, so nothing of them is
//! copied) leave parts out; where they do, or where they err, [`BuildConfig`] and the modules say
//! what is done here and which option brings the original behaviour back.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
mod card;
mod catalogue;
mod config;
mod error;
mod masks;
mod names;
mod page;
mod pictures;
mod prompts;
mod redetect;
mod rows;
mod scene;
mod step;
mod steps;
mod tally;

pub use build::{Build, Outcome, build};
pub use config::{AbsentRule, BuildConfig, ImageFormat};
pub use error::BuildError;
pub use names::base_name;
pub use percept_steps::{Progress, Row};
pub use redetect::Redetector;
pub use rows::{Checks, Choice, CutoutSource, EditRecord, Pair, Questions, Role, Weight};
pub use step::Step;
pub use steps::statistics::{ClassCount, Statistics};
pub use tally::Tally;
