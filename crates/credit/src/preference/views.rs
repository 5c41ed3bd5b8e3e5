//! What a loss makes of single responses, for a person to look at.

use std::collections::BTreeMap;

use super::{
    Kind, PairLoss, PreferenceBatch, PreferenceConfig, PreferenceState, PreferenceTotals, Scores,
    evaluate::contrasted,
};
use crate::Error;

/// One response.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ResponseView {
    /// Implicit reward.
    pub reward: f64,
    /// Derivative of its pair's loss with respect to the reward: below 0 where the loss pulls it up. In AdaViP it moves
    /// between the contrast of answers and that of pictures.
    pub weight: f64,
}

/// Reward and weight of every response, by kind, in the order of the rows; kinds whose log-probability the loss does not
/// read are absent.
///
/// Errors: as [`preference_loss`](super::preference_loss).
pub fn response_views(
    config: &PreferenceConfig,
    batch: &PreferenceBatch<'_>,
    state: &PreferenceState,
    totals: &PreferenceTotals,
) -> Result<BTreeMap<Kind, Vec<ResponseView>>, Error> {
    let (method, needs) = (config.method(), config.needs());
    let found = contrasted(config, batch, state, totals)?;
    let scores = found.pairs.scores.iter();
    let read = scores.filter(|(kind, _)| needs.of_kind(**kind).log_prob);
    let views = read.map(|(&kind, scores)| {
        let slopes = &found.terms.slopes[&kind].log_prob;
        let view = |row: usize| ResponseView {
            reward: method.reward(scores, row),
            // The loss is a mean over pairs.
            weight: totals.pairs as f64 * slopes[row] / per_log_prob(method, scores, row),
        };
        (kind, (0..slopes.len()).map(view).collect())
    });
    Ok(views.collect())
}

/// How much the reward grows with the log-probability, in which it is linear.
fn per_log_prob(method: &dyn PairLoss, scores: &Scores, row: usize) -> f64 {
    let mut more = scores.clone();
    more.log_prob[row] += 1.0;
    more.plain[row] += 1.0;
    method.reward(&more, row) - method.reward(scores, row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Offsets;
    use crate::preference::{AdaVip, Responses};

    #[test]
    fn rewards_are_beta_times_the_ratio_and_adavips_weights_are_its_softmax() {
        let offsets = Offsets::from_lengths([2, 1]);
        let log_probs = [
            (Kind::Chosen, [-1.0, -2.0, -0.5]),
            (Kind::Rejected, [-2.0, -2.0, -0.5]),
            (Kind::ChosenRejectedImage, [-1.0, -1.5, -2.5]),
        ];
        let reference = [-1.0f32, -1.0, -1.0];
        let responses = log_probs.iter().map(|(kind, log_prob)| {
            let responses = Responses {
                log_prob: Some(log_prob),
                ref_log_prob: Some(&reference),
                ..Responses::new(&offsets)
            };
            (*kind, responses)
        });
        let batch = PreferenceBatch {
            pairs: 2,
            responses: responses.collect(),
            ..PreferenceBatch::default()
        };
        let beta = 0.5;
        let config = PreferenceConfig::AdaVip(AdaVip {
            beta,
            ..AdaVip::default()
        });
        let totals = PreferenceTotals::of(&batch);
        let views = response_views(&config, &batch, &PreferenceState::default(), &totals).unwrap();
        for (pair, tokens) in offsets.iter().enumerate() {
            let rewards = log_probs.map(|(kind, log_prob)| {
                let ratio: f32 = tokens.clone().map(|t| log_prob[t] - reference[t]).sum();
                let reward = beta * f64::from(ratio);
                assert!((views[&kind][pair].reward - reward).abs() < 1e-9);
                reward
            });
            let total: f64 = rewards.iter().map(|r| r.exp()).sum();
            let shares = rewards.map(|r| r.exp() / total);
            let expected = [shares[0] - 1.0, shares[1], shares[2]];
            for ((kind, _), expected) in log_probs.iter().zip(expected) {
                let found = views[kind][pair].weight;
                assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
            }
        }
    }
}
