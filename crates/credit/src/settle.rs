//! What one part of an algorithm takes from another: a method's authors trained it with an aggregation
//! of the loss and a dual clip of their own. Each method says so in its own file
//! ([`crate::LossDefaults`]); what the recipe sets comes first.
//!
//! Where several methods have an aggregation, the policy loss's comes first (GSPO's and SAPO's
//! gradients are defined with it), then the estimator's, then the token weights'.

use crate::loss::LossConfig;
use crate::weight::TokenWeightConfig;
use crate::{AdvantageConfig, Error, LossAggMode};

impl LossConfig {
    /// Fills in what the recipe left open with what the chosen methods' authors set, and hands the
    /// dual clip to the token weights that read it. Call it before [`crate::policy_loss`] and
    /// [`crate::CreditConfig::reweight`]; a second call changes nothing.
    ///
    /// # Errors
    /// [`Error::Differ`] when a token weight and the loss say different dual clips.
    pub fn settle(
        &mut self,
        advantage: &AdvantageConfig,
        token_weight: &mut [TokenWeightConfig],
    ) -> Result<(), Error> {
        let own = self.policy_loss.method().loss_defaults();
        let mut all = vec![own, advantage.method().loss_defaults()];
        all.extend(token_weight.iter().map(|w| w.method().loss_defaults()));
        let mode = self.loss_agg_mode;
        self.loss_agg_mode = mode
            .or(all.iter().find_map(|method| method.loss_agg_mode))
            .or(Some(LossAggMode::default()));
        let brought = all.iter().find_map(|method| method.clip_ratio_c);
        let Some(clip_ratio_c) = self.policy_loss.method_mut().settle_dual_clip(brought) else {
            return Ok(());
        };
        for weight in token_weight {
            weight.method_mut().share_dual_clip(clip_ratio_c)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::DrGrpo;
    use crate::loss::{Gspo, PolicyLossConfig, Ppo, Sapo};
    use crate::weight::Fipo;

    fn settled(loss: LossConfig, advantage: AdvantageConfig) -> LossConfig {
        let mut loss = loss;
        loss.settle(&advantage, &mut []).unwrap();
        loss
    }

    fn with(policy_loss: PolicyLossConfig) -> LossConfig {
        LossConfig {
            policy_loss,
            ..LossConfig::default()
        }
    }

    // C7
    #[test]
    fn a_method_brings_its_authors_aggregation() {
        let grpo = AdvantageConfig::default;
        let dr_grpo = || AdvantageConfig::DrGrpo(DrGrpo {});
        let gspo = || PolicyLossConfig::Gspo(Gspo::default());
        let sapo = || PolicyLossConfig::Sapo(Sapo::default());
        for (loss, advantage, mode) in [
            (LossConfig::default(), grpo(), LossAggMode::TokenMean),
            (
                LossConfig::default(),
                dr_grpo(),
                LossAggMode::SeqMeanTokenSumNorm,
            ),
            (with(gspo()), grpo(), LossAggMode::SeqMeanTokenMean),
            (with(sapo()), grpo(), LossAggMode::SeqMeanTokenMean),
            (with(gspo()), dr_grpo(), LossAggMode::SeqMeanTokenMean),
        ] {
            assert_eq!(settled(loss, advantage).loss_agg_mode, Some(mode));
        }
        let set = LossConfig {
            loss_agg_mode: Some(LossAggMode::TokenMean),
            ..with(gspo())
        };
        assert_eq!(
            settled(set.clone(), dr_grpo()).loss_agg_mode,
            set.loss_agg_mode
        );
    }

    // C6
    #[test]
    fn fipo_and_the_loss_have_one_dual_clip() {
        let ppo = |clip_ratio_c| {
            with(PolicyLossConfig::Ppo(Ppo {
                clip_ratio_c,
                ..Ppo::default()
            }))
        };
        let fipo = |clip_ratio_c| {
            vec![TokenWeightConfig::Fipo(Fipo {
                clip_ratio_c,
                ..Fipo::default()
            })]
        };
        let grpo = AdvantageConfig::default();
        for (of_loss, of_fipo, expected) in [
            (None, None, 10.0),
            (Some(3.0), None, 3.0),
            (None, Some(4.0), 4.0),
            (Some(5.0), Some(5.0), 5.0),
        ] {
            let (mut loss, mut weights) = (ppo(of_loss), fipo(of_fipo));
            loss.settle(&grpo, &mut weights).unwrap();
            assert_eq!(
                loss,
                LossConfig {
                    loss_agg_mode: loss.loss_agg_mode,
                    ..ppo(Some(expected))
                }
            );
            assert_eq!(weights, fipo(Some(expected)));
            let before = (loss.clone(), weights.clone());
            loss.settle(&grpo, &mut weights).unwrap();
            assert_eq!((loss, weights), before, "a second call changes nothing");
        }
        let (mut loss, mut weights) = (ppo(Some(3.0)), fipo(Some(10.0)));
        let error = loss.settle(&grpo, &mut weights).unwrap_err().to_string();
        assert!(
            error.contains("clip_ratio_c") && error.contains("10"),
            "{error}"
        );
        let mut plain = ppo(None);
        plain.settle(&grpo, &mut []).unwrap();
        assert_eq!(plain.policy_loss, ppo(Some(3.0)).policy_loss);
    }
}
