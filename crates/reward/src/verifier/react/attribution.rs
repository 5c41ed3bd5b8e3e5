//! `react_attribution`: the distortions that a response names beside those that the frame has.
//!
//! `R = 0.6 · right − 0.2 · (wrong + missing)`, with the number of labels that are named and there, named and not there,
//! and there and not named. Source: arXiv 2601.04033 (REACT). What the paper leaves open is an option, with our reading as
//! its default: a clean frame counts as one label `normal`, and a response that cannot be read names nothing.

use percept_frames::Distortion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row;
use crate::{Answer, Error, Extracted, Kind, Verdict, Verifier};

/// Counts the distortions that a judgement of a frame names right, wrongly and not at all, beside the row's `labels`.
///
/// The response ends in `<answer>{"labels": […], "score": 3.42}</answer>` (REACT). Of one that cannot be read, every label
/// is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReactAttribution {
    /// Reward of each label that is named and there.
    pub right: f64,
    /// Taken off for each label that is named and not there.
    pub wrong: f64,
    /// Taken off for each label that is there and not named.
    pub missing: f64,
    /// A clean frame has one label, `normal`, and so has a judgement without labels: a right "clean" earns as much as one
    /// right label. Off: the empty list is no label, and a right "clean" earns 0. The paper does not say.
    pub clean_is_label: bool,
}

impl Default for ReactAttribution {
    fn default() -> Self {
        Self {
            right: 0.6,
            wrong: 0.2,
            missing: 0.2,
            clean_is_label: true,
        }
    }
}

/// Labels by what became of them.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    right: usize,
    wrong: usize,
    missing: usize,
}

impl ReactAttribution {
    /// `said` is none where a response cannot be read. A label that is named twice counts once.
    fn counts(&self, there: &[Distortion], said: Option<&[Distortion]>) -> Counts {
        let named = said.unwrap_or_default();
        let mut counts = Counts {
            right: there.iter().filter(|label| named.contains(label)).count(),
            wrong: 0,
            missing: 0,
        };
        counts.missing = there.len() - counts.right;
        let first = |index: usize| !named[..index].contains(&named[index]);
        let wrong = (0..named.len()).filter(|&index| first(index));
        counts.wrong = wrong
            .filter(|&index| !there.contains(&named[index]))
            .count();
        if self.clean_is_label {
            let says_clean = said.is_some_and(<[Distortion]>::is_empty);
            match (there.is_empty(), says_clean) {
                (true, true) => counts.right += 1,
                (true, false) => counts.missing += 1,
                (false, true) => counts.wrong += 1,
                (false, false) => {}
            }
        }
        counts
    }

    fn score(&self, answer: &Answer<'_>) -> Result<f64, String> {
        let there = row::labels(answer.meta)?;
        let judgement = row::judgement(answer);
        let said = judgement
            .as_ref()
            .map(|judgement| judgement.labels.as_slice());
        let counts = self.counts(&there, said);
        Ok(self.right * counts.right as f64
            - self.wrong * counts.wrong as f64
            - self.missing * counts.missing as f64)
    }
}

impl Verifier for ReactAttribution {
    fn name(&self) -> &str {
        "react_attribution"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        let verdict = |answer| match self.score(answer) {
            Ok(score) => Verdict::Score(score),
            Err(reason) => Verdict::Ungraded(reason),
        };
        batch.iter().map(verdict).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        row::shown(answer)
    }

    fn needs_ground_truth(&self) -> bool {
        false
    }

    fn check_row(&self, row: &Map<String, Value>) -> Result<(), String> {
        row::labels(row).map(drop)
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl Kind for ReactAttribution {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        for (option, value) in [
            ("right", self.right),
            ("wrong", self.wrong),
            ("missing", self.missing),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::option(option, value, "0 or more"));
            }
        }
        Ok(Box::new(self.clone()))
    }

    fn reads(&self, column: &str) -> bool {
        column == row::LABELS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Distortion::{ExtraLimbs, MotionBlur, ObjectDistortion};
    use serde_json::json;

    fn score(attribution: &ReactAttribution, there: &Value, completion: &str) -> Verdict {
        let row = json!({ "labels": there });
        let answer = Answer {
            completion,
            meta: row.as_object().unwrap(),
            ..Answer::default()
        };
        attribution.verify(&[answer]).remove(0)
    }

    #[test]
    fn labels_are_counted_once_each() {
        let plain = ReactAttribution::default();
        let of = |there: &[Distortion], said: Option<&[Distortion]>| {
            let Counts {
                right,
                wrong,
                missing,
            } = plain.counts(there, said);
            (right, wrong, missing)
        };
        assert_eq!(of(&[ExtraLimbs], Some(&[ExtraLimbs])), (1, 0, 0));
        let twice = [MotionBlur, ExtraLimbs, MotionBlur, ExtraLimbs];
        assert_eq!(of(&[ExtraLimbs], Some(&twice)), (1, 1, 0));
        assert_eq!(of(&[ExtraLimbs, ObjectDistortion], None), (0, 0, 2));
        assert_eq!(of(&[], Some(&[])), (1, 0, 0));
        assert_eq!(of(&[], Some(&[MotionBlur])), (0, 1, 1));
        assert_eq!(of(&[MotionBlur], Some(&[])), (0, 1, 1));
        assert_eq!(of(&[], None), (0, 0, 1));
    }

    #[test]
    fn a_right_clean_earns_what_a_right_label_earns_unless_that_is_switched_off() {
        let clean = "<think>All is well.</think><answer>{\"labels\":[],\"score\":4.5}</answer>";
        let plain = ReactAttribution::default();
        assert_eq!(score(&plain, &json!([]), clean), Verdict::Score(0.6));
        let off = ReactAttribution {
            clean_is_label: false,
            ..plain.clone()
        };
        assert_eq!(score(&off, &json!([]), clean), Verdict::Score(0.0));
        assert_eq!(score(&plain, &json!([]), "no answer"), Verdict::Score(-0.2));
        assert_eq!(score(&off, &json!([]), "no answer"), Verdict::Score(0.0));
    }

    #[test]
    fn a_row_without_labels_is_named_and_not_scored() {
        let plain = ReactAttribution::default();
        for (row, words) in [
            (json!({}), ["no column `labels`", "[] for a clean frame"]),
            (
                json!({"labels": "motion blur"}),
                ["labels: found", "a list"],
            ),
            (
                json!({"labels": ["motion blur", "blurry"]}),
                ["labels[1]", "blurry"],
            ),
            (json!({"labels": [3]}), ["labels[0]: found 3", "a name"]),
        ] {
            let error = plain.check_row(row.as_object().unwrap()).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
        assert!(score(&plain, &json!(null), "x").reason().is_some());
    }
}
