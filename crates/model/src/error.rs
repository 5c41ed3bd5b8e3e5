//! What can go wrong with a model, its files and its input.

use std::path::Path;

/// An error of this crate: what, where, what was expected, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// Weights, adapters and their files.
    #[error(transparent)]
    Weights(#[from] percept_weights::Error),
    /// A batch or prompt does not fit the model.
    #[error("{field}: {message}")]
    Batch {
        /// The field of the batch or prompt.
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
         {max_prompt_length} are allowed\n  help: raise data.max_prompt_length{}",
        fewer_tokens(*vision)
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
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let error = percept_weights::Error::io(path);
        move |source| Self::Weights(error(source))
    }

    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self + use<> {
        let error = percept_weights::Error::json(path);
        move |source| Self::Weights(error(source))
    }

    /// A checkpoint folder or one of its files is unusable.
    pub fn checkpoint(path: &Path, message: impl Into<String>) -> Self {
        Self::Weights(percept_weights::Error::checkpoint(path, message))
    }

    pub(crate) fn batch(field: &'static str, message: impl Into<String>) -> Error {
        Error::Batch {
            field,
            message: message.into(),
        }
    }
}

/// What makes the part of a prompt shorter that is pictures.
fn fewer_tokens(vision: usize) -> &'static str {
    match vision {
        0 => "",
        _ => {
            ", or lower data.max_pixels so that images take fewer tokens (not for models whose images all have one size, as \
             LLaVA-1.5's)"
        }
    }
}
