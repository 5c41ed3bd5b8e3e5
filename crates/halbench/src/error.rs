//! Why a benchmark was not built.

/// Why building stopped. What was finished stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Annotations or an image that cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// A picture of the report.
    #[error(transparent)]
    Thumbnail(#[from] percept_eval::ThumbnailError),
    /// An editor or scorer that failed.
    #[error(transparent)]
    Vision(#[from] percept_vision::Error),
    /// A model that did not answer.
    #[error(transparent)]
    Chat(#[from] percept_chat::ChatError),
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] percept_base::files::FileError),
    /// The files of a step.
    #[error(transparent)]
    Steps(#[from] percept_steps::StepError),
    /// A setting that means nothing.
    #[error("{field} is {found}; expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Nothing is left to build from.
    #[error(
        "{step} kept nothing of {rows} rows; the reason most often given: {reason}\n  help: {help}"
    )]
    Nothing {
        /// The step.
        step: &'static str,
        /// Rows that it read.
        rows: usize,
        /// Why most of them were dropped.
        reason: String,
        /// What to do.
        help: &'static str,
    },
}
