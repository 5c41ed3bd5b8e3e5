//! The recipe of a policy-gradient loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExpertLoss, KlLossType, LossAggMode, PolicyLossConfig};
use crate::{Error, error::require};

/// Policy loss, aggregation, KL, entropy and importance-sampling correction. Defaults are verl's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Policy loss and its clip. Default `{ name = "ppo" }` with clip 0.2/0.2 and dual clip 3.0.
    pub policy_loss: PolicyLossConfig,
    /// How per-token losses are averaged. Default: that of the method's authors, `seq-mean-token-mean`
    /// for `gspo` and `sapo`, `seq-mean-token-sum-norm` for `dr_grpo`; `token-mean` for all others, as
    /// verl.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_agg_mode: Option<LossAggMode>,
    /// Divisor of `seq-mean-token-sum-norm`, in tokens; other modes do not read it. Default none; the
    /// trainer should fill in `max_completion_length` (Dr.GRPO).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale_factor: Option<f64>,
    /// Whether a KL term holds the policy near the reference model. Default false (as verl, TRL,
    /// DAPO): no reference model is needed.
    pub use_kl_loss: bool,
    /// Weight of the KL term. Default 0.001 (verl `kl_loss_coef`); GRPO's paper uses 0.04.
    #[serde(alias = "kl_loss_coef")]
    pub kl_coef: f64,
    /// KL estimator, or the divergence itself: `full`. Default `k3` (verl `low_var_kl`).
    pub kl_loss_type: KlLossType,
    /// Weight of the entropy bonus. Default 0, as verl.
    pub entropy_coeff: f64,
    /// Truncated importance sampling: upper bound of the weight `π_old / π_rollout`. Default none (off,
    /// as verl): one engine samples and trains. 2.0 is usual for a remote sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_imp_ratio_cap: Option<f64>,
    /// Loss of rows that are experts' trajectories.
    pub expert: ExpertLoss,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            policy_loss: PolicyLossConfig::default(),
            loss_agg_mode: None,
            loss_scale_factor: None,
            use_kl_loss: false,
            kl_coef: 0.001,
            kl_loss_type: KlLossType::default(),
            entropy_coeff: 0.0,
            tis_imp_ratio_cap: None,
            expert: ExpertLoss::default(),
        }
    }
}

impl LossConfig {
    /// Refuses options outside their range; [`crate::policy_loss`] does so too.
    pub fn check(&self) -> Result<(), Error> {
        self.policy_loss.check()?;
        self.expert.check()?;
        self.agg_mode().scale(self.loss_scale_factor)?;
        let kl_coef = self.kl_coef;
        require(
            kl_coef.is_finite() && kl_coef >= 0.0,
            "kl_coef",
            kl_coef,
            "it must be at least 0",
        )?;
        let entropy = self.entropy_coeff;
        require(
            entropy.is_finite(),
            "entropy_coeff",
            entropy,
            "it must be finite",
        )?;
        let cap = self.tis_imp_ratio_cap.unwrap_or(1.0);
        require(
            cap > 0.0,
            "tis_imp_ratio_cap",
            cap,
            "it must exceed 0; 2.0 is usual",
        )
    }

    /// The aggregation in force: that of the recipe, else that of the policy loss's authors.
    /// [`LossConfig::settle`] also asks the other parts of the algorithm.
    pub fn agg_mode(&self) -> LossAggMode {
        let own = self.policy_loss.method().loss_defaults().loss_agg_mode;
        self.loss_agg_mode.or(own).unwrap_or_default()
    }

    /// Whether the loss compares the policy with a reference.
    pub fn needs_reference(&self) -> bool {
        self.use_kl_loss
    }

    /// Whether the loss reads the reference policy's log-probabilities.
    pub fn needs_ref_log_prob(&self) -> bool {
        self.use_kl_loss && self.kl_loss_type != KlLossType::Full
    }

    /// Whether the loss reads, and has a gradient with respect to, the divergence from the reference
    /// over the whole vocabulary.
    pub fn needs_ref_kl(&self) -> bool {
        self.use_kl_loss && self.kl_loss_type == KlLossType::Full
    }

    /// Whether the loss has a gradient with respect to the entropy.
    pub fn needs_entropy(&self) -> bool {
        self.entropy_coeff != 0.0
    }
}
