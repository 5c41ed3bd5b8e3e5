//! The loss of expert rows (TGRL): no old policy sampled them, so there is no ratio.
//!
//! `ℓ = −A · f(p)` with the policy's probability `p = π_θ(e_t)`; `luffy`: `f = p / (p + c)`, whose
//! gradient `p c / (p + c)²` relative to `∂log p` is largest where the policy finds the expert's token
//! unlikely; `log_prob`: `f = log p`, supervised learning weighted by the advantage. No clip, no
//! Kullback-Leibler term, no entropy bonus on these rows.
//! Source: LUFFY, arXiv 2504.14945, and its code; that TGRL does so is \[INFERRED\].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TokenLoss;
use crate::{Error, error::require, requires::IdleOption};

/// Loss of the rows that are experts' trajectories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExpertLoss {
    /// Shape of the probability. Default `luffy`.
    pub shaping: Shaping,
    /// Constant of the shape `luffy`. Default 0.1.
    pub c: f64,
}

/// Shape of an expert token's probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shaping {
    /// `p / (p + c)`.
    #[default]
    Luffy,
    /// `log p`.
    LogProb,
}

impl Default for ExpertLoss {
    fn default() -> Self {
        Self {
            shaping: Shaping::Luffy,
            c: 0.1,
        }
    }
}

impl ExpertLoss {
    pub(super) fn check(&self) -> Result<(), Error> {
        let ok = self.c.is_finite() && self.c > 0.0;
        require(ok, "expert.c", self.c, "it must exceed 0")
    }

    /// The option that another one switches off.
    pub fn idle_option(&self) -> Option<IdleOption> {
        let idle = self.shaping == Shaping::LogProb && self.c != Self::default().c;
        idle.then_some(IdleOption {
            option: "c",
            because: "shaping is \"log_prob\"",
        })
    }

    /// Loss of a token.
    pub(super) fn token(&self, advantage: f64, log_prob: f64) -> TokenLoss {
        let (value, slope) = match self.shaping {
            Shaping::LogProb => (log_prob, 1.0),
            Shaping::Luffy => {
                let p = log_prob.exp();
                let sum = p + self.c;
                (p / sum, p * self.c / (sum * sum))
            }
        };
        TokenLoss {
            loss: -advantage * value,
            d_log_prob: -advantage * slope,
            ..TokenLoss::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_value() {
        for shaping in [Shaping::Luffy, Shaping::LogProb] {
            let loss = ExpertLoss { shaping, c: 0.1 };
            for log_prob in [-4.0, -1.0, -0.01] {
                let h = 1e-6;
                let ends = (
                    loss.token(1.7, log_prob + h).loss,
                    loss.token(1.7, log_prob - h).loss,
                );
                let numeric = (ends.0 - ends.1) / (2.0 * h);
                let found = loss.token(1.7, log_prob).d_log_prob;
                assert!((found - numeric).abs() < 1e-8, "{found} {numeric}");
            }
        }
    }
}
