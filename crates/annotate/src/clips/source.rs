//! Where pairs of clips come from.

use std::path::PathBuf;

/// Where pairs of clips are found, and what is taken.
#[derive(Debug, Clone)]
pub struct ClipSource {
    /// A table with `path_A`, `path_B` and `prompt` (VideoGen-RewardBench's names), or a folder with a subfolder a generator
    /// and `prompts.csv`.
    pub path: PathBuf,
    /// With more than two generators in a folder: every two of them, and not two that are drawn for each prompt.
    pub every_two: bool,
    /// Leave pairs out of which a clip is missing; otherwise they are an error.
    pub skip_missing: bool,
    /// Decides sides, and generators where some are drawn.
    pub seed: u64,
}
