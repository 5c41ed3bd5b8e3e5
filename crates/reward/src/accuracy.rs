//! `accuracy`: is the answer right? The comparison is chosen by the ground truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Kind, Math, Verdict, Verifier};

/// Whether the final answer is the ground truth, judged as a choice letter where the ground truth
/// is one, else as mathematics (numbers, expressions, lists, plain words).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accuracy {
    /// Options of the mathematical comparison.
    pub math: Math,
}

impl Verifier for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        self.math.verify(batch)
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        self.math.check_ground_truth(ground_truth)
    }
}

impl Kind for Accuracy {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        self.math.build()?;
        Ok(Box::new(self.clone()))
    }
}
