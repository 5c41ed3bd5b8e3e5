//! What ends a collection.

use percept_base::files::FileError;
use percept_chat::ChatError;

/// What ends a collection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model that answers or judges.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A row or picture that was readable before.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// Annotations.
    #[error(transparent)]
    Annotations(#[from] percept_benchmarks::Error),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// Writing.
    #[error("cannot write: {0}")]
    Io(#[from] std::io::Error),
    /// An option outside its range.
    #[error("{option} {found}: expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}
