//! The settings of a benchmark.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BuildError;

/// Settings of [`build`](crate::build). Defaults follow the official pipeline where it is known;
/// each field says where not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BuildConfig {
    /// Fixes every draw: the contextual object, the candidates, what an editor draws.
    pub seed: u64,
    /// Candidate classes for the counterfactual object (official: 8; an image that has not exactly
    /// as many is left out).
    pub candidates: usize,
    /// Whether classes that the image shows already may be candidates. The official script does not
    /// exclude them; then "is there a …" is answered by the old object as well.
    pub allow_present: bool,
    /// Objects of the target class in one image, at most. All of them are taken away, or the class
    /// would still be there; the new object takes the place of the largest. (The official pipeline
    /// has one mask for each class.)
    pub max_instances: usize,
    /// Smallest share of the image that the target may cover: below it, few models see either.
    pub min_target_share: f64,
    /// Largest share of the image that the target may cover: above it, little is left to keep.
    pub max_target_share: f64,
    /// How much an edit's mask grows: a square kernel of 5 pixels this often (official: 10).
    pub mask_iterations: u32,
    /// How much the red mark grows that a model is shown: likewise (official: 4).
    pub mark_iterations: u32,
    /// Largest factor by which a cut-out may be enlarged.
    pub max_enlargement: f64,
    /// Absent classes for each pair.
    pub absent: usize,
    /// How absent classes are chosen (the official rule is not published).
    pub absent_rule: AbsentRule,
    /// Edits of one image, at most (official: no limit).
    pub max_edits_per_image: Option<usize>,
    /// Share of the target's pixels, at least, that the mask must reach after the contextual
    /// object's pixels were taken out of it.
    pub min_target_reached: f64,
    /// Mean change of the pixels where the new object is to be, at least, in levels of 255: below
    /// it an editor did nothing.
    pub min_change: f64,
    /// Score that the new class must gain, and the old one lose, where a scorer is given.
    pub min_score_gain: f64,
    /// Format of the images written.
    pub image_format: ImageFormat,
}

impl Default for BuildConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            candidates: 8,
            allow_present: false,
            max_instances: 3,
            min_target_share: 0.01,
            max_target_share: 0.35,
            mask_iterations: 10,
            mark_iterations: 4,
            max_enlargement: 2.0,
            absent: 2,
            absent_rule: AbsentRule::Target,
            max_edits_per_image: None,
            min_target_reached: 0.9,
            min_change: 6.0,
            min_score_gain: 0.0,
            image_format: ImageFormat::Png,
        }
    }
}

/// How absent classes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AbsentRule {
    /// The classes that occur most often with the replaced target: those it would make a model
    /// expect, which is what AAC measures.
    Target,
    /// By chance.
    Random,
}

/// Format of the images written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Lossless: outside the mask, original and edit are equal to the last bit.
    Png,
    /// The official data set's; JPEG originals are copied as they are, edits are compressed anew
    /// (quality 95), which changes all of their pixels a little.
    Jpeg,
}

impl ImageFormat {
    /// The ending of file names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

impl BuildConfig {
    /// Checks that the settings mean something.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), BuildError> {
        let wrong = |field, found: String, expected| {
            Err(BuildError::Config {
                field,
                found,
                expected,
            })
        };
        for (field, value) in [
            ("candidates", self.candidates),
            ("max_instances", self.max_instances),
            ("absent", self.absent),
            ("max_edits_per_image", self.max_edits_per_image.unwrap_or(1)),
        ] {
            if value == 0 {
                return wrong(field, "0".into(), "1 or more");
            }
        }
        let share = |value: f64| (0.0..=1.0).contains(&value);
        if !share(self.min_target_share) || !share(self.min_target_reached) {
            let found = format!("{} and {}", self.min_target_share, self.min_target_reached);
            return wrong("min_target_share, min_target_reached", found, "0 to 1");
        }
        if !share(self.max_target_share) || self.max_target_share <= self.min_target_share {
            let expected = "more than min_target_share and at most 1";
            return wrong(
                "max_target_share",
                self.max_target_share.to_string(),
                expected,
            );
        }
        if !(self.max_enlargement > 0.0 && self.max_enlargement.is_finite()) {
            return wrong(
                "max_enlargement",
                self.max_enlargement.to_string(),
                "more than 0",
            );
        }
        if !(self.min_change.is_finite() && self.min_score_gain.is_finite()) {
            let found = format!("{} and {}", self.min_change, self.min_score_gain);
            return wrong("min_change, min_score_gain", found, "numbers");
        }
        Ok(())
    }
}
