//! One call of the sampler: what is decoded together, and what leaves when memory runs out.
//!
//! Continuous batching as in vLLM: a finished sequence leaves at once and the next one takes its slot. A sequence is
//! admitted while its keys and values fit; when the running ones outgrow the memory, the youngest is preempted, its
//! tokens are caches, and its keys and values are computed again when there is room. Tokens are drawn from counters, and a
//! prompt and a step give the same bits, so none of this changes what is sampled.

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::caches::Caches;
use super::call::Call;
use super::computed::ComputedPrompt;
use super::encodings::Encodings;
use super::images::Image;
use super::memory::{Memory, blocks, own_blocks};
use super::partial::{NextLogits, PartialRollout};
use super::prefix_cache::{CachedPrefix, Pin, PromptCells};
use super::rows::StepLogits;
use super::runner::PerModel;
use super::running::Running;
use super::waiting::{Waiting, WaitingSequence};
use crate::sampling::Scratch;
use crate::{Error, Progress};

/// Keys, values and pixels of prompts that nobody uses, where memory has no bound: 256 MiB. The start of the next
/// prompt is likely among the latest.
const IDLE: usize = 256 << 20;

/// A call that goes on.
pub(crate) struct Engine<'e> {
    call: &'e Call<'e, 'e>,
    caches: &'e mut Caches,
    memory: Memory,
    prompts: Vec<PromptCells>,
    encodings: Encodings,
    waiting: Waiting,
    pub running: Running,
    rows: PerModel<StepLogits>,
    pub progress: Progress,
}

impl<'e> Engine<'e> {
    pub fn new(call: &'e Call<'e, 'e>, caches: &'e mut Caches) -> Result<Self, Error> {
        let memory = Memory::new(call.engine, &call.models);
        let mut encodings = Encodings::default();
        let mut prompts = Vec::with_capacity(call.prompts.len());
        for (index, prompt) in call.prompts.iter().enumerate() {
            memory.check(index, prompt.tokens.len(), call.params.max_tokens)?;
            let rows = call.models[0].model.vision_rows(prompt)?;
            let image = |(patches, _): &(&Arc<_>, _)| match call.engine.enable_prefix_caching {
                true => caches.images.of(patches),
                false => caches.images.alone(patches),
            };
            let images: Vec<Arc<Image>> = rows.iter().map(image).collect();
            encodings.expect(&images);
            prompts.push(PromptCells::new(
                prompt,
                images,
                rows.iter().map(|(_, at)| *at),
            ));
        }
        Ok(Self {
            progress: Progress {
                total: call.prompts.len() * call.params.n,
                ..Progress::default()
            },
            waiting: Waiting::new(call.prompts.len(), call.params.n),
            rows: vec![StepLogits::default(); call.models.len()],
            running: Running::new(call.models.len()),
            call,
            caches,
            memory,
            prompts,
            encodings,
        })
    }

    /// Fills free slots as far as memory allows: each admitted prompt is computed once, and its samples start together.
    pub fn admit(&mut self) -> Result<(), Error> {
        let mut jobs: Vec<WaitingSequence> = Vec::new();
        let mut open: Vec<(usize, CachedPrefix)> = Vec::new();
        let mut planned = 0;
        while self.running.len() + jobs.len() < self.call.engine.max_num_seqs {
            let Some((prompt, sampled)) = self.waiting.peek() else {
                break;
            };
            let tokens = self.prompts[prompt].len();
            let is_open = open.iter().any(|(other, _)| *other == prompt);
            let start = match is_open || self.waiting.computed(prompt).is_some() {
                true => None,
                false => Some(self.find(prompt)),
            };
            let missing = start
                .as_ref()
                .map_or(0, |start| blocks(tokens) - blocks(start.tokens()));
            let needed = planned + missing + own_blocks(tokens, sampled);
            // Every running sequence can take one more block before one of them must leave.
            let running = self.running.len() + jobs.len();
            // What is known is not given up for a sequence that would not fit then either.
            let idle = self.caches.cache.idle_blocks();
            let could = self
                .memory
                .fits((needed + running).saturating_sub(idle), &self.call.models);
            if (could || running == 0) && self.make_room(needed + running) {
                planned = needed;
                open.extend(start.map(|start| (prompt, start)));
                jobs.extend(self.waiting.take());
            } else if running > 0 || !self.waiting.drop_computed() {
                // Alone, a sequence fits when no computed prompt waits beside it.
                break;
            }
        }
        self.compute(open)?;
        self.start(jobs)?;
        self.waiting.settle();
        self.note_memory();
        match self.waiting.peek() {
            Some((prompt, _)) if self.running.is_empty() => Err(self.refuse(prompt)),
            _ => Ok(()),
        }
    }

