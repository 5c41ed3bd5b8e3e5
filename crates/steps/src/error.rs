//! What went wrong with the files of a step.

use std::path::Path;

/// What went wrong with the files of a step. What was finished stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] percept_base::files::FileError),
    /// A file of a step that is not what the step wrote, or that the disk refuses.
    #[error("{path}{}: {what}\n  help: {help}", row.map_or(String::new(), |row| format!(":{row}")))]
    Step {
        /// The file.
        path: String,
        /// Its line.
        row: Option<usize>,
        /// What is wrong with it.
        what: String,
        /// What to do.
        help: &'static str,
    },
}

/// An error of the disk, with the file.
pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StepError {
    let path = path.display().to_string();
    move |e| StepError::Step {
        path,
        row: None,
        what: e.to_string(),
        help: "check that the folder is there and writable",
    }
}
