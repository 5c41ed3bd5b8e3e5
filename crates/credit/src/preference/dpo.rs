//! DPO: direct preference optimisation, with TRL's `loss_type`s.
//!
//! `L = −(1 − ε) log σ(x) − ε log σ(−x)`, `x = β [(log π_θ − log π_ref)(y_w) − (log π_θ − log π_ref)(y_l)]`,
//! log-probabilities summed over the tokens of a response; `ε` is `label_smoothing` (cDPO).
//! `∂L/∂log π_θ(y_w) = −β [(1 − ε) σ(−x) − ε σ(x)]`, and its negative for `y_l`.
//!
//! `loss_type` names another function of the two log-ratios, or several to be added: `["sigmoid",
//! "bco_pair", "sft"]` with `loss_weights = [0.8, 0.2, 1.0]` is InternVL's MPO. Sources: DPO arXiv
//! 2305.18290; SLiC 2305.10425 (`hinge`); IPO 2310.12036; EXO 2402.00856 (`exo_pair`); NCA 2402.05369
//! (`nca_pair`); Robust DPO 2403.00409; BCO 2404.04656 (`bco_pair`); SPPO 2405.00675 (`sppo_hard`); AOT
//! 2406.05882; APO 2408.06266; DiscoPOP 2406.08414; f-DPO 2309.16240; LD-DPO 2409.06411 (`ld_alpha`);
//! RPO 2404.19733 (`rpo_alpha`). Equal to TRL 1.16 `DPOTrainer` with the same options; `reference_free` and
//! `rpo_alpha` are options of earlier versions, as is `label_smoothing` for `sigmoid`. What TRL lets
//! overflow is bounded: exponents at 80.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    FDivergenceType, Kind, LossType, LossTypes, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    margin,
    math::{logistic, sigmoid, softplus},
    options::{check_beta, check_label_smoothing, check_weights},
};
use crate::{Error, error::require, signals::same_length};

/// Options of DPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// Loss of a pair: `sigmoid`, `hinge`, `ipo`, `exo_pair`, `nca_pair`, `robust`, `bco_pair`,
    /// `sppo_hard`, `aot`, `aot_unpaired`, `apo_zero`, `apo_down`, `discopop`, `sft`, `sigmoid_norm`, or a
    /// list of them. Default `sigmoid`.
    pub loss_type: LossTypes,
    /// Weights of the losses in the list. Default 1 each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_weights: Option<Vec<f64>>,
    /// How strongly the policy is held to the reference: the factor of the log-ratios. Default 0.1, as TRL
    /// and every multimodal script that was read.
    pub beta: f64,
    /// ε: share of labels taken to be wrong, in `sigmoid`, `sigmoid_norm`, `robust`, `exo_pair` (there
    /// more than 0; 1e-3 is usual) and `aot`. Default 0.
    pub label_smoothing: f64,
    /// Leave the reference out, as if it held all responses equally likely. Default false.
    pub reference_free: bool,
    /// Weight of the negative log-likelihood of the chosen responses, averaged over tokens, added to the
    /// loss. Default none; RPO uses 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpo_alpha: Option<f64>,
    /// LD-DPO: weight of a token beyond the length of the pair's shorter response. Default none: 1. Needs
    /// log-probabilities of single tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ld_alpha: Option<f64>,
    /// Divergence that holds the policy to the reference. Default `reverse_kl`; `forward_kl`,
    /// `js_divergence` and `alpha_divergence` go with losses of the difference of scores only.
    pub f_divergence_type: FDivergenceType,
    /// α of `alpha_divergence`. Default 0.5.
    pub f_alpha_divergence_coef: f64,
    /// τ of `discopop`. Default 0.05.
    pub discopop_tau: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Self {
            loss_type: LossTypes::default(),
            loss_weights: None,
            beta: 0.1,
            label_smoothing: 0.0,
            reference_free: false,
            rpo_alpha: None,
            ld_alpha: None,
            f_divergence_type: FDivergenceType::ReverseKl,
            f_alpha_divergence_coef: 0.5,
            discopop_tau: 0.05,
        }
    }
}

/// Loss of a pair and its slopes with respect to the log-ratios of chosen and rejected response.
type Found = (f64, [f64; 2]);

