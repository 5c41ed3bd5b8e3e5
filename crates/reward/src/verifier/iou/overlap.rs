//! `iou`: overlap of named boxes with the true ones (grounding).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coordinates::{self, Coordinates, Resize, Size};
use super::read::{self, Shape};
use super::rectangle::{Rectangle, iou};
use crate::{Answer, Error, Extracted, Kind, Verdict, Verifier, extract};

/// How four numbers make a box.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxFormat {
    /// Left, top, right, bottom.
    #[default]
    Xyxy,
    /// Left, top, width, height (COCO).
    Xywh,
}

/// Intersection over union of the boxes in the answer and in the ground truth.
///
/// Boxes are read from JSON (`[x1, y1, x2, y2]`, `{"bbox_2d": […]}`, named corners or sides in any order:
/// `{"y1": 2, "x1": 1, …}`, `{"x": 1, "y": 2, "width": 3, "height": 4}`), from `<box>(x1,y1),(x2,y2)</box>`, from the
/// corners of a quadrilateral, or from four plain numbers. With several boxes, pairs are formed from the largest
/// overlap down, and their sum is divided by the larger number of boxes: a box too many costs as much as one too
/// few. Both sides are in one coordinate system unless `coordinates` says otherwise: Qwen2-VL and Qwen3-VL answer in
/// `thousandths`, Qwen2.5-VL in `resized_pixels`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iou {
    /// Score 1 from this overlap on and 0 below it (0.5 is the usual accuracy). Default: the overlap
    /// itself is the score, because a graded reward tells better from worse where all miss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How four numbers without names make a box.
    pub format: BoxFormat,
    /// In which coordinates the answer is. Default: in those of the ground truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// In which coordinates the ground truth is, where `coordinates` is given. The size of the image stands in
    /// the row's columns `width` and `height` (or `image_width` and `image_height`, or `image_size` as [width,
    /// height]); without it the row is ungraded where it is needed.
    pub truth_coordinates: Coordinates,
    /// For `resized_pixels`: both sides of the resized image are multiples of this (28 in Qwen2-VL and Qwen2.5-VL,
    /// 32 in Qwen3-VL). Columns `resized_width` and `resized_height`, where a row has them, come first.
    pub resize_factor: u32,
    /// For `resized_pixels`: fewest pixels of the resized image.
    pub min_pixels: u64,
    /// For `resized_pixels`: most pixels of the resized image.
    pub max_pixels: u64,
}

impl Default for Iou {
    fn default() -> Self {
        Self {
            threshold: None,
            format: BoxFormat::default(),
            coordinates: None,
            truth_coordinates: Coordinates::default(),
            resize_factor: 28,
            min_pixels: 56 * 56,
            max_pixels: 12_845_056,
        }
    }
}

/// Most boxes that are compared; matching is quadratic.
const MAX_BOXES: usize = 256;

impl Iou {
    fn resize(&self) -> Resize {
        Resize {
            factor: self.resize_factor,
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
        }
    }

    /// The sides of a box that has an area.
    fn rectangle(&self, (numbers, shape): (Rectangle, Shape)) -> Option<Rectangle> {
        let [a, b, c, d] = numbers;
        let sides = match (shape, self.format) {
            (Shape::Corners, _) | (Shape::Unnamed, BoxFormat::Xyxy) => numbers,
            (Shape::Unnamed, BoxFormat::Xywh) => [a, b, a + c, b + d],
        };
        (sides[2] > sides[0] && sides[3] > sides[1]).then_some(sides)
    }

    fn truth(&self, text: &str) -> Result<Vec<Rectangle>, String> {
        let shown: String = text.chars().take(80).collect();
        let read = read::read(text);
        if read.is_empty() || read.len() > MAX_BOXES {
            return Err(format!(
                "the ground truth `{shown}` has {} boxes (expected 1 to {MAX_BOXES}, as [x1, y1, x2, y2])",
                read.len()
            ));
        }
        read.into_iter()
            .map(|found| self.rectangle(found))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("the ground truth `{shown}` has a box without area"))
    }

    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let Some(truth) = answer.ground_truth else {
            return Verdict::no_ground_truth();
        };
        match self.overlap(answer, truth) {
            Err(reason) => Verdict::Ungraded(reason),
            Ok(overlap) => match self.threshold {
                Some(threshold) => Verdict::right(overlap >= threshold),
                None => Verdict::Score(overlap),
            },
        }
    }

    fn overlap(&self, answer: &Answer<'_>, truth: &str) -> Result<f64, String> {
        let mut truth = self.truth(truth)?;
        let named = read::read(answer_text(answer.completion));
        if named.len() > MAX_BOXES {
            return Err(format!("step budget: more than {MAX_BOXES} boxes"));
        }
        let count = named.len().max(truth.len());
        let mut named: Vec<Rectangle> = named
            .into_iter()
            .filter_map(|found| self.rectangle(found))
            .collect();
        if let Some(coordinates) = self.coordinates {
            let size = Size::of(answer.meta);
            let fractions = |of: Coordinates, boxes: &mut Vec<Rectangle>| -> Result<(), String> {
                let [x, y] = of.extent(size, self.resize())?;
                for sides in boxes {
                    *sides = [sides[0] / x, sides[1] / y, sides[2] / x, sides[3] / y];
                }
                Ok(())
            };
            fractions(self.truth_coordinates, &mut truth)?;
            fractions(coordinates, &mut named)?;
        }
        Ok(matched(&named, &truth) / count as f64)
    }
}