    /// The error of a sequence that does not fit alone. [`Memory::check`] has looked at all prompts, so this is only
    /// reached when something else holds the memory.
    fn refuse(&self, prompt: usize) -> Error {
        let tokens = self.prompts[prompt].len();
        self.memory
            .refuse(prompt, tokens, self.call.params.max_tokens)
    }

    fn note_memory(&mut self) {
        let used = self.memory.used(&self.call.models);
        self.progress.kv_cache_bytes = self.progress.kv_cache_bytes.max(used);
    }

    /// What is known of a prompt's start.
    fn find(&self, prompt: usize) -> CachedPrefix {
        match self.call.engine.enable_prefix_caching {
            true => self.caches.cache.find(&self.prompts[prompt]),
            false => CachedPrefix::default(),
        }
    }

    /// Makes `blocks` fit at the cost of prompts that nobody uses; whether they do.
    fn make_room(&mut self, blocks: usize) -> bool {
        while !self.memory.fits(blocks, &self.call.models) {
            if !self.caches.cache.evict() {
                return false;
            }
        }
        true
    }

    /// Computes prompts. Those that start alike wait for the first of them, so that the start is computed once.
    fn compute(&mut self, mut open: Vec<(usize, CachedPrefix)>) -> Result<(), Error> {
        if open.is_empty() {
            return Ok(());
        }
        while !open.is_empty() {
            let (mut now, mut later) = (Vec::new(), Vec::new());
            let mut leading = HashSet::new();
            for (prompt, mut start) in open {
                let leads = |key| leading.insert(key);
                match start.next.take().is_none_or(leads) {
                    true => now.push((prompt, start)),
                    false => later.push((prompt, start)),
                }
            }
            self.compute_together(now)?;
            for (prompt, start) in &mut later {
                // What is held since the admission may have been dropped from the cache since.
                let found = self.find(*prompt);
                start.next = found.next;
                if found.past.first().map_or(0, |past| past.tokens()) > start.tokens() {
                    start.past = found.past;
                }
            }
            open = later;
        }
        let most = self.memory.limit().unwrap_or(IDLE);
        self.caches.cache.trim(most, self.memory.block);
        Ok(())
    }

    fn compute_together(&mut self, now: Vec<(usize, CachedPrefix)>) -> Result<(), Error> {
        let mut images = Vec::new();
        for (prompt, start) in &now {
            let cells = &self.prompts[*prompt];
            self.progress.prefix_cache_queries += cells.len();
            self.progress.prefix_cache_hits += start.tokens();
            self.progress.mm_cache_queries += cells.images.len();
            self.progress.mm_cache_hits += cells.images.len();
            images.extend(cells.images_from(start.tokens()).cloned());
        }
        self.progress.mm_cache_hits -= self.encodings.encode(&images, &self.call.models)?;
        let (call, prompts, encodings) = (self.call, &self.prompts, &self.encodings);
        let prefill = |(prompt, start): (usize, CachedPrefix)| {
            let images = &prompts[prompt].images;
            let mut starts = start.past.into_iter();
            let models = call.models.iter().enumerate().map(|(model, runner)| {
                let start = starts.next().unwrap_or_else(|| runner.decoder.empty());
                let encoded = |image: &Image| encodings.of(image, model);
                runner.prefill(&call.prompts[prompt], start, images, encoded)
            });
            let prefixes = models.collect::<Result<PerModel<_>, Error>>()?;
            Ok::<_, Error>((prompt, prefixes))
        };
        // One prompt alone may use all threads.
        let computed: Vec<_> = match now.len() {
            1 => now.into_iter().map(prefill).collect::<Result<_, Error>>()?,
            _ => now
                .into_par_iter()
                .map(prefill)
                .collect::<Result<_, Error>>()?,
        };
        for (prompt, prefixes) in computed {
            let (cells, pin) = (&self.prompts[prompt], Pin::default());
            self.encodings.done(&cells.images);
            if self.call.engine.enable_prefix_caching {
                let past = prefixes.iter().map(|prefix| prefix.past());
                self.caches.cache.insert(cells, past, &pin);
            }
            self.waiting.keep(prompt, ComputedPrompt { prefixes, pin });
        }
        Ok(())
    }

