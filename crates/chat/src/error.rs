//! Why there is no answer.

use std::path::PathBuf;

use percept_base::LogError;
use percept_http::HttpError;

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An image that cannot be sent.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// The local model could not sample.
    #[error(transparent)]
    Sampling(#[from] percept_sampler::Error),
    /// One sampling error for all requests of a batch.
    #[error("{id}: {message}")]
    Batch {
        /// Row of the request.
        id: String,
        /// The error of its batch.
        message: String,
    },
    /// A recording without this request.
    #[error("{id} is not in the recording {}", path.display())]
    Unrecorded {
        /// Row of the request.
        id: String,
        /// The recording.
        path: PathBuf,
    },
    /// The file of answers.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The model gave fewer answers than it got requests.
    #[error("the model gave no answer to a request")]
    Silent,
}

impl ChatError {
    /// Whether every other request would meet the same: a wrong key, no such model, no credit, a
    /// full disk.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Http(error) => error.is_final(),
            // A prompt that the model cannot read says nothing of the others.
            Self::Sampling(percept_sampler::Error::Model(_)) => false,
            Self::Log(_) | Self::Silent | Self::Batch { .. } | Self::Sampling(_) => true,
            Self::Data(_) | Self::Unrecorded { .. } => false,
        }
    }
}
