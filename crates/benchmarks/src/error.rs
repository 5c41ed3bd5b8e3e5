//! What a benchmark's files can have wrong.

/// Why a benchmark cannot be read or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Texts that the model's tokenizer refuses.
    #[error(transparent)]
    Model(#[from] percept_model::Error),
    /// A picture or annotation that cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row that does not fit.
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