    /// Sequences of computed prompts: new ones draw their first token, preempted ones get their own tokens back.
    fn start(&mut self, jobs: Vec<WaitingSequence>) -> Result<(), Error> {
        let (call, waiting) = (self.call, &self.waiting);
        let started = jobs
            .into_par_iter()
            .map_init(Scratch::default, |scratch, job| {
                let computed = waiting
                    .computed(job.prompt)
                    .expect("admit computes the prompt of every job that it takes");
                let (partial, replayed) = match job.partial {
                    Some(partial) => {
                        let replayed = partial.rollout.tokens.len() - 1;
                        (partial, replayed)
                    }
                    None => {
                        let mut partial = PartialRollout::new(call, job.prompt, job.sample);
                        let logits = |model: usize| Some(computed.prefixes.get(model)?.logits());
                        let next = NextLogits {
                            own: logits(0).unwrap_or_default(),
                            masses: None,
                            base: logits(1),
                        };
                        partial.push(call, next, scratch)?;
                        (partial, 0)
                    }
                };
                let models = call.models.iter().zip(&computed.prefixes);
                let sequences = models.map(|(runner, prefix)| {
                    let mut sequence = runner.decoder.start(prefix, call.params.max_tokens);
                    // The last token is the next step's.
                    runner
                        .decoder
                        .replay(&mut sequence, &partial.rollout.tokens[..replayed]);
                    sequence
                });
                Ok::<_, Error>((sequences.collect(), partial, computed.pin.clone()))
            });
        for (sequences, partial, pin) in started.collect::<Result<Vec<_>, Error>>()? {
            self.running.push(partial, sequences, pin);
        }
        Ok(())
    }

    /// One token for every sequence that has room for it; the youngest leave until all have.
    pub fn step(&mut self) -> Result<(), Error> {
        self.preempt()?;
        let Running {
            rollouts,
            sequences,
            ..
        } = &mut self.running;
        let last: Vec<u32> = rollouts.iter().map(PartialRollout::last).collect();
        let models = self.call.models.iter().zip(sequences);
        for ((runner, sequences), rows) in models.zip(&mut self.rows) {
            let (scale, StepLogits { logits, masses }) = (self.call.params.scale(), rows);
            (runner.decoder).step_masses(sequences, &last, scale, logits, masses);
        }
        let (call, rows) = (self.call, &self.rows);
        rollouts.par_iter_mut().enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (index, partial)| {
                let row = |model: usize| Some(rows.get(model)?.row(index, last.len()));
                let (own, masses) = row(0).unwrap_or_default();
                let next = NextLogits {
                    own,
                    masses: Some(masses),
                    base: row(1).map(|(logits, _)| logits),
                };
                partial.push(call, next, scratch)
            },
        )?;
        self.note_memory();
        Ok(())
    }

    /// Makes room for the next token of all sequences that stay.
    fn preempt(&mut self) -> Result<(), Error> {
        loop {
            if self.make_room(self.running.growing()) {
                return Ok(());
            }
            let places = self
                .running
                .rollouts
                .iter()
                .map(PartialRollout::place)
                .enumerate();
            let youngest = places.max_by_key(|(_, place)| *place);
            match youngest {
                Some((index, _)) if self.running.len() > 1 => {
                    self.progress.num_preemptions += 1;
                    self.waiting.preempt(self.running.remove(index));
                }
                Some((_, (prompt, _))) if !self.waiting.drop_computed() => {
                    return Err(self.refuse(prompt));
                }
                _ => {}
            }
        }
    }

    /// Tokens that unfinished responses have.
    pub fn tokens(&self) -> usize {
        let running = self.running.rollouts.iter();
        let running = running.map(|partial| partial.rollout.tokens.len());
        running.sum::<usize>() + self.waiting.tokens()
    }

    /// Ends the call: what the next one may use stays, within bounds.
    pub fn finish(self) {
        let (caches, most) = (self.caches, self.memory.limit().unwrap_or(IDLE));
        // Nothing of this call is in use any more.
        drop((self.running, self.waiting, self.prompts));
        caches.cache.trim(most, self.memory.block);
        caches.images.sweep();
    }
}
