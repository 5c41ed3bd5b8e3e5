//! Continuous batching: a finished sequence leaves at once and the next one takes its slot.

use std::sync::Arc;

use percept_model::{Decoder, Model, Prefix, Processor, Prompt, Sequence};
use rayon::prelude::*;

use crate::{Draw, Error, SamplingParams, draw, uniform};

/// Why a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// End-of-sequence token or stop text.
    Stop,
    /// `max_tokens`.
    Length,
}

impl FinishReason {
    /// `stop` or `length`, as the OpenAI API writes it.
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        }
    }
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Index of the prompt in the call.
    pub prompt: usize,
    /// Which of the prompt's `n` responses.
    pub sample: usize,
    /// Response tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the sampling temperature (see [`Draw::log_prob`]).
    pub log_probs: Vec<f32>,
    /// The response without special tokens.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Version of the weights that sampled it.
    pub weight_version: u64,
}

/// How far a call to [`Sampler::generate`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Finished responses.
    pub done: usize,
    /// Responses in all.
    pub total: usize,
    /// Tokens sampled so far.
    pub tokens: usize,
}

/// A snapshot of a model's weights that samples.
pub struct Sampler<'a> {
    model: &'a Model,
    processor: &'a Processor,
    decoder: Decoder,
    weight_version: u64,
}

/// A sequence being decoded.
struct Slot {
    rollout: Rollout,
    sequence: Sequence,
}

impl<'a> Sampler<'a> {
    /// Packs the weights for decoding; `weight_version` is stamped on every rollout.
    ///
    /// # Errors
    /// [`Error::Model`] when the model cannot be decoded.
    pub fn new(
        model: &'a Model,
        processor: &'a Processor,
        weight_version: u64,
    ) -> Result<Self, Error> {
        Ok(Self {
            model,
            processor,
            decoder: Decoder::new(model)?,
            weight_version,
        })
    }

