//! Sampling responses to prompts with a model in this process.

use std::sync::{Arc, Mutex};

use percept_base::lock;
use percept_model::{Model, Processor, Prompt};

use super::caches::Caches;
use super::call::Call;
use super::config::EngineConfig;
use super::engine::Engine;
use super::partial::PartialRollout;
use super::runner::ModelRunner;
use super::running::Running;
use crate::{
    Error, Extrapolate, FinishReason, Progress, Response, Rollout, Sampler, SamplingParams, Trace,
};

/// A snapshot of a model's weights that samples. Calls on one sampler and its clones run one after the other; they share
/// the weights and the prompts that were computed.
#[derive(Clone)]
pub struct LocalSampler<'a> {
    processor: &'a Processor,
    own: Arc<ModelRunner<'a>>,
    base: Option<Arc<ModelRunner<'a>>>,
    weight_version: u64,
    engine: EngineConfig,
    extrapolate: Option<Extrapolate>,
    caches: Arc<Mutex<Caches>>,
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
            own: Arc::new(ModelRunner::new(model)?),
            base: None,
            weight_version,
            engine: EngineConfig::default(),
            extrapolate: None,
            caches: Arc::default(),
        })
    }

    /// The sampler with another engine configuration.
    pub fn with_engine(mut self, engine: EngineConfig) -> Self {
        self.engine = engine;
        self
    }

    /// Adds the second model of [`LocalSampler::with_extrapolate`] and [`LocalSampler::trace`].
    ///
    /// # Errors
    /// [`Error::Pair`] when the models do not share tokens and patches, [`Error::Model`] when
    /// the second one cannot be decoded.
    pub fn with_base(mut self, model: &'a Model, processor: &Processor) -> Result<Self, Error> {
        let width = self.own.decoder.vocab_size();
        let base = ModelRunner::second(model, processor, self.processor, width)?;
        self.base = Some(Arc::new(base));
        self.caches = Arc::default();
        Ok(self)
    }

    /// The sampler that decodes the second model in step and mixes the two; none: its own model alone.
    pub fn with_extrapolate(mut self, extrapolate: Option<Extrapolate>) -> Self {
        self.extrapolate = extrapolate;
        self
    }

    /// The processor of the sampler's own model.
    pub fn processor(&self) -> &'a Processor {
        self.processor
    }

    /// How two models are mixed, where they are.
    pub fn extrapolate(&self) -> Option<&Extrapolate> {
        self.extrapolate.as_ref()
    }

    /// How it decodes.
    pub fn engine(&self) -> &EngineConfig {
        &self.engine
    }

    /// As [`Sampler::generate`], with both models' numbers for every token.
    ///
    /// # Errors
    /// Those of [`Sampler::generate`]; [`Error::NoBase`] without [`LocalSampler::with_base`].
    pub fn trace(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<(Rollout, Trace)>, Error> {
        let rollouts = self.run(&self.call(prompts, params, true, true)?, progress)?;
        let rollouts = rollouts.into_iter();
        Ok(rollouts
            .map(|partial| (partial.rollout, partial.trace.unwrap_or_default()))
            .collect())
    }

    /// As [`Sampler::generate`], with a stream of random numbers for each prompt that the caller chooses: a response then
    /// does not depend on its place in the call, nor on what else is asked. Beside each rollout stand the `top_logprobs`
    /// likeliest first tokens of the sampler's own model with their log-probabilities under the sampling temperature,
    /// the likeliest first.
    ///
    /// # Errors
    /// Those of [`Sampler::generate`].
    pub fn respond(
        &self,
        prompts: &[Arc<Prompt>],
        streams: &[u64],
        params: &SamplingParams,
        top_logprobs: usize,
    ) -> Result<Vec<Response>, Error> {
        let needed = self.needs_base();
        let call = Call {
            streams: Some(streams),
            top_logprobs,
            ..self.call(prompts, params, needed, false)?
        };
        let rollouts = self.run(&call, &mut |_| {})?.into_iter();
        Ok(rollouts
            .map(|partial| Response {
                rollout: partial.rollout,
                first: partial.first,
            })
            .collect())
    }

    /// Whether the second model can change a token: it runs only then.
    fn needs_base(&self) -> bool {
        self.extrapolate.as_ref().is_some_and(|e| !e.is_plain())
    }

    fn call<'c>(
        &'c self,
        prompts: &'c [Arc<Prompt>],
        params: &'c SamplingParams,
        needs_base: bool,
        traced: bool,
    ) -> Result<Call<'c, 'a>, Error> {
        self.check(params)?;
        let mut models = vec![&*self.own];
        if needs_base {
            models.push(self.base.as_ref().ok_or(Error::NoBase)?);
        }
        Ok(Call {
            prompts,
            params,
            streams: None,
            top_logprobs: 0,
            engine: &self.engine,
            extrapolate: self.extrapolate.as_ref(),
            banned: self.processor.banned_ids(),
            models,
            traced,
            weight_version: self.weight_version,
        })
    }

    fn check(&self, params: &SamplingParams) -> Result<(), Error> {
        params.check()?;
        self.engine.check()?;
        let Some(extrapolate) = &self.extrapolate else {
            return Ok(());
        };
        if params.penalises() {
            let expected = "no penalty where a second model is decoded in step";
            return Error::params("extrapolate", "given".into(), expected);
        }
        extrapolate.check()
    }

    fn run(
        &self,
        call: &Call<'_, '_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PartialRollout>, Error> {
        // A call that failed half-way leaves nothing that the next one could not use.
        let mut caches = lock(&self.caches);
        caches.is_for(call.models.len());
        let mut engine = Engine::new(call, &mut caches)?;
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
        while let Some(partial) = running.rollouts.get(index) {
            let Some(reason) = self.finish(params, &partial.rollout.tokens) else {
                index += 1;
                continue;
            };
            let mut partial = running.remove(index);
            partial.rollout.finish_reason = reason;
            partial.rollout.text = self.processor.decode(&partial.rollout.tokens);
            out.push(partial);
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

impl Sampler for LocalSampler<'_> {
    /// # Errors
    /// Beside those of the parameters, [`Error::KvCache`] when a sequence does not fit into
    /// [`EngineConfig::kv_cache_memory_bytes`], [`Error::NonFinite`] for logits without a distribution,
    /// [`Error::NoBase`] where a second model is to be mixed in and there is none, [`Error::Model`] when a prompt does
    /// not fit the model.
    fn generate(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Rollout>, Error> {
        let rollouts = self.run(
            &self.call(prompts, params, self.needs_base(), false)?,
            progress,
        )?;
        Ok(rollouts
            .into_iter()
            .map(|partial| partial.rollout)
            .collect())
    }
}

fn count(rollouts: &[PartialRollout]) -> usize {
    rollouts
        .iter()
        .map(|partial| partial.rollout.tokens.len())
        .sum()
}
