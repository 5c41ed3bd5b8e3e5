//! What is stored of a judged clip.

use std::collections::BTreeMap;

use percept_frames::{Distortion, Judgement, aggregate};
use serde::{Deserialize, Serialize};

/// A judged clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipRecord {
    /// The clip as it was named.
    pub video: String,
    /// What it was made from.
    pub prompt: String,
    /// Mean of the frames' scores, 1 to 5; none where no answer could be read.
    pub score: Option<f64>,
    /// What is broken, and in how many frames.
    pub labels: BTreeMap<Distortion, usize>,
    /// Frames whose answer was read.
    pub judged: usize,
    /// Frames whose answer could not be read: they count neither as good nor as bad.
    pub unreadable: usize,
    /// Length in seconds.
    pub duration_s: f64,
    /// The frames, by time.
    pub frames: Vec<FrameRecord>,
}

/// A judged frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameRecord {
    /// When it is shown.
    pub time_s: f64,
    /// 1 or 2.
    pub round: u8,
    /// 1 to 5; none where the answer could not be read.
    pub score: Option<f64>,
    /// What is broken.
    pub labels: Vec<Distortion>,
    /// Why, in the model's words.
    pub reasoning: String,
    /// Why the answer could not be read, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// … and that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

impl FrameRecord {
    /// Reads a response about the frame shown at a time.
    pub(crate) fn of(time_s: f64, round: u8, response: &str) -> Self {
        match percept_frames::read_judgement(response) {
            Ok((reasoning, judgement)) => Self {
                time_s,
                round,
                score: Some(judgement.score),
                labels: judgement.labels,
                reasoning: reasoning.to_owned(),
                unreadable: None,
                response: None,
            },
            Err(error) => Self {
                time_s,
                round,
                score: None,
                labels: Vec::new(),
                reasoning: String::new(),
                unreadable: Some(error.to_string()),
                response: Some(response.to_owned()),
            },
        }
    }

    fn judgement(&self) -> Option<Judgement> {
        Some(Judgement {
            labels: self.labels.clone(),
            score: self.score?,
        })
    }
}

impl ClipRecord {
    /// From the frames of all rounds.
    pub(crate) fn of(
        video: String,
        prompt: String,
        duration_s: f64,
        mut frames: Vec<FrameRecord>,
    ) -> Self {
        frames.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
        let judgements: Vec<Option<Judgement>> =
            frames.iter().map(FrameRecord::judgement).collect();
        let clip = aggregate::aggregate(judgements.iter().map(Option::as_ref));
        Self {
            video,
            prompt,
            score: clip.score,
            labels: clip.labels,
            judged: clip.judged,
            unreadable: clip.unreadable,
            duration_s,
            frames,
        }
    }
}
