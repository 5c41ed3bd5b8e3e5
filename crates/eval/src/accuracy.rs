//! Accuracy of a model on a data set with verifiable answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use percept_data::{Dataset, Sample};
use percept_model::{Processor, Prompt};
use percept_reward::{Answer, RewardSet};
use percept_sampler::{FinishReason, Rollout, Sampler, SamplingParams};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Estimate, estimate};

/// Rows that are decoded together; bounds memory, changes no result.
const CHUNK: usize = 256;

/// One judged response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The row.
    pub id: String,
    /// `meta.question_type` of the row, or `all`.
    pub question_type: String,
    /// Which of the n responses.
    pub sample: usize,
    /// The prompt's text as the model saw it.
    pub prompt: String,
    /// The response.
    pub completion: String,
    /// The right answer.
    pub answer: Option<String>,
    /// Score of the first reward function; none where it could not grade.
    pub score: Option<f64>,
    /// Every part of the reward, by the function's label.
    #[serde(deserialize_with = "parts_of_any_version")]
    pub parts: Vec<Part>,
    /// Response tokens.
    pub tokens: usize,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// The prompt's pictures: files beside the records ([`keep_pictures`](crate::keep_pictures)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// The verdict of one reward function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The function's label.
    pub name: String,
    /// Its score; none where it could not grade.
    pub score: Option<f64>,
    /// Why there is no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Versions up to 0.1.0 wrote `["accuracy", {"Ok": 1.0}]` and `["accuracy", {"Err": "…"}]`.
fn parts_of_any_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Now(Part),
        Before(String, Result<f64, String>),
    }
    let parts = Vec::<Any>::deserialize(deserializer)?.into_iter();
    let read = parts.map(|part| match part {
        Any::Now(part) => part,
        Any::Before(name, judged) => Part {
            name,
            score: judged.as_ref().ok().copied(),
            reason: judged.err(),
        },
    });
    Ok(read.collect())
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean score of the first reward function over rows (a row's n responses are averaged
    /// first; ungraded responses are left out).
    pub accuracy: Estimate,
    /// The same by `meta.question_type`.
    pub by_type: Vec<(String, Estimate)>,
    /// Responses that the verifier could not grade.
    pub ungraded: usize,
    /// Mean response length in tokens.
    pub response_length: f64,
    /// Share of responses cut at the length limit.
    pub clip_ratio: f64,
    /// Every response.
    pub records: Vec<Record>,
}

/// Samples responses to the first `limit` rows of `dataset` (0: all) and judges them; `processor` makes the prompts.
///
/// # Errors
/// A row that cannot be read or turned into a prompt stops the evaluation: an accuracy over the
/// rows that happened to work would not be one.
pub fn evaluate(
    sampler: &dyn Sampler,
    processor: &Processor,
    dataset: &dyn Dataset,
    rewards: &RewardSet,
    sampling: &SamplingParams,
    limit: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error> {
    let mut records = Vec::new();
    chunks(processor, dataset, sampling, limit, |batch| {
        let rollouts = sampler.generate(batch.prompts, batch.params, &mut |_| {})?;
        judge(
            batch.samples,
            batch.prompts,
            &rollouts,
            rewards,
            &mut records,
        );
        progress(batch.end, batch.total);
        Ok(())
    })?;
    Ok(summarise(records))
}

/// Rows that are decoded together.
pub(crate) struct Chunk<'a> {
    pub samples: &'a [Sample],
    pub prompts: &'a [Arc<Prompt>],
    /// Sampling parameters with the chunk's seed.
    pub params: &'a SamplingParams,
    /// The row after the last one.
    pub end: usize,
    pub total: usize,
}

