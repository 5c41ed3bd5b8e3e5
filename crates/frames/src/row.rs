//! One labelled frame as a row of JSONL or Parquet; two rows make a pair.

use serde::{Deserialize, Serialize};

use crate::distortion::Distortion;
use crate::preference::Preference;

/// A box around something distorted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledBox {
    /// What is wrong there.
    pub label: Distortion,
    /// Left, top, right, bottom in pixels of the frame; right and bottom are outside.
    #[serde(rename = "box")]
    pub corners: [f64; 4],
}

/// A box that cannot be of its frame.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the box {corners:?} of {label:?} is not inside the frame of {width} × {height} pixels (expected \
     0 ≤ left < right ≤ {width} and 0 ≤ top < bottom ≤ {height})", label = label.name()
)]
pub struct WrongBox {
    /// The box.
    pub corners: [f64; 4],
    /// Its label.
    pub label: Distortion,
    /// Width of the frame in pixels.
    pub width: u32,
    /// Height of the frame in pixels.
    pub height: u32,
}

impl LabelledBox {
    /// Fails for a box that is empty or leaves a frame of this size.
    pub fn check(&self, width: u32, height: u32) -> Result<(), WrongBox> {
        let [left, top, right, bottom] = self.corners;
        let inside =
            |low: f64, high: f64, limit: u32| 0.0 <= low && low < high && high <= f64::from(limit);
        if inside(left, right, width) && inside(top, bottom, height) {
            return Ok(());
        }
        Err(WrongBox {
            corners: self.corners,
            label: self.label,
            width,
            height,
        })
    }
}

/// A labelled frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameRow {
    /// The frame's picture, as a path beside the file.
    pub images: Vec<String>,
    /// The [`question`](crate::question).
    pub prompt: String,
    /// What supervised training writes: reasoning and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// What is wrong with the frame; none of it for a clean one.
    pub labels: Vec<Distortion>,
    /// Where.
    #[serde(default)]
    pub boxes: Vec<LabelledBox>,
    /// The same in both rows of a pair.
    pub pair_id: String,
    /// `A` or `B`.
    pub side: String,
    /// Which side is better.
    pub preference: Preference,
    /// When in its clip the frame is shown, in seconds.
    pub time_s: f64,
    /// The clip. Beside `time_s` it says where the picture is from, and training does not show it.
    pub video: String,
}
