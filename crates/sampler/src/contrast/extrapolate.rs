//! Decoding with two models in step: going further along the direction in which training moved
//! the model, or replacing single tokens of one model by the other's.
//!
//! `log π_extra = (1 + γ) log π_tuned − γ log π_base + const`, so `π_extra ∝ π_tuned · exp(γ Δ)`
//! with `Δ(y) = log π_tuned(y) − log π_base(y)`. At each position a token is drafted from one of
//! the two models; where the gate fires, the token is drawn from `π_extra` instead. γ = 0 is the
//! tuned model and γ = −1 the base, so replacing tokens is the same thing: the base drafts and
//! γ = 0, or the tuned model drafts and γ = −1. Source: arXiv 2603.22117, sections 3 and 5, and
//! its code; rows are `[vocabulary]`, logarithms natural, gates look at temperature 1.
//!
//! Where this differs from the authors' code: ids outside the other model's 50 likeliest get
//! their true log-probability there, not the least of that list (vLLM returns lists, here whole
//! rows are at hand), and gates see whole distributions. Inferred: the entropy of a gate is that
//! of the drafting model.

use serde::Serialize;

use super::gate::Gate;
use crate::Error;

/// Which model drafts tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Draft {
    /// The sampler's own model.
    #[default]
    Tuned,
    /// The second model.
    Base,
}

/// How two models are decoded in step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extrapolate {
    /// How far beyond the tuned model: 0 is the tuned model, −1 the base. The published runs use
    /// 0.05 to 0.1.
    pub gamma: f32,
    /// Where it is applied.
    pub gate: Gate,
    /// Which model drafts.
    pub draft: Draft,
    /// Tokens that may be drawn from `π_extra`: the drafting model's likeliest, 50 as in the
    /// authors' code (0: the whole vocabulary). Equals of the last one are candidates too.
    pub candidates: usize,
}

impl Default for Extrapolate {
    fn default() -> Self {
        Self {
            gamma: 0.1,
            gate: Gate::Always,
            draft: Draft::Tuned,
            candidates: 50,
        }
    }
}

impl Extrapolate {
    /// `π_extra` is the drafting model itself: nothing would change, so nothing is drawn again.
    pub fn is_plain(&self) -> bool {
        self.gamma
            == match self.draft {
                Draft::Tuned => 0.0,
                Draft::Base => -1.0,
            }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let problem = Error::params;
        if !self.gamma.is_finite() {
            return problem("gamma", self.gamma.to_string(), "a finite number");
        }
        match self.gate {
            Gate::Random(p) if !(0.0..=1.0).contains(&p) => {
                problem("gate", self.gate.to_string(), "random:0 to random:1")
            }
            gate if gate.threshold().is_some_and(f64::is_nan) => {
                problem("gate", gate.to_string(), "a threshold that is a number")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drafting_model_itself_is_plain() {
        let extra = |gamma, draft| Extrapolate {
            gamma,
            draft,
            ..Default::default()
        };
        assert!(extra(0.0, Draft::Tuned).is_plain());
        assert!(extra(-1.0, Draft::Base).is_plain());
        assert!(!extra(0.0, Draft::Base).is_plain());
        assert!(!extra(0.1, Draft::Tuned).is_plain());
    }
}
