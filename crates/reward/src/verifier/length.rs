//! `length`: shorter is better, up to a limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Kind, Verdict, Verifier};

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Response tokens.
    #[default]
    Tokens,
    /// Characters of the response's text.
    Characters,
}

/// How the score falls from 1 at `free_length` to 0 at `max_length`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthShape {
    /// `(1 + cos(π t)) / 2`: gentle at both ends (arXiv 2502.03373, appendix C.1; TRL's
    /// `get_cosine_scaled_reward`).
    #[default]
    Cosine,
    /// `1 − t`.
    Linear,
    /// 1 up to `max_length`, 0 beyond; `free_length` is not used.
    Limit,
}

/// A score in 0…1 that falls with the response's length.
///
/// On its own it teaches short wrong answers: give it `requires = "accuracy"`, which counts it only
/// for right ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Length {
    /// What is counted.
    pub unit: LengthUnit,
    /// How the score falls.
    pub shape: LengthShape,
    /// Length up to which the score is 1.
    pub free_length: usize,
    /// Length from which on the score is 0.
    pub max_length: usize,
}

impl Default for Length {
    fn default() -> Self {
        Self {
            unit: LengthUnit::default(),
            shape: LengthShape::default(),
            free_length: 0,
            max_length: 1024,
        }
    }
}

impl Length {
    /// Score of a response of this length.
    pub fn score(&self, length: usize) -> f64 {
        if self.shape == LengthShape::Limit {
            return f64::from(u8::from(length <= self.max_length));
        }
        let over = length.saturating_sub(self.free_length) as f64;
        let range = self.max_length.saturating_sub(self.free_length).max(1) as f64;
        let t = (over / range).min(1.0);
        match self.shape {
            LengthShape::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * t).cos()),
            LengthShape::Linear | LengthShape::Limit => 1.0 - t,
        }
    }
}

impl Verifier for Length {
    fn name(&self) -> &str {
        "length"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch
            .iter()
            .map(|answer| {
                Verdict::Score(self.score(match self.unit {
                    LengthUnit::Tokens => answer.n_tokens,
                    LengthUnit::Characters => answer.completion.chars().count(),
                }))
            })
            .collect()
    }

    fn needs_ground_truth(&self) -> bool {
        false
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl Kind for Length {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if self.max_length <= self.free_length {
            return Err(Error::option(
                "max_length",
                self.max_length,
                "more than free_length",
            ));
        }
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_falls_from_one_to_zero() {
        for shape in [LengthShape::Cosine, LengthShape::Linear, LengthShape::Limit] {
            let length = Length {
                shape,
                free_length: 10,
                max_length: 110,
                ..Length::default()
            };
            assert_eq!(length.score(0), 1.0);
            assert_eq!(length.score(10), 1.0);
            assert!(length.score(111) < 1e-9);
            let scores: Vec<f64> = (0..120).map(|n| length.score(n)).collect();
            assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]));
            if shape != LengthShape::Limit {
                assert!((length.score(60) - 0.5).abs() < 1e-9);
            }
        }
    }
}
