//! Why an evaluation stopped.

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
    /// A file that cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A picture that cannot be kept.
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
