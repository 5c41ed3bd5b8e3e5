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

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, contrast::Contrast};

/// Which model drafts tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Draft {
    /// The sampler's own model.
    #[default]
    Tuned,
    /// The second model.
    Base,
}

/// Where a drafted token is drawn again from `π_extra`. Parses from and prints as `always`,
/// `logp:-0.3`, `raised:0.3`, `abs:0.3`, `entropy:1`, `kl:0.1`, `random:0.1`.
///
/// ```
/// use percept_rollout::Gate;
/// assert_eq!("logp:-0.3".parse::<Gate>().unwrap(), Gate::LogProb(-0.3));
/// assert_eq!(Gate::Kl(0.5).to_string(), "kl:0.5");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Everywhere.
    #[default]
    Always,
    /// The drafted token was lowered by training: Δ ≤ this.
    LogProb(f64),
    /// The drafted token was raised by training: Δ ≥ this.
    Raised(f64),
    /// Training moved the drafted token: |Δ| ≥ this.
    Abs(f64),
    /// The drafting model is unsure: the entropy of its distribution in nats ≥ this.
    Entropy(f64),
    /// Training moved the distribution: KL(tuned ‖ base) in nats ≥ this.
    Kl(f64),
    /// By chance, with this probability.
    Random(f64),
}

/// How two models are decoded in step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
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
        let problem = |field, found: String, expected| {
            Err(Error::Params {
                field,
                found,
                expected,
            })
        };
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

impl Gate {
    fn threshold(self) -> Option<f64> {
        match self {
            Gate::Always => None,
            Gate::LogProb(t)
            | Gate::Raised(t)
            | Gate::Abs(t)
            | Gate::Entropy(t)
            | Gate::Kl(t)
            | Gate::Random(t) => Some(t),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Gate::Always => "always",
            Gate::LogProb(_) => "logp",
            Gate::Raised(_) => "raised",
            Gate::Abs(_) => "abs",
            Gate::Entropy(_) => "entropy",
            Gate::Kl(_) => "kl",
            Gate::Random(_) => "random",
        }
    }

    /// Whether the gate looks at the drafted token. Then the second draw needs a random number of
    /// its own: the first one is no longer uniform once the gate has fired.
    pub(crate) fn sees_draft(self) -> bool {
        matches!(self, Gate::LogProb(_) | Gate::Raised(_) | Gate::Abs(_))
    }

    /// `token` is the drafted one (any for gates that do not look at it), `u` a uniform number.
    pub(crate) fn fires(self, models: &Contrast<'_>, draft: Draft, token: u32, u: f64) -> bool {
        match self {
            Gate::Always => true,
            Gate::LogProb(tau) => models.delta(token) <= tau,
            Gate::Raised(tau) => models.delta(token) >= tau,
            Gate::Abs(least) => models.delta(token).abs() >= least,
            Gate::Entropy(least) => models.entropy(draft) >= least,
            Gate::Kl(least) => models.kl() >= least,
            Gate::Random(p) => u < p,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threshold() {
            None => f.write_str(self.name()),
            Some(threshold) => write!(f, "{}:{threshold}", self.name()),
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected always, logp:TAU, raised:TAU, abs:MIN, entropy:MIN, kl:MIN or \
                        random:PROBABILITY";
        if text == "always" {
            return Ok(Gate::Always);
        }
        let (name, value) = text.split_once(':').ok_or(expected)?;
        let make = match name {
            "logp" => Gate::LogProb,
            "raised" => Gate::Raised,
            "abs" => Gate::Abs,
            "entropy" => Gate::Entropy,
            "kl" => Gate::Kl,
            "random" => Gate::Random,
            _ => return Err(expected.into()),
        };
        let value: f64 = value
            .trim()
            .parse()
            .map_err(|_| format!("{value:?} is not a number; {expected}"))?;
        if value.is_nan() || (name == "random" && !(0.0..=1.0).contains(&value)) {
            return Err(format!("{value} is no threshold of {name}; {expected}"));
        }
        Ok(make(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_read_what_they_print() {
        for text in [
            "always",
            "logp:-0.3",
            "logp:-inf",
            "raised:0.25",
            "abs:1",
            "entropy:0.5",
            "kl:0.01",
            "random:0.1",
        ] {
            assert_eq!(text.parse::<Gate>().unwrap().to_string(), text);
        }
        for text in ["", "logp", "logp:x", "kl:NaN", "random:1.5", "sometimes:1"] {
            let said = text.parse::<Gate>().unwrap_err();
            assert!(said.contains("expected"), "{text}: {said}");
        }
    }

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
