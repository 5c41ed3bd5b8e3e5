//! Sampling with two models.

use percept_data::Dataset;
use percept_reward::RewardSet;
use percept_sampler::{LocalSampler, SamplingParams};

use super::response::Response;
use crate::Error;
use crate::accuracy::{chunks, judge};

/// Samples and judges responses to the first `limit` rows (0: all) with both models of `sampler`.
/// The draws are those of [`evaluate`](crate::evaluate).
///
/// # Errors
/// Those of [`evaluate`](crate::evaluate), and a sampler without a second model.
pub fn responses(
    sampler: &LocalSampler<'_>,
    dataset: &dyn Dataset,
    rewards: &RewardSet,
    sampling: &SamplingParams,
    limit: usize,
) -> Result<Vec<Response>, Error> {
    let processor = sampler.processor();
    let mut found = Vec::new();
    chunks(processor, dataset, sampling, limit, |batch| {
        let traced = sampler.trace(batch.prompts, batch.params, &mut |_| {})?;
        let (rollouts, traces): (Vec<_>, Vec<_>) = traced.into_iter().unzip();
        let mut records = Vec::new();
        judge(
            batch.samples,
            batch.prompts,
            &rollouts,
            rewards,
            &mut records,
        );
        let parts = records.into_iter().zip(rollouts).zip(traces);
        found.extend(parts.map(|((record, rollout), trace)| {
            Response {
                record,
                token_text: rollout
                    .tokens
                    .iter()
                    .map(|&id| processor.token_text(id))
                    .collect(),
                tokens: rollout.tokens,
                trace,
            }
        }));
        Ok(())
    })?;
    Ok(found)
}
