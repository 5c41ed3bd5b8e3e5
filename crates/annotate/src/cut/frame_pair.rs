//! Two frames at one time.

use serde::{Deserialize, Serialize};

/// A frame that was cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameFile {
    /// The picture, from the folder of annotations.
    pub file: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The clip.
    pub video: String,
    /// The generator, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Two frames at one time: a line of `pairs.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FramePair {
    /// Name of the clips' pair and time: `00012@1.250`.
    pub id: String,
    /// What the generators were asked for.
    pub prompt: String,
    /// When both frames are shown, in seconds.
    pub time_s: f64,
    /// Left.
    pub a: FrameFile,
    /// Right.
    pub b: FrameFile,
}
