//! `accuracy`: is the answer right? The comparison is chosen by the ground truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Choice, Error, Extracted, Kind, Math, Verdict, Verifier};

/// Whether the final answer is the ground truth, judged as a choice letter where the ground truth
/// is one capital letter (`B`, `(B)`, `B.`), by either where it is several of them (`AC`, `A, C`, `A and C`), else
/// as mathematics (numbers, expressions, lists, plain words).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accuracy {
    /// Options of the comparison by letter.
    pub choice: Choice,
    /// Options of the mathematical comparison.
    pub math: Math,
}

/// What a ground truth is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// A choice letter.
    Letter,
    /// Choice letters, or a name made of them: `AC` is also a line segment.
    Letters,
    Other,
}

impl Accuracy {
    fn verdict(&self, answer: &Answer<'_>) -> Verdict {
        let one = |verifier: &dyn Verifier| {
            let mut verdicts = verifier.verify(std::slice::from_ref(answer));
            verdicts.pop().unwrap_or(Verdict::WRONG)
        };
        match answer.ground_truth.map_or(Truth::Other, kind) {
            Truth::Letter => one(&self.choice),
            Truth::Letters => match one(&self.choice) {
                Verdict::RIGHT => Verdict::RIGHT,
                _ => one(&self.math),
            },
            Truth::Other => one(&self.math),
        }
    }

    fn verifier(&self, ground_truth: Option<&str>) -> &dyn Verifier {
        match ground_truth.map_or(Truth::Other, kind) {
            Truth::Letter => &self.choice,
            Truth::Letters | Truth::Other => &self.math,
        }
    }
}

fn kind(text: &str) -> Truth {
    let text = text.trim();
    let inner = text.strip_prefix('(').unwrap_or(text);
    let inner = inner.strip_suffix([')', '.']).unwrap_or(inner);
    if matches!(inner.as_bytes(), [b'A'..=b'Z']) {
        return Truth::Letter;
    }
    // Nothing but letters of options in their order, and what stands between them in a list.
    let mut last = None;
    for part in text.split(|c: char| !c.is_alphanumeric()) {
        if part == "and" {
            continue;
        }
        for c in part.chars() {
            if !c.is_ascii_uppercase() || c > 'J' || last.is_some_and(|before| before >= c) {
                return Truth::Other;
            }
            last = Some(c);
        }
    }
    let listed = |c: char| c.is_alphanumeric() || ", ;、&()[]\"'.".contains(c);
    if last.is_some() && text.chars().all(listed) {
        Truth::Letters
    } else {
        Truth::Other
    }
}

impl Verifier for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.verdict(answer)).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        self.verifier(answer.ground_truth).extracted(answer)
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        self.verifier(Some(ground_truth))
            .check_ground_truth(ground_truth)
    }
}

impl Kind for Accuracy {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        self.math.build()?;
        Ok(Box::new(self.clone()))
    }

    fn reads(&self, column: &str) -> bool {
        self.choice.reads(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ground_truth_chooses_the_comparison() {
        let set = Accuracy::default();
        for (completion, truth, score) in [
            ("The answer is B because it is red.", "B", 1.0),
            ("\\boxed{B. red}", "(B)", 1.0),
            ("\\boxed{C}", "B", 0.0),
            ("\\boxed{\\frac{34}{2}}", "17", 1.0),
            ("\\boxed{x+1}", "1+x", 1.0),
            ("\\boxed{red}", "Red", 1.0),
            // B13
            ("A, C", "AC", 1.0),
            ("\\boxed{AC}", "A and C", 1.0),
            ("\\boxed{C}", "A and C", 0.0),
            ("\\boxed{A or C}", "AC", 0.0),
        ] {
            let answer = Answer {
                completion,
                ground_truth: Some(truth),
                meta: &serde_json::Map::new(),
                ..Answer::default()
            };
            assert_eq!(
                set.verify(&[answer]),
                [Verdict::Score(score)],
                "{completion}"
            );
        }
    }
}
