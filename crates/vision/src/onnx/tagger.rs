//! Tags by a classifier of many labels, and by a detector's classes.

use std::path::Path;

use serde_json::{Value, json};

use super::model::Model;
use super::names::names;
use super::tensor::{Levels, of_picture};
use super::{OnnxDetector, OnnxRuntime};
use crate::Error;
use crate::tools::{Detector, Shown, Tag, Tagger};

/// Side of the input where the file leaves it open: RAM's.
const SIDE: u32 = 384;

/// A RAM-like model file: levels normalised as ImageNet's, a logit for each label.
pub struct OnnxTagger {
    model: Model,
    sha256: String,
    names: Vec<String>,
    threshold: f64,
}

impl OnnxTagger {
    /// Reads a model whose SHA-256 this is, and its labels, one a line. What is less sure than `threshold` is no tag (RAM's
    /// own thresholds, one for each label, are not known here).
    ///
    /// # Errors
    /// [`Error::Onnx`], and labels that cannot be read.
    pub fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        sha256: String,
        labels: Option<&Path>,
        threshold: f64,
    ) -> Result<Self, Error> {
        Ok(Self {
            model: Model::open(runtime, path)?,
            sha256,
            names: names(labels)?,
            threshold,
        })
    }
}

impl Tagger for OnnxTagger {
    fn identity(&self) -> Value {
        json!({"tagger": "onnx", "sha256": self.sha256, "labels": self.names.len(), "threshold": self.threshold})
    }

    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error> {
        let (height, width) = self.model.size(0).unwrap_or((SIDE, SIDE));
        let input = of_picture(picture.image, height, width, Levels::IMAGENET);
        let outputs = self.model.run(vec![input])?;
        let logits = outputs
            .iter()
            .find(|(_, a)| a.data.len() == self.names.len());
        let Some((_, logits)) = logits else {
            return Err(self.model.error(format!(
                "no output has {} logits, one for each label\n  help: name the model's labels in a file, one a line",
                self.names.len()
            )));
        };
        let scored = self
            .names
            .iter()
            .zip(&logits.data)
            .map(|(name, logit)| Tag {
                tag: name.clone(),
                score: 1.0 / (1.0 + f64::from(-logit).exp()),
            });
        Ok(scored.filter(|tag| tag.score >= self.threshold).collect())
    }
}

/// A detector as tagger: a class with a box that is sure enough is a tag, with the score of its surest box.
pub struct DetectorTagger {
    detector: OnnxDetector,
    threshold: f64,
}

impl DetectorTagger {
    /// Tags by this detector.
    pub fn new(detector: OnnxDetector, threshold: f64) -> Self {
        Self {
            detector,
            threshold,
        }
    }
}

impl Tagger for DetectorTagger {
    fn identity(&self) -> Value {
        json!({"tagger": "detector", "threshold": self.threshold, "detector": self.detector.identity()})
    }

    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error> {
        let mut tags: Vec<Tag> = Vec::new();
        // The surest first.
        for found in self.detector.all(picture.image)? {
            let known = tags.iter().any(|tag| tag.tag == found.tag);
            if found.score >= self.threshold && !known {
                tags.push(Tag {
                    tag: found.tag,
                    score: found.score,
                });
            }
        }
        Ok(tags)
    }
}
