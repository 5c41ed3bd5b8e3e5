//! Visual pairs: for a picture and an answer, a second picture with which the same answer is worse.
//!
//! AdaViP (arXiv 2504.15619) takes away what the answer talks about:
//!
//! ```text
//! rows → tags → boxes → masks → candidates → choice → pairs
//! ```
//!
//! one candidate for each tag, and of them the one that a text–picture scorer finds least like the answer. Its rivals ruin
//! the picture without looking at it (`rows → pictures → pairs`): a random crop (mDPO), diffusion noise (CHiP), masked
//! patches (OPA-DPO), a blank picture, another row's picture.
//!
//! Each step writes what it decided about each row, or why it left the row out; see [`percept_steps`]. A row that gets no
//! picture is kept where it has two answers, as a pair of them alone, and said.
//!
//! The paper's digests name no thresholds, no dilation and no rule for several instances or an empty detection:
//! [`PairsConfig`] has them as options, with our reading as defaults.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod build;
mod config;
mod error;
mod finish;
mod guard;
mod method;
mod objects;
mod overlay;
mod page;
mod pictures;
mod records;
mod results;
mod ruins;
mod run;
mod step;
mod steps;
mod tally;
mod tools;
mod turns;
mod vlm;

pub use build::build;
pub use config::PairsConfig;
pub use error::PairsError;
pub use method::Method;
pub use objects::ObjectScorer;
pub use records::{
    BoxRecord, CandidateFile, CandidateMask, ChoiceRecord, MaskRecord, PictureRecord, Scored,
    SourceRow, TagRecord,
};
pub use run::Build;
pub use step::Step;
pub use tally::{Outcome, StepTally};
pub use tools::Tools;
pub use vlm::{ModelDetector, ModelScale, ModelTagger};
