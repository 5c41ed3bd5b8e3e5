//! Causal-HalBench: does a model look, or does it guess from what usually comes together?
//!
//! One object of a picture (the target) is replaced by another that rarely keeps its company. Asked again
//! about what stayed, what came and what was never there, a model that looks answers as before:
//!
//! | metric | formula | question (truth) | a high value means |
//! |---|---|---|---|
//! | CAC | `Acc(X, ctx) − Acc(X_cf, ctx)` | contextual object, kept (yes, yes) | recognised by its company |
//! | AAC | `Acc(X_cf, abs) − Acc(X, abs)` | absent object (no, no) | the target called it up |
//! | CHR | `1 − Acc(X_cf, cf)` | counterfactual object (yes) | the unexpected is denied |
//! | CPR | pairs with both answers right | contextual; absent | (higher is better) |
//!
//! `X` the originals, `X_cf` the edits. AAC is called `nac` in the authors' code. A model that is wrong on
//! both sides has small differences: read them beside the accuracies. Answers are read as "yes" where they
//! contain it, as the authors do ([`Reading`]).
//!
//! Values are those of the authors' `metric.py` (compared on `tests/golden/causal.json`), with one choice of
//! ours: intervals resample originals, each with all its edits, because its questions are not independent.
//! Source: arXiv 2511.10268 and the repository `zhexu-ustc/Causal-HalBench`.

mod breakdown;
mod error;
mod files;
mod metrics;
mod names;
mod question;
mod reading;
mod scenes;

pub use breakdown::{Group, by_object, by_pair, object_of};
pub use error::CausalError;
pub use files::{questions, records};
pub use metrics::{Metrics, measure, paired};
pub use names::original_of;
pub use question::{Answer, Answered, Kind, Question, Tag};
pub use reading::Reading;
pub use scenes::write_scenes;
