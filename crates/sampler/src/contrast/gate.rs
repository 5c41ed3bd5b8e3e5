//! Where a drafted token is drawn again.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Where a drafted token is drawn again from `π_extra`. Parses from and prints as `always`,
/// `logp:-0.3`, `raised:0.3`, `abs:0.3`, `entropy:1`, `kl:0.1`, `random:0.1`.
///
/// ```
/// use percept_sampler::Gate;
/// assert_eq!("logp:-0.3".parse::<Gate>().unwrap(), Gate::LogProb(-0.3));
/// assert_eq!(Gate::Kl(0.5).to_string(), "kl:0.5");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
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

impl Gate {
    pub(super) fn threshold(self) -> Option<f64> {
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
}
