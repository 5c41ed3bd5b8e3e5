//! Sampling responses to prompts with a model in this process.

use std::sync::{Arc, Mutex, PoisonError};

use percept_model::{Model, Processor, Prompt};

use super::caches::Caches;
use super::call::Call;
use super::engine::Engine;
use super::partial::PartialRollout;
use super::runner::ModelRunner;
use super::running::Running;
use crate::{Error, FinishReason, Progress, Rollout, SamplingParams, Trace};

/// A snapshot of a model's weights that samples. Calls on one sampler run one after the other; they share the prompts
/// that were computed.
pub struct LocalSampler<'a> {
    processor: &'a Processor,
    own: ModelRunner<'a>,
    base: Option<ModelRunner<'a>>,
    weight_version: u64,
    kept: Mutex<Caches>,
}

impl<'a> LocalSampler<'a> {
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
            processor,
            own: ModelRunner::new(model)?,
            base: None,
            weight_version,
            kept: Mutex::default(),
        })
    }

    /// Adds the second model of [`SamplingParams::extrapolate`] and of [`LocalSampler::trace`].
    ///
    /// # Errors
    /// [`Error::Pair`] when the models do not share tokens and patches, [`Error::Model`] when
    /// the second one cannot be decoded.
    pub fn with_base(mut self, model: &'a Model, processor: &Processor) -> Result<Self, Error> {
        let width = self.own.decoder.vocab_size();
        self.base = Some(ModelRunner::second(
            model,
            processor,
            self.processor,
            width,
        )?);
        self.kept = Mutex::default();
        Ok(self)
    }

    /// The processor of the sampler's own model.
    pub fn processor(&self) -> &'a Processor {
        self.processor
    }

    /// Samples `params.n` responses to each prompt, ordered by prompt, then sample.
    ///
    /// # Errors
    /// [`Error::Params`] for impossible parameters, [`Error::KvCache`] when a sequence does not fit
    /// into `params.kv_cache_memory_bytes`, [`Error::NonFinite`] for logits without a distribution,
    /// [`Error::Model`] when a prompt does not fit the model.
    pub fn generate(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Rollout>, Error> {
        // The second model runs only where it can change a token.
        let needed = params.extrapolate.as_ref().is_some_and(|e| !e.is_plain());
        let said = self.run(&self.call(prompts, params, needed, false)?, progress)?;
        Ok(said.into_iter().map(|said| said.rollout).collect())
    }

    /// As [`LocalSampler::generate`], with what both models said of every token.
    ///
    /// # Errors
    /// Those of [`LocalSampler::generate`]; [`Error::NoBase`] without [`LocalSampler::with_base`].
    pub fn trace(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<(Rollout, Trace)>, Error> {
        let said = self.run(&self.call(prompts, params, true, true)?, progress)?;
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
        let mut sides = vec![&self.own];
        if needs_base {
            sides.push(self.base.as_ref().ok_or(Error::NoBase)?);
        }
        Ok(Call {
            prompts,
            params,
            banned: self.processor.banned_ids(),
            sides,
            traced,
            weight_version: self.weight_version,
        })
    }

    fn run(
        &self,
        call: &Call<'_, '_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PartialRollout>, Error> {
        // A call that failed half-way leaves nothing that the next one could not use.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_for(call.sides.len());
        let mut engine = Engine::new(call, &mut kept)?;
        let total = engine.progress.total;
        let mut finished: Vec<PartialRollout> = Vec::with_capacity(total.min(1 << 16));
        while finished.len() < total {
            engine.admit()?;
            self.retire(call.params, &mut engine.running, &mut finished);
            if !engine.running.is_empty() {
                engine.step()?;
                self.retire(call.params, &mut engine.running, &mut finished);
            }
            engine.progress.done = finished.len();
            engine.progress.tokens = engine.tokens() + count(&finished);
            progress(engine.progress);
        }
        engine.finish();
        finished.sort_unstable_by_key(PartialRollout::place);
        Ok(finished)
    }

    /// Moves finished sequences out.
    fn retire(
        &self,
        params: &SamplingParams,
        running: &mut Running,
        out: &mut Vec<PartialRollout>,
    ) {
        let mut index = 0;
        while let Some(said) = running.said.get(index) {
            let Some(reason) = self.finish(params, &said.rollout.tokens) else {
                index += 1;
                continue;
            };
            let mut said = running.remove(index);
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

fn count(said: &[PartialRollout]) -> usize {
    said.iter().map(|said| said.rollout.tokens.len()).sum()
}
