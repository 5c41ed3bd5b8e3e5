//! Where a picture shows something, as a model grounds it.

use percept_chat::ChatModel;
use percept_reward::boxes;
use percept_vision::Error;
use percept_vision::tools::{Detection, Detector, Shown};
use serde_json::{Value, json};

use super::ask::ask;

/// What the numbers of a model's boxes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelScale {
    /// Pixels of the picture (Qwen2.5-VL, up to the rounding of its processor).
    Pixels,
    /// Thousandths of width and height (Qwen2-VL, Qwen3-VL).
    Thousandths,
    /// Parts of width and height.
    Fractions,
}

impl ModelScale {
    /// What width and height are in these numbers.
    fn extent(self, width: f64, height: f64) -> [f64; 2] {
        match self {
            Self::Pixels => [width, height],
            Self::Thousandths => [1000.0, 1000.0],
            Self::Fractions => [1.0, 1.0],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Thousandths => "thousandths",
            Self::Fractions => "fractions",
        }
    }
}

/// A vision-language model as detector: it is asked once for each tag, and its boxes are read in the forms in which models
/// write them ([`boxes`]). It tells no scores; each box has 1.
pub struct ModelDetector<'a> {
    model: &'a dyn ChatModel,
    scale: ModelScale,
}

fn question(tag: &str) -> String {
    format!(
        "Locate every {tag} in this picture. Answer with a JSON list of boxes, {{\"bbox_2d\": [x1, y1, x2, y2], \"label\": \
         \"{tag}\"}}, and with [] if there is none."
    )
}

impl<'a> ModelDetector<'a> {
    /// Asks this model, whose boxes have this scale.
    pub fn new(model: &'a dyn ChatModel, scale: ModelScale) -> Self {
        Self { model, scale }
    }
}

impl Detector for ModelDetector<'_> {
    fn identity(&self) -> Value {
        json!({"detector": "model", "model": self.model.identity(), "question": question("…"), "scale": self.scale.name()})
    }

    fn detect(&self, picture: &Shown<'_>, tags: &[&str]) -> Result<Vec<Detection>, Error> {
        let questions: Vec<String> = tags.iter().map(|tag| question(tag)).collect();
        let replies = ask(self.model, picture.image, &questions)?;
        let (width, height) = picture.image.dimensions();
        let [width, height] = [width, height].map(f64::from);
        let [across, down] = self.scale.extent(width, height);
        let mut found = Vec::new();
        for (tag, reply) in tags.iter().zip(&replies) {
            for [x1, y1, x2, y2] in boxes(reply) {
                let (left, top) = (x1.min(x2) / across * width, y1.min(y2) / down * height);
                let (right, bottom) = (x1.max(x2) / across * width, y1.max(y2) / down * height);
                found.push(Detection {
                    tag: (*tag).to_owned(),
                    bbox: [left, top, right - left, bottom - top],
                    score: 1.0,
                    text_score: None,
                });
            }
        }
        Ok(found)
    }

    fn at_once(&self) -> usize {
        self.model.calls().at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use percept_chat::Recorded;

    #[test]
    fn each_tag_is_asked_for_and_boxes_are_brought_to_pixels() {
        let model = Recorded::answering("m", |request| {
            let text = request.turns()[0].plain_text();
            match text.contains("every dog") {
                true => r#"[{"bbox_2d": [100, 200, 300, 400], "label": "dog"}, {"bbox_2d": [500, 0, 400, 1000], "label": "dog"}]"#.into(),
                false => "[]".into(),
            }
        });
        let image = RgbImage::new(200, 100);
        let shown = Shown {
            image: &image,
            file: None,
            image_id: None,
        };
        let found = |scale| {
            let detector = ModelDetector::new(&model, scale);
            detector.detect(&shown, &["cup", "dog"]).unwrap()
        };
        let thousandths = found(ModelScale::Thousandths);
        assert!(thousandths.iter().all(|found| found.tag == "dog"));
        let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(thousandths[0].bbox, [20.0, 20.0, 40.0, 20.0]));
        assert!(near(thousandths[1].bbox, [80.0, 0.0, 20.0, 100.0]));
        assert!(near(
            found(ModelScale::Pixels)[0].bbox,
            [100.0, 200.0, 200.0, 200.0]
        ));
    }
}
