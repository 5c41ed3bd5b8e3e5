//! Why a data set cannot be used.

use std::path::PathBuf;

/// Why a data set or a file of answers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CausalError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file with other content.
    #[error("{path}: {source}\n  help: expected {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
        /// What would do.
        expected: &'static str,
    },
    /// Two questions with one number on one pair of pictures.
    #[error(
        "{path}: question {id} of {image} occurs twice\n  help: ids number the questions through the file"
    )]
    Twice {
        /// The file.
        path: PathBuf,
        /// The number.
        id: u64,
        /// Its picture.
        image: String,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] percept_base::files::FileError),
    /// No question at all.
    #[error("{path}: no questions")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}
