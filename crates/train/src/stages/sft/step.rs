//! One step of supervised fine-tuning: the loss is the mean negative log-likelihood of the
//! assistant's tokens, without those of spans that the epoch masks.

use std::time::Instant;

use percept_credit::{LossAggMode, Normaliser, Offsets, sft_loss};
use percept_data::Dataset;
use percept_model::{Processor, SpanMarkers, Training};

use crate::batch::order::{RowOrder, dropout_seed};
use crate::batch::pack::{Packed, pack_training, training_batches};
use crate::batch::refused::{Refusal, Refused};
use crate::policy::Policy;
use crate::policy::schedule::learning_rate;
use crate::policy::values::{Objective, PassOptions, Update};
use crate::recipe::parts::steps_over;
use crate::run::opened::Opened;
use crate::run::stage::{Stage, Step, Stepped};
use crate::{Error, Recipe, SftConfig};

/// The stage `[sft]`.
pub(crate) struct Sft<'a> {
    config: &'a SftConfig,
    data: &'a dyn Dataset,
    processor: &'a Processor,
    seed: u64,
    shuffle: bool,
}

impl<'a> Sft<'a> {
    /// The stage, where the recipe has it.
    pub(crate) fn of(recipe: &'a Recipe, opened: &'a Opened) -> Option<Self> {
        Some(Self {
            config: recipe.sft.as_ref()?,
            data: opened.data.sft.as_ref(),
            processor: &opened.processor,
            seed: recipe.trainer.seed,
            shuffle: recipe.data.shuffle,
        })
    }
}

impl<P: Policy> Stage<P> for Sft<'_> {
    fn name(&self) -> &'static str {
        "sft"
    }

    fn steps(&self) -> usize {
        self.total_steps()
    }

    fn rows(&self) -> usize {
        self.data.len()
    }

    /// One optimiser step on the next rows.
    fn step(&mut self, step: &mut Step<'_, '_, P>) -> Result<Stepped, Error> {
        let clock = Instant::now();
        let (rows, skipped) = self.next_rows(step)?;
        let trained: usize = rows.iter().map(Training::trained_tokens).sum();
        let total = Normaliser {
            tokens: trained,
            sequences: rows.len(),
        };
        let mut loss = 0.0;
        let (mut tokens, mut vision_tokens) = (0, 0);
        let parts = training_batches(&rows, self.config.ppo_max_token_len);
        let passes = parts.iter().map(|part| pack_training(part));
        let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
        let options = PassOptions::default();
        step.policy.plan_update(&passes, &options);
        for (index, (part, packed)) in parts.iter().zip(&passes).enumerate() {
            let dropout = dropout_seed(self.seed, step.updates.global_step(), 0, index);
            let pass = step.policy.forward(packed, &options, dropout)?;
            tokens += packed.batch.tokens.len();
            vision_tokens += pass.vision_tokens;
            let objective = likelihood(part, &pass.values.log_prob, &total)?;
            loss += objective.loss;
            step.policy.backward(pass.saved, &objective)?;
        }
        let lr = learning_rate(&self.config.optim, step.done, self.total_steps());
        let update = step.policy.optim_step(&self.config.optim, lr)?;
        step.updates.count(&update, &mut step.seen)?;
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
        let named = named.into_iter();
        Ok(Stepped {
            metrics: named
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            tokens,
        })
    }
}

/// The loss of a forward pass, as its share of the step's.
fn likelihood(
    rows: &[&Training],
    log_prob: &[f32],
    total: &Normaliser,
) -> Result<Objective, Error> {
    let offsets = Offsets::from_lengths(rows.iter().map(|row| row.trained_tokens()));
    let mask = vec![true; offsets.tokens()];
    let mode = LossAggMode::TokenMean;
    let sft = sft_loss(mode, &offsets, log_prob, &mask, None, total)?;
    Ok(Objective {
        loss: sft.loss,
        d_log_prob: sft.d_log_prob,
        d_entropy: None,
        d_kl: None,
    })
}

impl Sft<'_> {
    fn total_steps(&self) -> usize {
        let config = self.config;
        let (steps, epochs) = (config.steps, config.num_train_epochs);
        steps_over(self.data.len(), steps, epochs, config.train_batch_size)
    }

    /// The epoch of a position of the row order, from 1. The last batch of `num_train_epochs` is filled from the rows
    /// behind the last epoch, which are of that epoch then.
    fn epoch(&self, position: u64) -> usize {
        let epoch = (position / self.data.len().max(1) as u64) as usize + 1;
        let last = self
            .config
            .num_train_epochs
            .map(|epochs| epochs.ceil() as usize);
        last.map_or(epoch, |last| epoch.min(last.max(1)))
    }

    /// The next `train_batch_size` rows that have something to train on, and how many had not.
    fn next_rows<P>(&self, step: &mut Step<'_, '_, P>) -> Result<(Vec<Training>, usize), Error> {
        let len = self.data.len();
        let mut order = RowOrder::new(len, self.seed, self.shuffle);
        let mut rows = Vec::with_capacity(self.config.train_batch_size);
        let mut refused = Refused::default();
        while rows.len() < self.config.train_batch_size {
            let row = order.row(step.position);
            let masked = self.config.masked_in(self.epoch(step.position));
            step.position += 1;
            match self.read(row, &masked) {
                Ok(training) => rows.push(training),
                Err(reason) => {
                    let first = step.position <= len as u64;
                    refused.add(row, reason, first, &mut step.seen.skipped);
                    refused.check("sft", len)?;
                }
            }
        }
        Ok((rows, refused.count))
    }

    /// A row with something to train on besides the spans `masked` that fits into a pass.
    fn read(&self, row: usize, masked: &[SpanMarkers]) -> Result<Training, Refusal> {
        let sample = self.data.get(row);
        let sample = sample.map_err(|e| Refusal::of(&e.into(), &format!("row {}", row + 1)))?;
        let training = self.processor.sft_without(&sample, masked);
        let training = training.map_err(|e| Refusal::of(&e.into(), &sample.id))?;
        if !masked.is_empty() && training.trained_tokens() == 0 {
            let reason = "every token of the answer is in a span of sft.mask_spans".to_owned();
            return Err(Refusal::new(&sample.id, reason));
        }
        let (tokens, limit) = (training.prompt.tokens.len(), self.config.ppo_max_token_len);
        if tokens <= limit {
            return Ok(training);
        }
        let reason = format!("{tokens} tokens are more than sft.ppo_max_token_len ({limit})");
        Err(Refusal::new(&sample.id, reason))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
