//! What can go wrong with weights and their files.

use std::path::{Path, PathBuf};

/// An error of this crate: what, where, what was expected, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not JSON, or its JSON is not of the expected form.
    #[error("{}: not the JSON that was expected: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A field of a configuration is missing, of the wrong type or of a value percept cannot run.
    #[error("{file}, {field}: {message}")]
    Config {
        /// The file or struct, for example `config.json`.
        file: String,
        /// The field, as a path: `text_config.hidden_size`.
        field: String,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// A checkpoint folder or one of its files is unusable.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// One tensor of a checkpoint is unusable.
    #[error("{}, tensor {name}: {message}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What was found and what was expected.
        message: String,
    },
    /// LoRA adapters cannot be made, read or written as asked.
    #[error("LoRA, {field}: {message}")]
    Lora {
        /// The field of the adapter's configuration.
        field: &'static str,
        /// What was found and what was expected.
        message: String,
    },
}

impl Error {
    /// What makes an error of this file or folder of what the system said.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// What makes an error of this file of what the JSON reader said.
    pub fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Json { path, source }
    }

    /// A checkpoint folder or one of its files is unusable.
    pub fn checkpoint(path: &Path, message: impl Into<String>) -> Self {
        Self::Checkpoint {
            path: path.to_path_buf(),
            message: message.into(),
        }
    }
}
