//! The verifier `math`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, OutOfSteps, Stop};
use super::compare::Compare;
use super::value::Parsed;
use super::{normal, read};
use crate::{Answer, Error, Extracted, Extraction, Kind, Verdict, Verifier, extract};

/// Mathematical equivalence of the final answer and the ground truth.
///
/// A response without an answer is wrong. A ground truth that is no mathematics is compared as text;
/// one that is broken (empty, brackets that do not match) leaves its row ungraded, unless the
/// response is the same text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Math {
    /// Where the answer stands in a response.
    pub extraction: Extraction,
    /// Largest relative difference at which two real numbers are the same (0.05 is ChartQA's
    /// relaxed accuracy). Default: exactly, but a decimal of six or more digits also stands for what
    /// it is a rounding of: 0.333333 is 1/3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rel_tolerance: Option<f64>,
    /// Steps (bytes read, nodes evaluated) after which a verification is given up as ungraded. The
    /// default takes about a millisecond; a long answer of a textbook takes a hundredth of it.
    pub max_steps: usize,
}

impl Default for Math {
    fn default() -> Self {
        Self {
            extraction: Extraction::default(),
            rel_tolerance: None,
            max_steps: 100_000,
        }
    }
}

impl Math {
    /// Whether the answer in `completion` is `ground_truth`.
    pub fn judge(&self, completion: &str, ground_truth: &str) -> Verdict {
        let answer = self.extract(completion);
        match (self.ground_truth(ground_truth), answer) {
            (Ok(truth), Some(answer)) => self.against(&truth, &answer),
            (Ok(_), None) => Verdict::WRONG,
            (Err(reason), Some(answer)) => unread(ground_truth, &answer, reason),
            (Err(reason), None) => Verdict::Ungraded(reason),
        }
    }

    /// Whether two answers, without any text around them, are the same.
    ///
    /// ```
    /// use percept_reward::{Math, Verdict};
    /// let math = Math::default();
    /// assert_eq!(math.compare(r"\frac{x^2-1}{x-1}", "x + 1"), Verdict::RIGHT);
    /// assert_eq!(math.compare("1,234", "1234.5"), Verdict::WRONG);
    /// assert!(math.compare(r"\frac{1", "1").score().is_none());
    /// ```
    pub fn compare(&self, ground_truth: &str, answer: &str) -> Verdict {
        match self.ground_truth(ground_truth) {
            Ok(truth) => self.against(&truth, answer),
            Err(reason) => unread(ground_truth, answer, reason),
        }
    }

    fn against(&self, truth: &Parsed, text: &str) -> Verdict {
        let mut budget = Budget::new(self.max_steps);
        let answer = match read::answer(text, &mut budget) {
            Ok(answer) => answer,
            Err(Stop::Invalid(_)) => return Verdict::WRONG,
            Err(Stop::Budget) => return self.out_of_steps(),
        };
        let mut compare = Compare {
            tolerance: self.rel_tolerance,
            budget: &mut budget,
        };
        match compare.answers(truth, &answer) {
            Ok(same) => Verdict::right(same),
            Err(OutOfSteps) => self.out_of_steps(),
        }
    }

    fn out_of_steps(&self) -> Verdict {
        Verdict::Ungraded(format!("step budget of {} spent", self.max_steps))
    }

    fn ground_truth(&self, text: &str) -> Result<Parsed, String> {
        let inner = extract::boxed(text)
            .or_else(|| extract::tagged(text, "<answer>", "</answer>"))
            .or_else(|| text.contains("####").then(|| extract::stated(text))?)
            .unwrap_or(text);
        read::answer(inner, &mut Budget::new(self.max_steps)).map_err(|stop| match stop {
            Stop::Budget => format!("the ground truth needs more than {} steps", self.max_steps),
            Stop::Invalid(reason) => {
                let shown: String = inner.chars().take(80).collect();
                format!("the ground truth `{shown}` cannot be read: {reason}")
            }
        })
    }

    fn extract<'a>(&self, completion: &'a str) -> Option<Cow<'a, str>> {
        extract::final_answer(completion, self.extraction)
    }
}

/// A ground truth whose brackets do not match is a fault of the data: the same text is right, of any
/// other nothing can be said.
fn unread(ground_truth: &str, answer: &str, reason: String) -> Verdict {
    let same = normal::normal(ground_truth) == normal::normal(answer);
    if same && ground_truth.contains(char::is_alphanumeric) {
        return Verdict::RIGHT;
    }
    Verdict::Ungraded(reason)
}

impl Verifier for Math {
    fn name(&self) -> &str {
        "math"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch
            .iter()
            .map(|answer| match answer.ground_truth {
                Some(truth) => self.judge(answer.completion, truth),
                None => Verdict::no_ground_truth(),
            })
            .collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        Extracted::of(self.extract(answer.completion))
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        self.ground_truth(ground_truth).map(|_| ())
    }
}

impl Kind for Math {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if let Some(tolerance) = self.rel_tolerance
            && !(0.0..1.0).contains(&tolerance)
        {
            return Err(Error::option("rel_tolerance", tolerance, "0 to 1"));
        }
        if self.max_steps < 1000 {
            return Err(Error::option("max_steps", self.max_steps, "at least 1000"));
        }
        Ok(Box::new(self.clone()))
    }
}
