//! What the steps write: one row for each decision.

use std::collections::BTreeMap;

use percept_vision::Placement;
use serde::{Deserialize, Serialize};

use percept_benchmarks::causal::Question;

/// A class that the contextual object was drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// Its name.
    pub class: String,
    /// Images that show it with the target.
    pub count: u64,
    /// The probability with which it is drawn.
    pub probability: f64,
}

/// Step `roles`: what is replaced, what is kept, and what could come instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The image's number in the annotations.
    pub image: u64,
    /// Its file in the folder of images.
    pub file: String,
    /// Every annotated class of the image.
    pub present: Vec<String>,
    /// The class that is replaced.
    pub target: String,
    /// Its objects, the largest first.
    pub target_objects: Vec<u64>,
    /// Share of the image that they cover.
    pub target_share: f64,
    /// The class that is kept and asked about.
    pub contextual: String,
    /// What it was drawn from.
    pub contextual_weights: Vec<Weight>,
    /// Classes that could replace the target.
    pub candidates: Vec<String>,
    /// How they were found.
    pub candidates_rule: String,
}

/// An object that is cut out of its image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutoutSource {
    /// The image's number in the annotations.
    pub image: u64,
    /// Its file.
    pub file: String,
    /// The object's number.
    pub object: u64,
    /// Size in the new image over its own, before it is fitted.
    pub scale: f64,
}

/// Step `choice`: what comes instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The roles.
    #[serde(flatten)]
    pub role: Role,
    /// The class that replaces the target.
    pub counterfactual: String,
    /// How it was chosen.
    pub chosen_by: String,
    /// What the chosen one was measured by, or the reply of the model.
    pub reason: String,
    /// What the image shows after the edit: the editor's prompt.
    pub description: String,
    /// The cut-out, for editors that insert one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutout: Option<CutoutSource>,
}

/// Step `edit`: what was edited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditRecord {
    /// The choice.
    #[serde(flatten)]
    pub choice: Choice,
    /// The edited image, relative to the output folder: outside the mask, the original.
    pub edited: String,
    /// SHA-256 of that file and of the original's.
    pub edited_sha256: String,
    /// SHA-256 of the original file.
    pub original_sha256: String,
    /// Pixels that could change, as pycocotools' `encode` writes them.
    pub mask_rle: String,
    /// Columns and rows of the image.
    pub size: [u32; 2],
    /// Share of the target's pixels that the mask holds.
    pub target_reached: f64,
    /// Share of pixels outside the mask that the editor changed by more than 8 levels of 255; they
    /// were put back.
    pub editor_changed_outside: f64,
    /// Annotated classes, neither target nor contextual, of which the mask covers half or more.
    pub also_covered: Vec<String>,
    /// Where a cut-out was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// Step `quality`: what was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// Share of pixels outside the mask that differ in the file as it was written.
    pub changed_outside: f64,
    /// Mean change of the pixels where the new object is to be, in levels of 255.
    pub change_inside: f64,
    /// Share of the target's pixels that the mask holds.
    pub target_reached: f64,
    /// Scores before and after: `[new before, new after, old before, old after]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<[f64; 4]>,
    /// What was not checked, and why.
    pub not_checked: Vec<String>,
}

/// A pair that passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The edit.
    #[serde(flatten)]
    pub edit: EditRecord,
    /// Its checks.
    pub checks: Checks,
}

/// Step `questions`: the questions of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Questions {
    /// The pair.
    #[serde(flatten)]
    pub pair: Pair,
    /// The original in `images/`.
    pub original_name: String,
    /// The edit in `images/`.
    pub edited_name: String,
    /// Absent classes and how often each occurs with the target.
    pub absent: BTreeMap<String, u64>,
    /// How they were chosen.
    pub absent_rule: String,
    /// The questions, numbered through the data set.
    pub questions: Vec<Question>,
}
