//! The rollout engine beside the bare decoder: what admission, prefixes and leaving the batch cost.

use std::sync::Arc;

use percept_model::{Model, Processor, Prompt, TinyConfig};
use percept_sampler::{EngineConfig, LocalSampler, Sampler, SamplingParams};

use super::measure::best;
use super::row::{Row, Unit};
use super::subject::tokens;
use crate::shared::Failure;

/// As many prompts as the batch has places, each with one response of `new` tokens; `bare` is the
/// decoder's rate.
pub fn engine(
    model: &Model,
    (batch, prompt, new): (usize, usize, usize),
    (repeat, bare): (usize, Option<f64>),
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    // Its words do not matter: nothing ends a response early, and its text is not read.
    let processor = Processor::tiny(&TinyConfig::default())?;
    let config = EngineConfig {
        max_num_seqs: batch,
        ..EngineConfig::default()
    };
    let sampler = LocalSampler::new(model, &processor, 0)?.with_engine(config);
    let prompts: Vec<Arc<Prompt>> = (0..batch)
        .map(|row| Arc::new(Prompt::text(tokens(prompt, row), String::new())))
        .collect();
    let params = SamplingParams {
        max_tokens: new,
        ignore_eos: true,
        ..SamplingParams::default()
    };
    let mut failed = None;
    let ms = best(repeat, || {
        if let Err(error) = sampler.generate(&prompts, &params, &mut |_| {}) {
            failed.get_or_insert(error);
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    let name = format!("decode/batch {batch}, rollout engine");
    let rate = (batch * new) as f64 / ms * 1e3;
    let mut row = Row::new(&name, Unit::TokensPerSecond, rate);
    row.without = bare;
    rows.push(row);
    Ok(())
}