impl Dpo {
    /// Loss types with their weights.
    fn weighted(&self) -> impl Iterator<Item = (LossType, f64)> {
        let weights = self.loss_weights.iter().flatten().copied();
        let types = self.loss_type.all().iter().copied();
        types.zip(weights.chain(std::iter::repeat(1.0)))
    }

    /// A function of the difference of scores, which are divided by `divisors`.
    fn of_margin(
        &self,
        ratios: [f64; 2],
        divisors: [f64; 2],
        loss: impl Fn(f64) -> (f64, f64),
    ) -> Found {
        let score = |at: usize| {
            let (score, slope) = self
                .f_divergence_type
                .score(ratios[at], self.f_alpha_divergence_coef);
            (score / divisors[at], slope / divisors[at])
        };
        let ((chosen, d_chosen), (rejected, d_rejected)) = (score(0), score(1));
        let (loss, slope) = loss(chosen - rejected);
        (loss, [slope * d_chosen, -slope * d_rejected])
    }

    /// A function of `β ·` the difference of scores.
    fn of_reward_margin(
        &self,
        ratios: [f64; 2],
        divisors: [f64; 2],
        loss: impl Fn(f64) -> (f64, f64),
    ) -> Found {
        self.of_margin(ratios, divisors, |margin| {
            let (loss, slope) = loss(self.beta * margin);
            (loss, self.beta * slope)
        })
    }

    fn pair(&self, loss_type: LossType, ratios: [f64; 2], tokens: [f64; 2]) -> Found {
        let (beta, smoothing) = (self.beta, self.label_smoothing);
        let whole = [1.0; 2];
        let [a, b] = ratios.map(|ratio| beta * ratio);
        let bump = |x: f64| sigmoid(x) * sigmoid(-x);
        match loss_type {
            LossType::Sigmoid => self.of_reward_margin(ratios, whole, |x| logistic(x, smoothing)),
            LossType::SigmoidNorm => {
                self.of_reward_margin(ratios, tokens, |x| logistic(x, smoothing))
            }
            LossType::Hinge => self.of_reward_margin(ratios, whole, margin::hinge),
            LossType::Ipo => self.of_margin(ratios, tokens, |delta| margin::squared(delta, beta)),
            LossType::ExoPair => {
                self.of_reward_margin(ratios, whole, |x| margin::exo(x, smoothing))
            }
            LossType::Robust => {
                self.of_reward_margin(ratios, whole, |x| margin::robust(x, smoothing))
            }
            LossType::Discopop => {
                self.of_reward_margin(ratios, whole, |x| margin::discopop(x, self.discopop_tau))
            }
            LossType::NcaPair => (
                softplus(-a) + 0.5 * softplus(a) + 0.5 * softplus(b),
                [
                    beta * (0.5 * sigmoid(a) - sigmoid(-a)),
                    beta * 0.5 * sigmoid(b),
                ],
            ),
            LossType::BcoPair => (
                softplus(-a) + softplus(b),
                [-beta * sigmoid(-a), beta * sigmoid(b)],
            ),
            LossType::SppoHard => {
                let (winner, d_winner) = margin::squared(ratios[0], beta);
                let (loser, d_loser) = margin::squared(ratios[1], -beta);
                (winner + loser, [d_winner, d_loser])
            }
            LossType::ApoZero => (sigmoid(-a) + sigmoid(b), [-beta * bump(a), beta * bump(b)]),
            LossType::ApoDown => (
                sigmoid(a) + sigmoid(b - a),
                [beta * (bump(a) - bump(a - b)), beta * bump(a - b)],
            ),
            // These look at the whole batch.
            LossType::Aot | LossType::AotUnpaired | LossType::Sft => (0.0, whole.map(|_| 0.0)),
        }
    }

