//! A detector with a fixed list of classes.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use serde_json::{Value, json};

use super::OnnxRuntime;
use super::model::{Array, Model};
use super::names::names;
use super::suppress::suppressed;
use super::tensor::{Levels, of_picture};
use crate::Error;
use crate::tools::{Detection, Detector, Shown};

/// Side of the input where the file leaves it open.
const SIDE: u32 = 640;

/// Boxes with less are not looked at: thousands of cells say next to nothing.
const FLOOR: f32 = 0.05;

/// A YOLO-like or DETR-like model file; which it is, its outputs say. Tags that are no class of it are not found. A clone shares
/// the model.
#[derive(Clone)]
pub struct OnnxDetector {
    model: Arc<Model>,
    sha256: String,
    names: Vec<String>,
}

impl OnnxDetector {
    /// Reads a model whose SHA-256 this is; its classes are COCO's unless a file names them, one a line.
    ///
    /// # Errors
    /// [`Error::Onnx`], and names that cannot be read.
    pub fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        sha256: String,
        classes: Option<&Path>,
    ) -> Result<Self, Error> {
        Ok(Self {
            model: Arc::new(Model::open(runtime, path)?),
            sha256,
            names: names(classes)?,
        })
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        &self.names
    }

    /// Everything that is found, of any class; the surest first.
    ///
    /// # Errors
    /// [`Error::Onnx`].
    pub fn all(&self, image: &RgbImage) -> Result<Vec<Detection>, Error> {
        let (height, width) = self.model.size(0).unwrap_or((SIDE, SIDE));
        let of = |levels| {
            self.model
                .run(vec![of_picture(image, height, width, levels)])
        };
        let scale = [
            f64::from(image.width()) / f64::from(width),
            f64::from(image.height()) / f64::from(height),
        ];
        let mut outputs = of(Levels::PLAIN)?;
        let named = |outputs: &[(String, Array)], name: &str| {
            outputs.iter().position(|(output, _)| output == name)
        };
        if named(&outputs, "logits").is_some() && named(&outputs, "pred_boxes").is_some() {
            outputs = of(Levels::IMAGENET)?;
            let logits = named(&outputs, "logits").map(|at| &outputs[at].1);
            let boxes = named(&outputs, "pred_boxes").map(|at| &outputs[at].1);
            if let (Some(logits), Some(boxes)) = (logits, boxes) {
                return self.detr(logits, boxes, image);
            }
        }
        match outputs.first() {
            Some((_, grid)) => self.yolo(grid, scale),
            None => Err(self.model.error("the model has no output of float32")),
        }
    }

    /// `[1, 4 + C, N]`: centre and sides in pixels of the input, then a score for each class.
    fn yolo(&self, grid: &Array, [sx, sy]: [f64; 2]) -> Result<Vec<Detection>, Error> {
        let rows = 4 + self.names.len();
        let &[1, found_rows, cells] = grid.shape.as_slice() else {
            return Err(self.wrong(grid, rows));
        };
        if found_rows != rows {
            return Err(self.wrong(grid, rows));
        }
        let at = |row: usize, cell: usize| grid.data[row * cells + cell];
        let mut found = Vec::new();
        for cell in 0..cells {
            let [x, y, w, h] = [0, 1, 2, 3].map(|row| f64::from(at(row, cell)));
            for (class, name) in self.names.iter().enumerate() {
                let score = at(4 + class, cell);
                if score >= FLOOR && score.is_finite() {
                    found.push(Detection {
                        tag: name.clone(),
                        bbox: [(x - w / 2.0) * sx, (y - h / 2.0) * sy, w * sx, h * sy],
                        score: f64::from(score),
                        text_score: None,
                    });
                }
            }
        }
        Ok(suppressed(found))
    }

    /// A softmax over classes and "nothing" for each query, and a box in shares of the picture.
    fn detr(
        &self,
        logits: &Array,
        boxes: &Array,
        image: &RgbImage,
    ) -> Result<Vec<Detection>, Error> {
        let &[1, queries, classes] = logits.shape.as_slice() else {
            return Err(self.wrong(logits, self.names.len() + 1));
        };
        if classes != self.names.len() + 1 || boxes.shape != [1, queries, 4] {
            return Err(self.wrong(logits, self.names.len() + 1));
        }
        let [width, height] = [image.width(), image.height()].map(f64::from);
        let mut found = Vec::new();
        for query in 0..queries {
            let row = &logits.data[query * classes..][..classes];
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|logit| (logit - most).exp()).sum();
            let [x, y, w, h] = [0, 1, 2, 3].map(|side| f64::from(boxes.data[query * 4 + side]));
            for (name, logit) in self.names.iter().zip(row) {
                let score = (logit - most).exp() / sum;
                if score >= FLOOR && score.is_finite() {
                    found.push(Detection {
                        tag: name.clone(),
                        bbox: [
                            (x - w / 2.0) * width,
                            (y - h / 2.0) * height,
                            w * width,
                            h * height,
                        ],
                        score: f64::from(score),
                        text_score: None,
                    });
                }
            }
        }
        Ok(suppressed(found))
    }

    fn wrong(&self, output: &Array, expected: usize) -> Error {
        self.model.error(format!(
            "an output has the shape {:?}; expected [1, {expected}, boxes] of a YOLO export, or logits [1, boxes, {}] and \
             pred_boxes of a DETR export, for {} classes\n  help: name the model's classes in a file, one a line",
            output.shape,
            self.names.len() + 1,
            self.names.len()
        ))
    }
}

impl Detector for OnnxDetector {
    fn identity(&self) -> Value {
        json!({"detector": "onnx", "sha256": self.sha256, "classes": self.names})
    }

    fn detect(&self, picture: &Shown<'_>, tags: &[&str]) -> Result<Vec<Detection>, Error> {
        let mut found = self.all(picture.image)?;
        found.retain(|found| tags.contains(&found.tag.as_str()));
        Ok(found)
    }
}
