//! How clips are judged.

use percept_chat::Turn;
use percept_frames::sampling::{DynamicSampling, Timeline, budget, uniform};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::question::Question;

/// Which frames are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// REACT's two rounds.
    Dynamic(DynamicSampling),
    /// The baseline: as many frames, spread evenly.
    Uniform {
        /// Frames a second.
        fps: f64,
    },
}

/// How clips are judged.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which frames.
    pub sampling: Sampling,
    /// Most frames of one clip.
    pub max_frames: usize,
    /// What is asked about each.
    pub question: Question,
    /// The system message before it.
    pub system: Option<String>,
    /// How answers are sampled.
    pub turn: Turn,
}

impl Default for Options {
    /// Two rounds at 2 frames a second, greedy answers of up to 512 tokens.
    fn default() -> Self {
        Self {
            sampling: Sampling::Dynamic(DynamicSampling::default()),
            max_frames: 256,
            question: Question::default(),
            system: None,
            turn: Turn {
                temperature: 0.0,
                max_tokens: 512,
                ..Turn::default()
            },
        }
    }
}

impl Sampling {
    fn fps(&self) -> f64 {
        match self {
            Self::Dynamic(dynamic) => dynamic.fps,
            Self::Uniform { fps } => *fps,
        }
    }

    /// Times of the first round, or of the only one.
    pub(crate) fn first(
        &self,
        clip: &str,
        timeline: &Timeline,
        limit: usize,
    ) -> Result<Vec<f64>, Error> {
        let failed = |source| Error::Sampling {
            clip: clip.to_owned(),
            source,
        };
        let frames = budget(timeline, self.fps()).map_err(failed)?;
        if frames > limit {
            return Err(Error::TooManyFrames {
                clip: clip.to_owned(),
                frames,
                limit,
            });
        }
        match self {
            Self::Dynamic(dynamic) => dynamic.first_round(timeline).map_err(failed),
            Self::Uniform { fps } => uniform(timeline, *fps).map_err(failed),
        }
    }

    /// Times of the second round, by the scores of the first.
    pub(crate) fn second(
        &self,
        clip: &str,
        timeline: &Timeline,
        times: &[f64],
        scores: &[Option<f64>],
    ) -> Result<Vec<f64>, Error> {
        let failed = |source| Error::Sampling {
            clip: clip.to_owned(),
            source,
        };
        match self {
            Self::Dynamic(dynamic) => dynamic
                .second_round(timeline, times, scores)
                .map_err(failed),
            Self::Uniform { .. } => Ok(Vec::new()),
        }
    }
}
