//! `accuracy`: is the answer right? The comparison is chosen by the ground truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Choice, Error, Extracted, Kind, Math, Verdict, Verifier};

/// Whether the final answer is the ground truth, judged as a choice letter where the ground truth
/// is one capital letter (`B`, `(B)`, `B.`), else as mathematics (numbers, expressions, lists, plain
/// words).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accuracy {
    /// Options of the comparison by letter.
    pub choice: Choice,
    /// Options of the mathematical comparison.
    pub math: Math,
}

impl Accuracy {
    fn verifier(&self, ground_truth: Option<&str>) -> &dyn Verifier {
        if ground_truth.is_some_and(is_letter) {
            &self.choice
        } else {
            &self.math
        }
    }
}

fn is_letter(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix('(').unwrap_or(text);
    let text = text.strip_suffix([')', '.']).unwrap_or(text);
    matches!(text.as_bytes(), [b'A'..=b'Z'])
}

impl Verifier for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch
            .iter()
            .flat_map(|answer| {
                let verifier = self.verifier(answer.ground_truth);
                verifier.verify(std::slice::from_ref(answer))
            })
            .collect()
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
        ] {
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
            assert_eq!(
                set.verify(&[answer]),
                [Verdict::Score(score)],
                "{completion}"
            );
        }
    }
}
