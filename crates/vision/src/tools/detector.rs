//! Where a picture shows something.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shown;
use crate::Error;

/// A box around something that a picture shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Which of the tags.
    pub tag: String,
    /// Left, top, width, height in pixels, as COCO has them.
    pub bbox: [f64; 4],
    /// How sure the detector is that there is something, from 0 to 1.
    pub score: f64,
    /// How sure it is that this is `tag`, from 0 to 1, where it tells the two apart (GroundingDINO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_score: Option<f64>,
}

/// Finds what tags name, like GroundingDINO.
pub trait Detector: Send + Sync {
    /// What detects, as far as the boxes depend on it; it holds no secret.
    fn identity(&self) -> Value;

    /// Boxes of what the tags name, several for a tag that is there several times.
    ///
    /// # Errors
    /// [`Error::Unscored`] for a picture that the detector makes nothing of, and what can go wrong with it.
    fn detect(&self, picture: &Shown<'_>, tags: &[&str]) -> Result<Vec<Detection>, Error>;

    /// Pictures under way at once that the detector can use.
    fn at_once(&self) -> usize {
        1
    }
}
