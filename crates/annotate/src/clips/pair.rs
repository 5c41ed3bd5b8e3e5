//! Two clips of one prompt.

use std::path::PathBuf;

use serde::Serialize;

/// One clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipOf {
    /// A file, or a folder of frames.
    pub path: PathBuf,
    /// The generator, where it is known. Annotators do not see it.
    pub model: Option<String>,
}

/// Two clips that two generators made of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipPair {
    /// Stable name: the row of the table, or the clip's name.
    pub id: String,
    /// What the generators were asked for.
    pub prompt: String,
    /// Left.
    pub a: ClipOf,
    /// Right.
    pub b: ClipOf,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Clips {
    /// The pairs.
    pub pairs: Vec<ClipPair>,
    /// Pairs that were left out since a clip is missing: which, and why.
    pub skipped: Vec<String>,
}