/// The part of a response in which its boxes stand.
fn answer_text(completion: &str) -> &str {
    let tail = extract::settled(extract::answer_part(completion));
    extract::boxed(tail)
        .or_else(|| extract::tagged(tail, "<answer>", "</answer>"))
        .unwrap_or(tail)
}

/// Sum of overlaps over pairs, formed from the largest overlap down.
fn matched(named: &[Rectangle], truth: &[Rectangle]) -> f64 {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (i, a) in named.iter().enumerate() {
        for (j, b) in truth.iter().enumerate() {
            pairs.push((iou(a, b), i, j));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut used, mut taken) = (vec![false; named.len()], vec![false; truth.len()]);
    let mut sum = 0.0;
    for (overlap, i, j) in pairs {
        if !used[i] && !taken[j] {
            (used[i], taken[j]) = (true, true);
            sum += overlap;
        }
    }
    sum
}

impl Verifier for Iou {
    fn name(&self) -> &str {
        "iou"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        let found = read::read(answer_text(answer.completion)).into_iter();
        let sides: Vec<Rectangle> = found.filter_map(|found| self.rectangle(found)).collect();
        if sides.is_empty() {
            return Extracted::Nothing("the response names no box".into());
        }
        Extracted::Text(format!("{sides:?}"))
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        self.truth(ground_truth).map(|_| ())
    }
}

impl Kind for Iou {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if let Some(threshold) = self.threshold
            && !(threshold > 0.0 && threshold <= 1.0)
        {
            return Err(Error::option(
                "threshold",
                threshold,
                "more than 0, at most 1",
            ));
        }
        if self.resize_factor == 0 || self.min_pixels == 0 || self.min_pixels > self.max_pixels {
            return Err(Error::option(
                "resize_factor, min_pixels, max_pixels",
                format!(
                    "{}, {}, {}",
                    self.resize_factor, self.min_pixels, self.max_pixels
                ),
                "above 0, min_pixels at most max_pixels",
            ));
        }
        Ok(Box::new(self.clone()))
    }

    fn reads(&self, column: &str) -> bool {
        coordinates::COLUMNS.contains(&column)
    }
}

#[cfg(test)]
mod tests {
    use super::super::boxes;
    use super::*;