/// Calls `visit` for the first `limit` rows (0: all), chunk by chunk.
pub(crate) fn chunks(
    processor: &Processor,
    dataset: &dyn Dataset,
    sampling: &SamplingParams,
    limit: usize,
    mut visit: impl FnMut(&Chunk<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let total = if limit == 0 {
        dataset.len()
    } else {
        limit.min(dataset.len())
    };
    for start in (0..total).step_by(CHUNK) {
        let samples = (start..total.min(start + CHUNK))
            .map(|row| dataset.get(row))
            .collect::<Result<Vec<Sample>, _>>()?;
        let prompts = samples
            .iter()
            .map(|sample| processor.prompt(sample).map(Arc::new))
            .collect::<Result<Vec<Arc<Prompt>>, _>>()?;
        let params = SamplingParams {
            seed: sampling.seed.wrapping_add(start as u64),
            ..sampling.clone()
        };
        visit(&Chunk {
            samples: &samples,
            prompts: &prompts,
            params: &params,
            end: start + samples.len(),
            total,
        })?;
    }
    Ok(())
}

pub(crate) fn judge(
    samples: &[Sample],
    prompts: &[Arc<Prompt>],
    rollouts: &[Rollout],
    rewards: &RewardSet,
    records: &mut Vec<Record>,
) {
    let conversations: Vec<_> = samples.iter().map(Sample::conversation).collect();
    let answers: Vec<Answer<'_>> = rollouts
        .iter()
        .map(|rollout| Answer {
            completion: &rollout.text,
            ground_truth: samples[rollout.prompt].answer.as_deref(),
            alternatives: &samples[rollout.prompt].alternatives,
            prompt: &prompts[rollout.prompt].text,
            finished: rollout.finish_reason == FinishReason::Stop,
            n_tokens: rollout.tokens.len(),
            meta: &samples[rollout.prompt].meta,
            token_ids: &rollout.tokens,
            messages: conversations[rollout.prompt].as_ref(),
        })
        .collect();
    let judged = rewards.judge(&answers);
    for (rollout, reward) in rollouts.iter().zip(judged) {
        let sample = &samples[rollout.prompt];
        let parts: Vec<Part> = reward
            .parts
            .into_iter()
            .map(|(name, verdict)| Part {
                name,
                score: verdict.score(),
                reason: verdict.reason().map(str::to_owned),
            })
            .collect();
        records.push(Record {
            id: sample.id.clone(),
            question_type: question_type(sample),
            sample: rollout.sample,
            prompt: prompts[rollout.prompt].text.clone(),
            completion: rollout.text.clone(),
            answer: sample.answer.clone(),
            score: parts.first().and_then(|part| part.score),
            parts,
            tokens: rollout.tokens.len(),
            finish_reason: rollout.finish_reason.name().to_owned(),
            images: Vec::new(),
        });
    }
}

/// `meta.question_type`, or `all` where a data set has no types.
pub fn question_type(sample: &Sample) -> String {
    sample
        .meta
        .get("question_type")
        .and_then(|value| value.as_str())
        .map_or_else(|| "all".to_owned(), str::to_owned)
}

/// Summary numbers of judged responses.
pub fn summarise(records: Vec<Record>) -> Evaluation {
    let mut rows: BTreeMap<&str, (&str, Vec<f64>)> = BTreeMap::new();
    for record in &records {
        let row = rows
            .entry(&record.id)
            .or_insert((&record.question_type, Vec::new()));
        row.1.extend(record.score);
    }
    let mut all = Vec::new();
    let mut by_type: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (kind, scores) in rows.values() {
        if scores.is_empty() {
            continue;
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        all.push(mean);
        by_type.entry(kind).or_default().push(mean);
    }
    let by_type = by_type
        .into_iter()
        .map(|(k, v)| (k.to_owned(), estimate(&v)))
        .collect();
    let count = records.len().max(1) as f64;
    Evaluation {
        accuracy: estimate(&all),
        by_type,
        ungraded: records.iter().filter(|r| r.score.is_none()).count(),
        response_length: records.iter().map(|r| r.tokens as f64).sum::<f64>() / count,
        clip_ratio: records
            .iter()
            .filter(|r| r.finish_reason == "length")
            .count() as f64
            / count,
        records,
    }
}
