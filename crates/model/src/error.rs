//! What can go wrong with a model, its files and its input.

use std::path::PathBuf;

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
    /// `config.json` names an architecture that percept does not have.
    #[error("{file}: architecture {found:?} is not supported\n  help: supported are {supported}")]
    UnknownArchitecture {
        /// The file.
        file: String,
        /// The name found.
        found: String,
        /// The names that are known.
        supported: String,
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
    /// A batch or prompt does not fit the model.
    #[error("{field}: {message}")]
    Batch {
        /// The field of the batch or prompt.
        field: &'static str,
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
    /// Tokenizer, chat template or prompt building failed.
    #[error("{what}: {message}")]
    Processor {
        /// The file or the part of the sample.
        what: String,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// A prompt has more tokens than the recipe allows.
    #[error(
        "{sample}: prompt of {tokens} tokens, {vision} of images and videos; at most \
         {max_prompt_length} are allowed\n  help: raise data.max_prompt_length, or lower \
         data.max_pixels so that images take fewer tokens"
    )]
    PromptTooLong {
        /// The sample's id.
        sample: String,
        /// Tokens of the prompt.
        tokens: usize,
        /// Those of images and videos among them.
        vision: usize,
        /// The limit.
        max_prompt_length: usize,
    },
    /// Media or rows of a data set.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// Layouts, options of attention, data types.
    #[error(transparent)]
    Kernel(#[from] percept_kernels::Error),
}

impl Error {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, source }
    }

    pub(crate) fn checkpoint(path: &std::path::Path, message: impl Into<String>) -> Error {
        Error::Checkpoint {
            path: path.to_path_buf(),
            message: message.into(),
        }
    }

    pub(crate) fn batch(field: &'static str, message: impl Into<String>) -> Error {
        Error::Batch {
            field,
            message: message.into(),
        }
    }
}
