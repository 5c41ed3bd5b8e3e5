//! Why a clip has no judgement.

use percept_chat::ChatError;
use percept_frames::sampling::SamplingError;

/// Why a clip has no judgement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// No frames can be chosen of it.
    #[error("{clip}: {source}")]
    Sampling {
        /// The clip.
        clip: String,
        /// Why.
        source: SamplingError,
    },
    /// More frames than are judged.
    #[error(
        "{clip}: {frames} frames are to be judged, at most {limit} are allowed\n  help: a smaller --fps, a shorter clip, or a \
         larger --max-frames"
    )]
    TooManyFrames {
        /// The clip.
        clip: String,
        /// What the rate pays for.
        frames: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The model gave no answer.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A file on this machine.
    #[error("{what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file of results.
    #[error(transparent)]
    Log(#[from] percept_base::LogError),
    /// A clip that is none.
    #[error("{what}: {found}; expected {expected}")]
    Clip {
        /// Which.
        what: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A picture of the contact sheet.
    #[error(transparent)]
    Picture(#[from] percept_eval::ThumbnailError),
}

impl Error {
    /// Whether every other clip would meet the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Chat(error) => error.is_final(),
            Self::Log(_) => true,
            _ => false,
        }
    }
}
