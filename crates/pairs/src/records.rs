//! What the steps write about a row.

use std::collections::BTreeMap;

use percept_vision::tools::{Detection, Tag};
use serde::{Deserialize, Serialize};

/// Step `rows`: a row as far as pairs need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRow {
    /// Its place in the data, from 0.
    pub at: usize,
    /// Its own name.
    pub id: String,
    /// Its pictures.
    pub pictures: Vec<PictureRecord>,
    /// The sentences of the chosen answer.
    pub sentences: Vec<String>,
    /// Whether it has a rejected answer, and so is a pair without a picture too.
    pub has_rejected: bool,
    /// Why it gets no rejected picture, where that is known from the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// A picture of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    /// Its file, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its number in annotations (column `image_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<u64>,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Width and height.
    pub size: [u32; 2],
}

/// Step `tags`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagRecord {
    /// Those that go on, the surest first.
    pub tags: Vec<Tag>,
    /// Why others do not → how many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, usize>,
}

/// Step `boxes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoxRecord {
    /// Those that go on, in the order of the tags.
    pub boxes: Vec<Detection>,
    /// Why others do not → how many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, usize>,
}

/// What would be removed for a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateMask {
    /// The tag.
    pub tag: String,
    /// Boxes whose masks are joined.
    pub instances: usize,
    /// The pixels of all its instances, as pycocotools' `encode` writes them.
    pub rle: String,
    /// The same, grown: what is removed.
    pub removed_rle: String,
    /// Share of the picture that is removed.
    pub area: f64,
    /// Why there is no candidate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// Step `masks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskRecord {
    /// Width and height of the picture.
    pub size: [u32; 2],
    /// One for each tag that has a box.
    pub masks: Vec<CandidateMask>,
}

/// A picture that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateFile {
    /// What was removed; the method, for pictures that are ruined.
    pub tag: String,
    /// The file, relative to the output folder.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A candidate with its similarity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// What was removed.
    pub tag: String,
    /// Mean similarity of the picture and the sentences of the chosen answer.
    pub similarity: f64,
}

/// Step `choice`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChoiceRecord {
    /// Similarity of the original picture.
    pub original: f64,
    /// Sentences that the scorer made something of.
    pub sentences: usize,
    /// Of each candidate, in their order.
    pub candidates: Vec<Scored>,
    /// The tag of the chosen one.
    pub chosen: String,
}