    /// The quantiles of one side against those of the other.
    fn sorted(&self, loss_type: LossType, scores: [&Scores; 2], weight: f64, out: &mut Terms) {
        let [chosen, rejected] = scores;
        let gain = |of: fn(&Scores, usize) -> f64| -> Vec<f64> {
            (0..chosen.rows.len())
                .map(|row| of(chosen, row) - of(rejected, row))
                .collect()
        };
        let ratios = |scores: &Scores| -> Vec<f64> {
            (0..scores.rows.len())
                .map(|row| scores.log_ratio(row))
                .collect()
        };
        let unpaired = loss_type == LossType::AotUnpaired;
        let (upper, lower) = match unpaired {
            true => (ratios(chosen), ratios(rejected)),
            false => (
                gain(|scores, row| scores.log_prob[row]),
                gain(|scores, row| scores.ref_log_prob[row]),
            ),
        };
        for (high, low) in order(&upper).into_iter().zip(order(&lower)) {
            let margin = self.beta * (upper[high] - lower[low]);
            let (loss, slope) = logistic(margin, self.label_smoothing);
            out.add(weight * loss);
            let slope = weight * self.beta * slope;
            out.slope(Kind::Chosen, high, slope);
            // Paired, the chosen and the rejected response of one pair make its gain.
            out.slope(Kind::Rejected, if unpaired { low } else { high }, -slope);
        }
    }
}

/// Indices by ascending value; equal values by position.
fn order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

impl PairLoss for Dpo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        let types = self.loss_type.all();
        require(
            !types.is_empty(),
            "preference.loss.loss_type",
            0.0,
            "name at least one loss",
        )?;
        if let Some(weights) = &self.loss_weights {
            same_length("loss_weights", weights.len(), types.len(), "loss types")?;
            for &weight in weights {
                check_weights(&[("preference.loss.loss_weights", weight)])?;
            }
        }
        check_label_smoothing(self.label_smoothing)?;
        require(
            !types.contains(&LossType::ExoPair) || self.label_smoothing > 0.0,
            "preference.loss.label_smoothing",
            self.label_smoothing,
            "exo_pair needs more than 0; its paper recommends 1e-3",
        )?;
        if let Some(other) = types.iter().find(|loss_type| !loss_type.takes_divergence())
            && self.f_divergence_type != FDivergenceType::ReverseKl
        {
            return Err(Error::Apart {
                first: "f_divergence_type",
                second: other.name(),
                why: "only losses of the difference of scores take another divergence than reverse_kl: sigmoid, \
                      sigmoid_norm, hinge, ipo, exo_pair, robust, discopop, sft",
            });
        }
        let ld_alpha = self.ld_alpha.unwrap_or(1.0);
        require(
            (0.0..=1.0).contains(&ld_alpha),
            "preference.loss.ld_alpha",
            ld_alpha,
            "it must lie between 0 and 1",
        )?;
        require(
            self.discopop_tau.is_finite() && self.discopop_tau > 0.0,
            "preference.loss.discopop_tau",
            self.discopop_tau,
            "it must exceed 0",
        )?;
        check_weights(&[
            ("preference.loss.rpo_alpha", self.rpo_alpha.unwrap_or(0.0)),
            (
                "preference.loss.f_alpha_divergence_coef",
                self.f_alpha_divergence_coef,
            ),
        ])
    }

    fn needs(&self) -> PreferenceNeeds {
        let kinds = [Kind::Chosen, Kind::Rejected];
        let needs = match self.reference_free {
            true => PreferenceNeeds::policy(&kinds),
            false => PreferenceNeeds::ratio(&kinds),
        };
        PreferenceNeeds {
            per_token: self.ld_alpha.is_some(),
            whole_batch: self
                .loss_type
                .all()
                .iter()
                .any(|loss_type| loss_type.sorts()),
            ..needs
        }
    }

    fn tail_weight(&self) -> Option<f64> {
        self.ld_alpha
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let scores = pairs.of([Kind::Chosen, Kind::Rejected]);
        for (loss_type, weight) in self.weighted() {
            match loss_type {
                LossType::Sft => out.likelihood(pairs, weight),
                LossType::Aot | LossType::AotUnpaired => {
                    self.sorted(loss_type, scores, weight, out)
                }
                _ => {
                    for pair in 0..pairs.len() {
                        let ratios = scores.map(|scores| scores.log_ratio(pair));
                        let tokens = scores.map(|scores| scores.divisor(pair));
                        let (loss, slopes) = self.pair(loss_type, ratios, tokens);
                        out.add(weight * loss);
                        out.slope(Kind::Chosen, pair, weight * slopes[0]);
                        out.slope(Kind::Rejected, pair, weight * slopes[1]);
                    }
                }
            }
        }
        if let Some(alpha) = self.rpo_alpha {
            out.likelihood(pairs, alpha);
        }
    }
}
