//! A step's rollouts as `rollouts/step-000123.parquet`.

use percept_credit::Credit;
use percept_report::{RewardPart, RolloutRecord, RunDir, write_rollouts};
use percept_reward::Verdict;

use crate::Error;
use crate::stages::rl::group::Group;
use crate::stages::rl::setup::Setup;
use crate::stages::rl::signals::Batch;

/// Writes the groups of step `step`.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub(crate) fn write(
    setup: &Setup<'_>,
    dir: &RunDir,
    step: u64,
    groups: &[Group],
    batch: &Batch,
    credit: &Credit,
) -> Result<(), Error> {
    let mut records = Vec::with_capacity(batch.offsets.rows());
    let algorithm = setup.algorithm();
    let sets = algorithm.credit().token_sets(&batch.signals())?;
    let weighted = !algorithm.token_weight.is_empty();
    let mut row = 0;
    for group in groups {
        let images = group
            .sample
            .images
            .iter()
            .map(|image| image.encoded())
            .collect::<Result<Vec<_>, _>>()?;
        for (index, is_expert) in group.is_expert().enumerate() {
            let range = batch.offsets.row(row);
            row += 1;
            let rollout = &group.rollouts[index];
            let advantages = &credit.advantage[range.clone()];
            let entropy = &batch.entropy[range.clone()];
            let measured = !entropy.iter().any(|e| e.is_nan());
            records.push(RolloutRecord {
                step,
                weight_version: rollout.weight_version,
                prompt_id: group.sample.id.clone(),
                sample: rollout.sample as u32,
                is_expert,
                question_type: Some(percept_eval::question_type(&group.sample)),
                answer: group.sample.answer.clone(),
                prompt: group.prompt.text.clone(),
                completion: rollout.text.clone(),
                finish_reason: rollout.finish_reason.name().to_owned(),
                reward: group.scores[index],
                advantage: credit.mask[range.clone()]
                    .first()
                    .is_some_and(|m| *m)
                    .then(|| {
                        let sum: f64 = advantages.iter().map(|&a| f64::from(a)).sum();
                        sum / advantages.len() as f64
                    }),
                reward_parts: group.rewards[index].parts.iter().map(part).collect(),
                tokens: rollout.tokens.clone(),
                token_text: rollout
                    .tokens
                    .iter()
                    .map(|&id| setup.processor.token_text(id))
                    .collect(),
                log_probs: rollout.log_probs.clone(),
                entropy: if measured {
                    entropy.to_vec()
                } else {
                    Vec::new()
                },
                token_advantages: advantages.to_vec(),
                nucleus_entropy: batch
                    .nucleus_entropy
                    .as_ref()
                    .map(|all| all[range.clone()].to_vec()),
                log_prob_no_image: batch
                    .log_prob_no_image
                    .as_ref()
                    .map(|all| all[range.clone()].to_vec()),
                token_set: sets.as_ref().map(|sets| sets[range.clone()].to_vec()),
                weights: weighted.then(|| credit.weight[range.clone()].to_vec()),
                images: images.clone(),
            });
        }
    }
    Ok(write_rollouts(&dir.rollouts_of(step), &records)?)
}

fn part((name, verdict): &(String, Verdict)) -> RewardPart {
    match verdict {
        Verdict::Score(score) => RewardPart {
            name: name.clone(),
            value: Some(*score),
            reason: None,
        },
        Verdict::Ungraded(reason) => RewardPart {
            name: name.clone(),
            value: None,
            reason: Some(reason.clone()),
        },
    }
}
