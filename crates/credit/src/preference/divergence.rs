//! f-DPO: the score of a response when the policy is held to the reference by another divergence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    margin::EXP_BOUND,
    math::{sigmoid, softplus},
};

/// Divergence between policy and reference (f-DPO, arXiv 2309.16240); TRL's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FDivergenceType {
    /// `KL(π_θ ‖ π_ref)`, the one of DPO: a response scores its log-ratio `x`.
    #[default]
    ReverseKl,
    /// `KL(π_ref ‖ π_θ)`: `1 − e^−x`.
    ForwardKl,
    /// Jensen–Shannon: `log 2 + log σ(x)`.
    JsDivergence,
    /// `(e^((α−1)x) − 1)/(α − 1)`, with `f_alpha_divergence_coef` for α.
    AlphaDivergence,
}

impl FDivergenceType {
    /// Score of a response whose log-ratio is `x`, and its derivative.
    pub(super) fn score(self, x: f64, alpha: f64) -> (f64, f64) {
        match self {
            Self::ReverseKl => (x, 1.0),
            Self::ForwardKl => {
                let (power, slope) = bounded_exp(-x);
                (1.0 - power, slope)
            }
            Self::JsDivergence => (std::f64::consts::LN_2 - softplus(-x), sigmoid(-x)),
            // TRL's limit case.
            Self::AlphaDivergence if (alpha - 1.0).abs() < 1e-6 => (x, 1.0),
            Self::AlphaDivergence => {
                let (power, slope) = bounded_exp((alpha - 1.0) * x);
                ((power - 1.0) / (alpha - 1.0), slope)
            }
        }
    }
}

/// `e^min(x, 80)`, and its derivative.
fn bounded_exp(x: f64) -> (f64, f64) {
    let power = x.min(EXP_BOUND).exp();
    (power, if x <= EXP_BOUND { power } else { 0.0 })
}