    /// Samples `params.n` responses to each prompt, ordered by prompt, then sample.
    ///
    /// # Errors
    /// [`Error::Params`] for impossible parameters, [`Error::NonFinite`] for logits without a
    /// distribution, [`Error::Model`] when a prompt does not fit the model.
    pub fn generate(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Rollout>, Error> {
        check(params)?;
        let banned = self.processor.banned_ids();
        let mut state = Progress {
            done: 0,
            total: prompts.len() * params.n,
            tokens: 0,
        };
        let mut finished: Vec<Rollout> = Vec::with_capacity(state.total);
        let mut waiting = Waiting::new(prompts.len(), params.n);
        let mut slots: Vec<Slot> = Vec::new();
        let mut logits = Vec::new();
        while finished.len() < state.total {
            self.admit(prompts, params, &banned, &mut waiting, &mut slots)?;
            self.retire(params, &mut slots, &mut finished);
            if !slots.is_empty() {
                self.step(params, &banned, &mut slots, &mut logits)?;
                self.retire(params, &mut slots, &mut finished);
            }
            state.done = finished.len();
            state.tokens = finished.iter().map(|r| r.tokens.len()).sum::<usize>()
                + slots.iter().map(|s| s.rollout.tokens.len()).sum::<usize>();
            progress(state);
        }
        finished.sort_unstable_by_key(|r| (r.prompt, r.sample));
        Ok(finished)
    }

    /// Fills free slots: each admitted prompt is computed once, and its samples start together.
    fn admit(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        banned: &[u32],
        waiting: &mut Waiting,
        slots: &mut Vec<Slot>,
    ) -> Result<(), Error> {
        let jobs = waiting.take(params.max_num_seqs - slots.len());
        let mut fresh: Vec<usize> = jobs.iter().map(|&(prompt, _)| prompt).collect();
        fresh.dedup();
        fresh.retain(|&prompt| waiting.prefix(prompt).is_none());
        let prefixes = fresh
            .par_iter()
            .map(|&index| {
                let prompt = &prompts[index];
                let rows = self.model.embed_prompt(prompt)?;
                Ok(self
                    .decoder
                    .prefill(rows, &prompt.positions, prompt.next_position))
            })
            .collect::<Result<Vec<Arc<Prefix>>, Error>>()?;
        for (index, prefix) in fresh.into_iter().zip(prefixes) {
            waiting.keep(index, prefix);
        }
        for (prompt, sample) in jobs {
            let prefix = waiting.prefix_of(prompt, sample);
            let drawn = pick(prefix.logits(), params, banned, prompt, sample, 0)?;
            let rollout = Rollout {
                prompt,
                sample,
                tokens: vec![drawn.token],
                log_probs: vec![drawn.log_prob],
                text: String::new(),
                finish_reason: FinishReason::Length,
                weight_version: self.weight_version,
            };
            let sequence = self.decoder.start(&prefix, params.max_tokens);
            slots.push(Slot { rollout, sequence });
        }
        Ok(())
    }

    /// One token for every slot.
    fn step(
        &self,
        params: &SamplingParams,
        banned: &[u32],
        slots: &mut Vec<Slot>,
        logits: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let (mut rollouts, mut sequences): (Vec<Rollout>, Vec<Sequence>) = slots
            .drain(..)
            .map(|slot| (slot.rollout, slot.sequence))
            .unzip();
        let last: Vec<u32> = rollouts
            .iter()
            .map(|r| r.tokens.last().copied().unwrap_or_default())
            .collect();
        self.decoder.step(&mut sequences, &last, logits);
        rollouts
            .par_iter_mut()
            .zip(logits.par_chunks(self.decoder.vocab_size()))
            .try_for_each(|(rollout, row)| {
                let position = rollout.tokens.len();
                let drawn = pick(
                    row,
                    params,
                    banned,
                    rollout.prompt,
                    rollout.sample,
                    position,
                )?;
                rollout.tokens.push(drawn.token);
                rollout.log_probs.push(drawn.log_prob);
                Ok::<(), Error>(())
            })?;
        slots.extend(
            rollouts
                .into_iter()
                .zip(sequences)
                .map(|(rollout, sequence)| Slot { rollout, sequence }),
        );
        Ok(())
    }

    /// Moves finished sequences out.
    fn retire(&self, params: &SamplingParams, slots: &mut Vec<Slot>, out: &mut Vec<Rollout>) {
        let mut index = 0;
        while index < slots.len() {
            let Some(reason) = self.finish(params, &slots[index].rollout.tokens) else {
                index += 1;
                continue;
            };
            let mut rollout = slots.swap_remove(index).rollout;
            rollout.finish_reason = reason;
            rollout.text = self.processor.decode(&rollout.tokens);
            out.push(rollout);
        }
    }

    fn finish(&self, params: &SamplingParams, tokens: &[u32]) -> Option<FinishReason> {
        let last = tokens.last()?;
        if !params.ignore_eos && self.processor.eos_ids().contains(last) {
            return Some(FinishReason::Stop);
        }
        if let Some(longest) = params.stop.iter().map(String::len).max() {
            // A token adds at least one byte, or nothing at all when it is special.
            let tail = tokens.len().saturating_sub(longest + 8);
            let text = self.processor.decode(&tokens[tail..]);
            if params.stop.iter().any(|stop| text.contains(stop.as_str())) {
                return Some(FinishReason::Stop);
            }
        }
        (tokens.len() >= params.max_tokens).then_some(FinishReason::Length)
    }
}

fn check(params: &SamplingParams) -> Result<(), Error> {
    let problem = |field, found: String, expected| {
        Err(Error::Params {
            field,
            found,
            expected,
        })
    };
    if !(params.temperature >= 0.0 && params.temperature.is_finite()) {
        return problem(
            "temperature",
            params.temperature.to_string(),
            "0 (greedy) or more",
        );
    }
    if !(params.top_p > 0.0 && params.top_p <= 1.0) {
        return problem("top_p", params.top_p.to_string(), "above 0 and at most 1");
    }
    for (field, value) in [
        ("n", params.n),
        ("max_tokens", params.max_tokens),
        ("max_num_seqs", params.max_num_seqs),
    ] {
        if value == 0 {
            return problem(field, "0".into(), "1 or more");
        }
    }
    if params.stop.iter().any(String::is_empty) {
        return problem("stop", "an empty text".into(), "non-empty texts");
    }
    Ok(())
}

fn pick(
    logits: &[f32],
    params: &SamplingParams,
    banned: &[u32],
    prompt: usize,
    sample: usize,
    position: usize,
) -> Result<Draw, Error> {
    let u = uniform(params.seed, prompt as u64, sample as u64, position as u64);
    let drawn = draw(logits, params, banned, u);
    if !drawn.log_prob.is_finite() {
        return Err(Error::NonFinite {
            prompt,
            sample,
            position,
        });
    }
    Ok(drawn)
}

/// Jobs (prompt, sample) in order, and the prefixes that still have samples to start.
struct Waiting {
    next: usize,
    total: usize,
    n: usize,
    /// Only the prompts of unstarted samples are here: at most one after each admission.
    prefixes: Vec<(usize, Arc<Prefix>)>,
}

impl Waiting {
    fn new(prompts: usize, n: usize) -> Self {
        Self {
            next: 0,
            total: prompts * n,
            n,
            prefixes: Vec::new(),
        }
    }

    fn take(&mut self, free: usize) -> Vec<(usize, usize)> {
        let end = self.total.min(self.next + free);
        let jobs = (self.next..end)
            .map(|job| (job / self.n, job % self.n))
            .collect();
        self.next = end;
        jobs
    }

    fn prefix(&self, prompt: usize) -> Option<&Arc<Prefix>> {
        self.prefixes
            .iter()
            .find(|(index, _)| *index == prompt)
            .map(|(_, prefix)| prefix)
    }

    fn keep(&mut self, prompt: usize, prefix: Arc<Prefix>) {
        self.prefixes.push((prompt, prefix));
    }

    /// The prefix of a job; it is given away with the prompt's last sample.
    fn prefix_of(&mut self, prompt: usize, sample: usize) -> Arc<Prefix> {
        let at = self
            .prefixes
            .iter()
            .position(|(index, _)| *index == prompt)
            .expect("admit computes the prefix of every job that it takes");
        if sample + 1 == self.n {
            self.prefixes.swap_remove(at).1
        } else {
            Arc::clone(&self.prefixes[at].1)
        }
    }
}