    fn score(options: &Iou, completion: &str, truth: &str) -> Option<f64> {
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            meta: &serde_json::Map::new(),
            ..Answer::default()
        };
        options.verify(&[answer])[0].score()
    }

    #[test]
    fn boxes_are_read_from_every_form() {
        for text in [
            "[1,2,3,4]",
            "[[1, 2, 3, 4]]",
            "(1,2,3,4)",
            "<box>1, 2, 3, 4</box>",
            "<box>(1,2),(3,4)</box>",
            "<|box_start|>(1,2),(3,4)<|box_end|>",
            "{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"cat [5, 6, 7, 8]\"}",
            "```json\n[{\"bbox_2d\": [1.0, 2.0, 3.0, 4.0]}]\n```",
            "x1: 1, y1: 2, x2: 3, y2: 4",
            "{\"x1\": 1, \"y1\": 2, \"x2\": 3, \"y2\": 4}",
            // B16
            "{\"y1\": 2, \"x1\": 1, \"y2\": 4, \"x2\": 3}",
            "y2=4, x2=3, y1=2, x1=1",
            "{\"xmin\": 1, \"xmax\": 3, \"ymin\": 2, \"ymax\": 4}",
            "{\"left\": 1, \"top\": 2, \"right\": 3, \"bottom\": 4}",
            "{\"x\": 1, \"y\": 2, \"w\": 2, \"h\": 2}",
            "{\"height\": 2, \"width\": 2, \"y\": 2, \"x\": 1, \"score\": 0.5}",
            "{\"cx\": 2, \"cy\": 3, \"w\": 2, \"h\": 2}",
            "{\"bbox\": {\"x1\": 1, \"y1\": 2, \"x2\": 3, \"y2\": 4}, \"id\": 7}",
            "{\"label\": \"a \\\"big\\\" cat\", \"bbox_2d\": [1, 2, 3, 4]}",
            "{\\\"bbox_2d\\\": [1, 2, 3, 4], \\\"label\\\": \\\"cat [5, 6, 7, 8]\\\"}",
            "a 5\" screen: [1, 2, 3, 4]",
            "[[1, 2], [3, 2], [3, 4], [1, 4]]",
            "[1, 2, 3, 2, 3, 4, 1, 4]",
            "<quad>(1,2),(3,2),(3,4),(1,4)</quad>",
            "[1e0, 2.0E+0, 30e-1, +4]",
            "{\"x1\": \"1\", \"y1\": \"2\", \"x2\": \"3\", \"y2\": \"4\"}",
        ] {
            assert_eq!(boxes(text), [[1.0, 2.0, 3.0, 4.0]], "{text}");
        }
        assert_eq!(boxes("[.1, .2, 1e-05, 3.]"), [[0.1, 0.2, 1e-5, 3.0]]);
        assert_eq!(boxes("[1,2,3,4], [5,6,7,8]").len(), 2);
        for text in [
            "",
            "[1,2,3]",
            "[1,2,3,4,5]",
            "1 2 3",
            "(1,2)",
            "\"1 2 3 4\"",
            "[1, 2, 3, 4", // cut off: it may go on
            "{\"score\": 1, \"id\": 2}",
        ] {
            assert!(boxes(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn overlap_is_the_score() {
        let graded = Iou::default();
        assert_eq!(score(&graded, "[0,0,10,10]", "[0,0,10,10]"), Some(1.0));
        assert_eq!(score(&graded, "[0,0,10,5]", "[0,0,10,10]"), Some(0.5));
        assert_eq!(score(&graded, "[20,20,30,30]", "[0,0,10,10]"), Some(0.0));
        assert_eq!(score(&graded, "no box", "[0,0,10,10]"), Some(0.0));
        assert_eq!(score(&graded, "[10,10,0,0]", "[0,0,10,10]"), Some(0.0));
        assert_eq!(score(&graded, "[0,0,10,10]", "nothing"), None);
        let half = Iou {
            threshold: Some(0.5),
            ..Iou::default()
        };
        assert_eq!(score(&half, "[0,0,10,5]", "[0,0,10,10]"), Some(1.0));
        assert_eq!(score(&half, "[0,0,10,4]", "[0,0,10,10]"), Some(0.0));
        let coco = Iou {
            format: BoxFormat::Xywh,
            ..Iou::default()
        };
        assert_eq!(score(&coco, "[5,5,10,10]", "[5,5,10,20]"), Some(0.5));
    }

    #[test]
    fn a_box_too_many_costs_as_one_too_few() {
        let graded = Iou::default();
        let (one, two) = ("[0,0,10,10]", "[20,20,30,30],[0,0,10,10]");
        assert_eq!(score(&graded, one, two), Some(0.5));
        assert_eq!(score(&graded, two, one), Some(0.5));
        assert_eq!(score(&graded, "[0,0,10,10],[20,20,30,30]", two), Some(1.0));
    }

    #[test]
    fn thousands_of_boxes_are_not_matched() {
        let many = "[0,0,1,1]".repeat(100_000);
        assert_eq!(score(&Iou::default(), &many, "[0,0,1,1]"), None);
    }

    /// B16
    #[test]
    fn each_side_is_read_in_its_own_coordinates() {
        let judged = |options: &Iou, completion: &str, meta: serde_json::Value| {
            let meta = meta.as_object().unwrap().clone();
            let answer = Answer {
                completion,
                ground_truth: Some("[100, 50, 300, 150]"),
                meta: &meta,
                ..Answer::default()
            };
            options.verify(&[answer]).remove(0)
        };
        // An image of 1000 x 500 is resized to 1008 x 504, both multiples of 28.
        let size = serde_json::json!({"width": 1000, "height": 500});
        for (coordinates, completion) in [
            (Coordinates::Pixels, "[100, 50, 300, 150]"),
            (Coordinates::Fractions, "[0.1, 0.1, 0.3, 0.3]"),
            (Coordinates::Thousandths, "[100, 100, 300, 300]"),
            (Coordinates::ResizedPixels, "[100.8, 50.4, 302.4, 151.2]"),
        ] {
            let options = Iou {
                coordinates: Some(coordinates),
                ..Iou::default()
            };
            let score = judged(&options, completion, size.clone()).score().unwrap();
            assert!((score - 1.0).abs() < 1e-9, "{coordinates:?} {score}");
            let Verdict::Ungraded(reason) = judged(&options, completion, serde_json::json!({}))
            else {
                panic!("{coordinates:?} without a size")
            };
            assert!(reason.contains("width"), "{reason}");
        }
        // Two shares of the image need no size.
        let shares = Iou {
            coordinates: Some(Coordinates::Thousandths),
            truth_coordinates: Coordinates::Thousandths,
            ..Iou::default()
        };
        let verdict = judged(&shares, "[100, 50, 300, 150]", serde_json::json!({}));
        assert_eq!(verdict, Verdict::RIGHT);
        let sized = serde_json::json!({"image_size": [1000, 500], "resized_width": 500, "resized_height": 250});
        let options = Iou {
            coordinates: Some(Coordinates::ResizedPixels),
            ..Iou::default()
        };
        assert_eq!(judged(&options, "[50, 25, 150, 75]", sized), Verdict::RIGHT);
    }
}
