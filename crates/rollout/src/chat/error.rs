//! Why there is no answer.

use std::path::PathBuf;

use super::LogError;

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The server refused the request, and would refuse it again.
    #[error("{url} refused {id}: HTTP {status}: {message}{help}")]
    Refused {
        /// Row of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        message: String,
        /// What to do.
        help: &'static str,
    },
    /// Every attempt failed.
    #[error(
        "{url} gave no answer to {id} in {attempts} attempts; the last one: {last}\n  help: start again later, nothing received is lost; a longer timeout, fewer requests at once or fewer per minute may help"
    )]
    Exhausted {
        /// Row of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// The server asks to wait longer than is allowed.
    #[error(
        "{url} asks to wait {seconds} s before {id} is sent again; at most {limit} s are waited\n  help: start again later; nothing received is lost"
    )]
    Wait {
        /// Row of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// What it asks for.
        seconds: u64,
        /// What is allowed.
        limit: u64,
    },
    /// An endpoint that cannot be used as it is described.
    #[error("endpoint {field}: {found}; expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value (never the key).
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// An image that cannot be sent.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// The local model could not sample.
    #[error(transparent)]
    Sampling(#[from] crate::Error),
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
            Self::Refused { status, .. } => matches!(status, 300..=399 | 401..=405),
            Self::Config { .. } | Self::Log(_) | Self::Wait { .. } | Self::Silent => true,
            Self::Batch { .. } | Self::Sampling(_) => true,
            Self::Exhausted { .. } | Self::Data(_) | Self::Unrecorded { .. } => false,
        }
    }
}
