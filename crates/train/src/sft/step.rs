//! One step of supervised fine-tuning: the loss is the mean negative log-likelihood of the
//! assistant's tokens.

use std::time::Instant;

use percept_credit::{LossAggMode, Normaliser, Offsets, sft_loss};
use percept_model::Training;

use crate::batch::order::RowOrder;
use crate::batch::pack::{Packed, pack_training, training_batches};
use crate::batch::refused::{Refusal, Refused};
use crate::policy::local::{Objective, Update};
use crate::policy::schedule::learning_rate;
use crate::run::Run;
use crate::run::observer::Metrics;
use crate::{Error, SftConfig};

/// One optimiser step on the next rows.
pub(crate) fn step(run: &mut Run<'_>, config: &SftConfig) -> Result<Metrics, Error> {
    let clock = Instant::now();
    let (rows, skipped) = next_rows(run, config)?;
    let trained: usize = rows.iter().map(Training::trained_tokens).sum();
    let total = Normaliser {
        tokens: trained,
        sequences: rows.len(),
    };
    let mut loss = 0.0;
    let (mut tokens, mut vision_tokens) = (0, 0);
    let parts = training_batches(&rows, config.ppo_max_token_len);
    let passes = parts.iter().map(|part| pack_training(part));
    let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
    run.learner.share_images(&passes);
    for (index, (part, packed)) in parts.iter().zip(&passes).enumerate() {
        let dropout = run.dropout_seed(0, index);
        tokens += packed.batch.tokens.len();
        let offsets = Offsets::from_lengths(part.iter().map(|row| row.trained_tokens()));
        let mask = vec![true; offsets.tokens()];
        vision_tokens += run
            .learner
            .forward_backward(packed, 1.0, dropout, &mut |now| {
                let sft = sft_loss(
                    LossAggMode::TokenMean,
                    &offsets,
                    &now.log_prob,
                    &mask,
                    None,
                    &total,
                )?;
                loss += sft.loss;
                Ok(Objective {
                    loss: sft.loss,
                    d_log_prob: sft.d_log_prob,
                    d_entropy: None,
                    d_kl: None,
                })
            })?;
    }
    let lr = learning_rate(&config.optim, run.state.sft_step, config.steps);
    let update = run.learner.optim_step(&config.optim, lr)?;
    run.count_update(&update)?;
    run.state.tokens += tokens as u64;
    let seconds = clock.elapsed().as_secs_f64();
    let (grad_norm, skipped_updates) = match update {
        Update::Done { grad_norm } => (grad_norm, 0.0),
        Update::NotFinite => (f64::NAN, 1.0),
    };
    let named = [
        ("train/loss", loss),
        ("train/grad_norm", grad_norm),
        ("train/lr", lr),
        ("train/skipped_updates", skipped_updates),
        ("train/trained_tokens", trained as f64),
        ("data/skipped_rows", skipped as f64),
        ("perf/total_num_tokens", tokens as f64),
        ("perf/vision_tokens", vision_tokens as f64),
        ("perf/throughput", tokens as f64 / seconds),
        ("timing_s/step", seconds),
    ];
    Ok(named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// The next `train_batch_size` rows that have something to train on, and how many had not.
fn next_rows(run: &mut Run<'_>, config: &SftConfig) -> Result<(Vec<Training>, usize), Error> {
    let data = &run.data.sft;
    let mut order = RowOrder::new(data.len(), run.recipe.trainer.seed, run.recipe.data.shuffle);
    let mut rows = Vec::with_capacity(config.train_batch_size);
    let mut refused = Refused::default();
    while rows.len() < config.train_batch_size {
        let row = order.row(run.state.sft_position);
        run.state.sft_position += 1;
        match read(run, row, config.ppo_max_token_len) {
            Ok(training) => rows.push(training),
            Err(reason) => {
                let first = run.state.sft_position <= data.len() as u64;
                refused.add(row, reason, first, &mut run.seen.skipped);
                refused.check("sft", data.len())?;
            }
        }
    }
    Ok((rows, refused.count))
}

/// A row with something to train on that fits into a pass.
fn read(run: &Run<'_>, row: usize, limit: usize) -> Result<Training, Refusal> {
    let sample = run.data.sft.get(row);
    let sample = sample.map_err(|e| Refusal::of(&e.into(), &format!("row {}", row + 1)))?;
    let training = run.processor.sft(&sample);
    let training = training.map_err(|e| Refusal::of(&e.into(), &sample.id))?;
    let tokens = training.prompt.tokens.len();
    if tokens <= limit {
        return Ok(training);
    }
    let reason = format!("{tokens} tokens are more than sft.ppo_max_token_len ({limit})");
    Err(Refusal::new(&sample.id, reason))
}
