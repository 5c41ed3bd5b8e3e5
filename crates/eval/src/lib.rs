//! Measuring a model: data set, verifier, numbers with intervals and a record of every response.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accuracy;
pub mod causal;
mod compare;
pub mod direction;
pub mod halbench;
pub mod hallucination;
pub mod long;
mod pictures;
pub mod scm;
mod stats;
mod thumbnail;

pub use accuracy::{Evaluation, Part, Record, evaluate, evaluate_with, question_type, summarise};
pub use compare::{Curve, Point, paired_difference};
pub use pictures::keep_pictures;
pub use stats::{Estimate, estimate};
pub use thumbnail::{ThumbnailError, thumbnail};

/// Why an evaluation stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row that cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// A row that cannot be turned into a prompt.
    #[error(transparent)]
    Model(#[from] percept_model::Error),
    /// Sampling failed.
    #[error(transparent)]
    Rollout(#[from] percept_sampler::Error),
    /// A benchmark's file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row of a benchmark's file that does not fit.
    #[error("{place}: {found}; expected {expected}")]
    Row {
        /// File and line, or the thing it is about.
        place: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
}
