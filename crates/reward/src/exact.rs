//! `exact`: the answer is the ground truth, letter for letter, after normalisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Extracted, Kind, Verdict, Verifier, extract};

/// String match of the final answer with the ground truth.
///
/// The answer is the last `\boxed{…}`, else `<answer>…</answer>`, else what follows "answer is",
/// else the whole text after the thoughts. Several right answers may stand in the ground truth,
/// separated by `separator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {
    /// Compare without regard to upper and lower case. On by default: models vary it freely.
    pub ignore_case: bool,
    /// Compare without punctuation and English articles, as SQuAD and VQA scores do.
    pub ignore_punctuation: bool,
    /// Text between alternatives in the ground truth, for example `|`. Default: one answer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
}

impl Default for Exact {
    fn default() -> Self {
        Self {
            ignore_case: true,
            ignore_punctuation: true,
            separator: None,
        }
    }
}

impl Exact {
    fn normal(&self, text: &str) -> String {
        let text = if self.ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        let text: String = text
            .chars()
            .filter(|c| !self.ignore_punctuation || !c.is_ascii_punctuation())
            .collect();
        let articles: &[&str] = if self.ignore_punctuation {
            &["a", "an", "the"]
        } else {
            &[]
        };
        // An answer that is nothing but an article ("A") keeps it.
        let words = || text.split_whitespace();
        let kept: Vec<&str> = words().filter(|word| !articles.contains(word)).collect();
        if kept.is_empty() {
            words().collect::<Vec<_>>().join(" ")
        } else {
            kept.join(" ")
        }
    }

    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let Some(truth) = answer.ground_truth else {
            return Verdict::no_ground_truth();
        };
        if let Err(reason) = self.check_ground_truth(truth) {
            return Verdict::Ungraded(reason);
        }
        let found = self.normal(final_text(answer.completion));
        let right = match self.separator.as_deref() {
            Some(separator) => truth
                .split(separator)
                .any(|alternative| self.normal(alternative) == found),
            None => self.normal(truth) == found,
        };
        Verdict::right(right && !found.is_empty())
    }
}

/// The final answer's text; the whole text after the thoughts where nothing marks it.
pub(crate) fn final_text(completion: &str) -> &str {
    let tail = extract::after_thinking(completion);
    [tail, completion]
        .into_iter()
        .find_map(|text| {
            extract::boxed(text).or_else(|| extract::tagged(text, "<answer>", "</answer>"))
        })
        .or_else(|| extract::stated(tail))
        .unwrap_or_else(|| tail.trim())
}

impl Verifier for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        let text = final_text(answer.completion);
        Extracted::of((!text.is_empty()).then_some(text))
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        if self.normal(ground_truth).is_empty() {
            return Err("the ground truth is empty after normalisation".into());
        }
        Ok(())
    }
}

impl Kind for Exact {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if self.separator.as_deref() == Some("") {
            return Err(Error::option("separator", "\"\"", "some text"));
        }
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(options: &Exact, completion: &str, truth: &str) -> Option<f64> {
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
    fn case_punctuation_and_articles_do_not_matter_by_default() {
        let options = Exact::default();
        for (completion, truth) in [
            ("<think>hm</think> The red bus.", "red bus"),
            ("<answer>Red  Bus</answer>", "a red bus"),
            (r"It is \boxed{RED BUS}", "red bus"),
            ("The answer is A.", "A"),
        ] {
            assert_eq!(
                score(&options, completion, truth),
                Some(1.0),
                "{completion}"
            );
        }
        assert_eq!(score(&options, "blue", "red"), Some(0.0));
        assert_eq!(score(&options, "", "red"), Some(0.0));
        assert_eq!(score(&options, "red", " ."), None);
    }

    #[test]
    fn strictness_and_alternatives_are_options() {
        let strict = Exact {
            ignore_case: false,
            ignore_punctuation: false,
            separator: Some("|".into()),
        };
        assert_eq!(score(&strict, "Red", "red|blue"), Some(0.0));
        assert_eq!(score(&strict, "blue", "red|blue"), Some(1.0));
    }
}
