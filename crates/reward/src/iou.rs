//! `iou`: overlap of named boxes with the true ones (grounding).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Kind, Verdict, Verifier, extract};

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
/// Boxes are read from JSON (`[x1, y1, x2, y2]`, `{"bbox_2d": […]}`), from
/// `<box>(x1,y1),(x2,y2)</box>`, or from four plain numbers. With several boxes, pairs are formed
/// from the largest overlap down, and their sum is divided by the larger number of boxes: a box too
/// many costs as much as one too few. Both sides must be in one coordinate system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iou {
    /// Score 1 from this overlap on and 0 below it (0.5 is the usual accuracy). Default: the overlap
    /// itself is the score, because a graded reward tells better from worse where all miss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How four numbers make a box.
    pub format: BoxFormat,
}

/// A box: left, top, right, bottom.
pub type Rectangle = [f64; 4];

/// Most boxes that are compared; matching is quadratic.
const MAX_BOXES: usize = 256;

/// All boxes in a text, as groups of four numbers in its brackets, or of two pairs in a row. One
/// pass.
///
/// ```
/// use percept_reward::boxes;
/// assert_eq!(boxes(r#"[{"bbox_2d": [1, 2, 3.5, 4], "label": "cat 2"}]"#), [[1.0, 2.0, 3.5, 4.0]]);
/// assert_eq!(boxes("<box>(1,2),(3,4)</box>"), [[1.0, 2.0, 3.0, 4.0]]);
/// assert_eq!(boxes("x1=1 y1=2 x2=3 y2=4"), [[1.0, 2.0, 3.0, 4.0]]);
/// ```
pub fn boxes(text: &str) -> Vec<Rectangle> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Numbers since the last bracket; five of them are no box.
    let mut group: Vec<f64> = Vec::new();
    let mut pair: Option<[f64; 2]> = None;
    let mut loose: Vec<f64> = Vec::new();
    let mut quoted = false;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_alphabetic() || byte == b'_' {
            // A name with digits in it: bbox_2d, x1.
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                at += 1;
            }
            continue;
        }
        let starts = byte == b'-' || byte.is_ascii_digit();
        if !quoted
            && starts
            && let Some((value, length)) = number(&text[at..])
        {
            if group.len() < 5 {
                group.push(value);
            }
            if loose.len() < 5 {
                loose.push(value);
            }
            at += length;
            continue;
        }
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'(' | b'{' => group.clear(),
            b']' | b')' | b'}' | b'<' => {
                match (group[..].try_into(), group[..].try_into()) {
                    (Ok(four), _) => {
                        let four: Rectangle = four;
                        found.push(four);
                        pair = None;
                    }
                    (_, Ok(two)) => {
                        let [x, y]: [f64; 2] = two;
                        match pair.take() {
                            Some([left, top]) => found.push([left, top, x, y]),
                            None => pair = Some([x, y]),
                        }
                    }
                    _ => {}
                }
                group.clear();
            }
            _ => {}
        }
        at += 1;
    }
    if found.is_empty()
        && let Ok(four) = loose[..].try_into()
    {
        found.push(four);
    }
    found
}

/// The number that `text` starts with and its length in bytes.
fn number(text: &str) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let mut end = sign;
    let mut point = false;
    while let Some(&byte) = bytes.get(end) {
        let digit_follows = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' => {}
            b'.' if !point && digit_follows => point = true,
            _ => break,
        }
        end += 1;
    }
    let value: f64 = text.get(..end)?.parse().ok()?;
    value.is_finite().then_some((value, end))
}

impl Iou {
    fn rectangle(&self, [a, b, c, d]: Rectangle) -> Option<Rectangle> {
        let all = match self.format {
            BoxFormat::Xyxy => [a, b, c, d],
            BoxFormat::Xywh => [a, b, a + c, b + d],
        };
        (all[2] > all[0] && all[3] > all[1]).then_some(all)
    }

    fn truth(&self, text: &str) -> Result<Vec<Rectangle>, String> {
        let shown: String = text.chars().take(80).collect();
        let read = boxes(text);
        if read.is_empty() || read.len() > MAX_BOXES {
            return Err(format!(
                "the ground truth `{shown}` has {} boxes (expected 1 to {MAX_BOXES}, as [x1, y1, x2, y2])",
                read.len()
            ));
        }
        read.into_iter()
            .map(|rectangle| self.rectangle(rectangle))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("the ground truth `{shown}` has a box without area"))
    }

    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let Some(truth) = answer.ground_truth else {
            return Verdict::no_ground_truth();
        };
        let truth = match self.truth(truth) {
            Ok(truth) => truth,
            Err(reason) => return Verdict::Ungraded(reason),
        };
        let tail = extract::after_thinking(answer.completion);
        let text = extract::boxed(tail)
            .or_else(|| extract::tagged(tail, "<answer>", "</answer>"))
            .unwrap_or(tail);
        let named = boxes(text);
        if named.len() > MAX_BOXES {
            return Verdict::Ungraded(format!("step budget: more than {MAX_BOXES} boxes"));
        }
        let count = named.len().max(truth.len());
        let named: Vec<Rectangle> = named
            .into_iter()
            .filter_map(|rectangle| self.rectangle(rectangle))
            .collect();
        let overlap = matched(&named, &truth) / count as f64;
        match self.threshold {
            Some(threshold) => Verdict::right(overlap >= threshold),
            None => Verdict::Score(overlap),
        }
    }
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

/// Intersection over union of two boxes, in 0…1.
pub fn iou(a: &Rectangle, b: &Rectangle) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |r: &Rectangle| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let common = side(0) * side(1);
    let union = area(a) + area(b) - common;
    if union > 0.0 && union.is_finite() {
        (common / union).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

impl Verifier for Iou {
    fn name(&self) -> &str {
        "iou"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
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
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(options: &Iou, completion: &str, truth: &str) -> Option<f64> {
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            alternatives: &[],
            prompt: "",
            finished: true,
            n_tokens: 0,
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
        ] {
            assert_eq!(boxes(text), [[1.0, 2.0, 3.0, 4.0]], "{text}");
        }
        assert_eq!(boxes("[1,2,3,4], [5,6,7,8]").len(), 2);
        for text in [
            "",
            "[1,2,3]",
            "[1,2,3,4,5]",
            "1 2 3",
            "(1,2)",
            "\"1 2 3 4\"",
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
}
