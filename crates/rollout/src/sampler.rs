//! Continuous batching: a finished sequence leaves at once and the next one takes its slot.

use std::sync::Arc;

use percept_model::{Decoder, Model, Processor, Prompt, Sequence};
use rayon::prelude::*;

use crate::contrast::{Contrast, Place, Scratch, draw_pair};
use crate::second::Second;
use crate::waiting::{Prefixes, Waiting};
use crate::{Draw, Error, SamplingParams, Trace, draw};

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
    base: Option<Second<'a>>,
}

/// A sequence being decoded, by both models where there are two.
struct Slot {
    said: Said,
    sequence: Sequence,
    base: Option<Sequence>,
}

/// What a slot has said so far.
struct Said {
    rollout: Rollout,
    trace: Option<Trace>,
}

/// One call to [`Sampler::generate`].
struct Call<'c, 'a> {
    prompts: &'c [Arc<Prompt>],
    params: &'c SamplingParams,
    banned: Vec<u32>,
    /// The second model, where it is needed.
    base: Option<&'c Second<'a>>,
    traced: bool,
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
            base: None,
        })
    }

    /// Adds the second model of [`SamplingParams::extrapolate`] and of [`Sampler::trace`].
    ///
    /// # Errors
    /// [`Error::Pair`] when the models do not share tokens and patches, [`Error::Model`] when
    /// the second one cannot be decoded.
    pub fn with_base(mut self, model: &'a Model, processor: &Processor) -> Result<Self, Error> {
        let width = self.decoder.vocab_size();
        self.base = Some(Second::new(model, processor, self.processor, width)?);
        Ok(self)
    }

    /// The processor of the sampler's own model.
    pub fn processor(&self) -> &'a Processor {
        self.processor
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
        // The second model runs only where it can change a token.
        let needed = params.extrapolate.as_ref().is_some_and(|e| !e.is_plain());
        let call = self.call(prompts, params, needed, false)?;
        let said = self.run(&call, progress)?;
        Ok(said.into_iter().map(|said| said.rollout).collect())
    }

    /// As [`Sampler::generate`], with what both models said of every token.
    ///
    /// # Errors
    /// Those of [`Sampler::generate`]; [`Error::NoBase`] without [`Sampler::with_base`].
    pub fn trace(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<(Rollout, Trace)>, Error> {
        let call = self.call(prompts, params, true, true)?;
        let said = self.run(&call, progress)?;
        Ok(said
            .into_iter()
            .map(|said| (said.rollout, said.trace.unwrap_or_default()))
            .collect())
    }

    fn call<'c>(
        &'c self,
        prompts: &'c [Arc<Prompt>],
        params: &'c SamplingParams,
        needs_base: bool,
        traced: bool,
    ) -> Result<Call<'c, 'a>, Error> {
        params.check()?;
        let base = match (needs_base, &self.base) {
            (false, _) => None,
            (true, Some(base)) => Some(base),
            (true, None) => return Err(Error::NoBase),
        };
        Ok(Call {
            prompts,
            params,
            banned: self.processor.banned_ids(),
            base,
            traced,
        })
    }

    fn run(
        &self,
        call: &Call<'_, '_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Said>, Error> {
        let mut state = Progress {
            done: 0,
            total: call.prompts.len() * call.params.n,
            tokens: 0,
        };
        let mut finished: Vec<Said> = Vec::with_capacity(state.total);
        let mut waiting = Waiting::new(call.prompts.len(), call.params.n);
        let mut slots: Vec<Slot> = Vec::new();
        let mut logits = [Vec::new(), Vec::new()];
        while finished.len() < state.total {
            self.admit(call, &mut waiting, &mut slots)?;
            self.retire(call.params, &mut slots, &mut finished);
            if !slots.is_empty() {
                self.step(call, &mut slots, &mut logits)?;
                self.retire(call.params, &mut slots, &mut finished);
            }
            state.done = finished.len();
            let running = slots.iter().map(|slot| &slot.said);
            state.tokens = finished
                .iter()
                .chain(running)
                .map(|said| said.rollout.tokens.len())
                .sum();
            progress(state);
        }
        finished.sort_unstable_by_key(|said| (said.rollout.prompt, said.rollout.sample));
        Ok(finished)
    }

    /// Fills free slots: each admitted prompt is computed once, and its samples start together.
    fn admit(
        &self,
        call: &Call<'_, '_>,
        waiting: &mut Waiting,
        slots: &mut Vec<Slot>,
    ) -> Result<(), Error> {
        let jobs = waiting.take(call.params.max_num_seqs - slots.len());
        let mut fresh: Vec<usize> = jobs.iter().map(|&(prompt, _)| prompt).collect();
        fresh.dedup();
        fresh.retain(|&prompt| !waiting.has_prefix(prompt));
        let prefixes = fresh
            .par_iter()
            .map(|&index| {
                let prompt = &call.prompts[index];
                let prefill = |model: &Model, decoder: &Decoder| {
                    let rows = model.embed_prompt(prompt)?;
                    Ok::<_, Error>(decoder.prefill(
                        rows,
                        &prompt.tokens,
                        &prompt.positions,
                        prompt.next_position,
                    ))
                };
                let second = call.base.map(|base| prefill(base.model, &base.decoder));
                Ok(Prefixes {
                    own: prefill(self.model, &self.decoder)?,
                    base: second.transpose()?,
                })
            })
            .collect::<Result<Vec<Prefixes>, Error>>()?;
        for (index, prefixes) in fresh.into_iter().zip(prefixes) {
            waiting.keep(index, prefixes);
        }
        let mut scratch = Scratch::default();
        for (prompt, sample) in jobs {
            let prefixes = waiting.prefixes_of(prompt, sample);
            let rollout = Rollout {
                prompt,
                sample,
                tokens: Vec::new(),
                log_probs: Vec::new(),
                text: String::new(),
                finish_reason: FinishReason::Length,
                weight_version: self.weight_version,
            };
            let trace = call.traced.then(Trace::default);
            let mut said = Said { rollout, trace };
            let base_row = prefixes.base.as_ref().map(|prefix| prefix.logits());
            said.push(call, prefixes.own.logits(), base_row, &mut scratch)?;
            let room = call.params.max_tokens;
            let pair = call.base.zip(prefixes.base.as_ref());
            slots.push(Slot {
                said,
                sequence: self.decoder.start(&prefixes.own, room),
                base: pair.map(|(base, prefix)| base.decoder.start(prefix, room)),
            });
        }
        Ok(())
    }

    /// One token for every slot.
    fn step(
        &self,
        call: &Call<'_, '_>,
        slots: &mut Vec<Slot>,
        logits: &mut [Vec<f32>; 2],
    ) -> Result<(), Error> {
        let (mut said, mut sequences, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        for slot in slots.drain(..) {
            said.push(slot.said);
            sequences.push(slot.sequence);
            seconds.extend(slot.base);
        }
        let last: Vec<u32> = said
            .iter()
            .map(|s: &Said| s.rollout.tokens.last().copied().unwrap_or_default())
            .collect();
        let [own, second] = logits;
        self.decoder.step(&mut sequences, &last, own);
        let width = self.decoder.vocab_size();
        if let Some(base) = call.base {
            base.decoder.step(&mut seconds, &last, second);
            let base_width = base.decoder.vocab_size();
            said.par_iter_mut()
                .zip(own.par_chunks(width))
                .zip(second.par_chunks(base_width))
                .try_for_each_init(Scratch::default, |scratch, ((said, own), second)| {
                    said.push(call, own, Some(second), scratch)
                })?;
        } else {
            said.par_iter_mut()
                .zip(own.par_chunks(width))
                .try_for_each_init(Scratch::default, |scratch, (said, own)| {
                    said.push(call, own, None, scratch)
                })?;
        }
        let mut seconds = seconds.into_iter();
        slots.extend(
            said.into_iter()
                .zip(sequences)
                .map(|(said, sequence)| Slot {
                    said,
                    sequence,
                    base: seconds.next(),
                }),
        );
        Ok(())
    }

    /// Moves finished sequences out.
    fn retire(&self, params: &SamplingParams, slots: &mut Vec<Slot>, out: &mut Vec<Said>) {
        let mut index = 0;
        while index < slots.len() {
            let Some(reason) = self.finish(params, &slots[index].said.rollout.tokens) else {
                index += 1;
                continue;
            };
            let mut said = slots.swap_remove(index).said;
            said.rollout.finish_reason = reason;
            said.rollout.text = self.processor.decode(&said.rollout.tokens);
            out.push(said);
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

impl Said {
    /// Draws the next token from the rows of logits of one or two models.
    fn push(
        &mut self,
        call: &Call<'_, '_>,
        own: &[f32],
        base: Option<&[f32]>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let place = Place {
            prompt: self.rollout.prompt,
            sample: self.rollout.sample,
            position: self.rollout.tokens.len(),
        };
        let (params, banned) = (call.params, call.banned.as_slice());
        let drawn: Draw = match base {
            None => draw(own, params, banned, place.uniform(params.seed)),
            Some(base) => {
                let models = Contrast::new(own, base);
                let trace = self.trace.as_mut();
                draw_pair(&models, params, banned, place, scratch, trace)
            }
        };
        if !drawn.log_prob.is_finite() {
            return Err(Error::NonFinite {
                prompt: place.prompt,
                sample: place.sample,
                position: place.position,
            });
        }
        self.rollout.tokens.push(drawn.token);
        self.rollout.log_probs.push(drawn.log_prob);
        Ok(())
    }
}
