//! One step of preference optimisation, top to bottom:
//! rows → pairs → reference → loss → weights.

mod columns;
pub(crate) mod lengths;
mod memory;
mod metrics;
mod pair;
mod reader;
mod records;
mod reference;
mod requirements;
mod rows;
mod segments;
mod setup;
mod stored;
#[cfg(test)]
mod tests;
mod update;
mod words;

use std::sync::atomic::Ordering;
use std::time::Instant;

use percept_credit::preference::Kind;
use percept_report::RunDir;

use crate::policy::Policy;
use crate::policy::schedule::learning_rate;
use crate::policy::values::Weights;
use crate::run::news::News;
use crate::run::observer::Event;
use crate::run::opened::Opened;
use crate::run::stage::{Begin, Stage, Step, Stepped};
use crate::stages::dpo::columns::Known;
use crate::stages::dpo::memory::Memory;
use crate::stages::dpo::metrics::Cost;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::records::Seen;
use crate::stages::dpo::reference::{Reference, each_alone, folder};
use crate::stages::dpo::setup::Setup;
use crate::{Error, Recipe};

/// The stage `[dpo]`.
pub(crate) struct Dpo<'a> {
    setup: Setup<'a>,
    reference: Reference,
    /// Whether it was said that some pairs have no rejected picture.
    said_language_only: bool,
}

impl<'a> Dpo<'a> {
    /// The stage, where the recipe has it.
    pub(crate) fn of(recipe: &'a Recipe, opened: &'a Opened) -> Option<Self> {
        let setup = Setup::of(recipe, opened)?;
        Some(Self {
            reference: setup.reference(),
            setup,
            said_language_only: false,
        })
    }

    /// Whether a second model is in memory all the time.
    fn keeps_model(&self) -> bool {
        matches!(self.reference, Reference::Model) || self.setup.passes().reads_ref_kl()
    }
}

impl<P: Policy> Stage<P> for Dpo<'_> {
    fn name(&self) -> &'static str {
        "dpo"
    }

    fn steps(&self) -> usize {
        self.setup.steps()
    }

    fn rows(&self) -> usize {
        self.setup.data.len()
    }

    fn check(&self) -> Result<(), Error> {
        let loss = self.setup.options.loss.name();
        requirements::check(loss, &self.setup.needs, self.setup.data)
    }

    /// The reference is the policy at the start of the stage: a second model, or what it says of every pair.
    fn begin(&mut self, policy: &mut P, at: &mut Begin<'_, '_>) -> Result<(), Error> {
        let (run, keeps_model) = (at.dir.path(), self.keeps_model());
        if keeps_model || !matches!(self.reference, Reference::None) {
            policy.keep_reference(&folder(run))?;
        }
        if keeps_model {
            policy.load_reference(&folder(run))?;
        }
        let setup = &self.setup;
        let seen = setup.steps().saturating_mul(setup.config.train_batch_size);
        let total = seen.min(setup.data.len());
        if let Reference::Stored { .. } = self.reference {
            at.news.notice(format!(
                "dpo: the reference is asked about {total} pairs, once; what it says is kept in the run folder"
            ));
        }
        let progress = |done| {
            at.news.event(Event::Precomputing { done, total });
            !at.stop.load(Ordering::Relaxed)
        };
        let (rows, passes) = (setup.rows(), setup.passes());
        self.reference
            .precompute(policy, run, &passes, rows.distinct(seen), progress)
    }

    fn resume(&mut self, policy: &mut P, dir: &RunDir) -> Result<Option<String>, Error> {
        if self.keeps_model() {
            policy.load_reference(&folder(dir.path()))?;
        }
        Ok(None)
    }

    /// One optimiser step on the next pairs.
    fn step(&mut self, step: &mut Step<'_, '_, P>) -> Result<Stepped, Error> {
        let (setup, clock) = (&self.setup, Instant::now());
        let mut memory = Memory::read(&step.memory);
        let count = setup.config.train_batch_size;
        let rows = setup.rows();
        let (mut all, skipped) = rows.next(count, &mut step.position, &mut step.seen.skipped)?;
        if let Some(general) = setup.general_rows() {
            let news = &mut step.seen.skipped;
            all.extend(general.next(count, &mut memory.general_position, news)?.0);
        }
        let pairs: Vec<&Pair> = all.iter().collect();

        let before = Instant::now();
        let (needs, run, passes) = (&setup.needs, step.dir.path(), setup.passes());
        let reference = &mut self.reference;
        let ref_log_prob = reference.log_probs(step.policy, run, &passes, &pairs)?;
        let mut cost = Cost::of(&pairs, skipped);
        cost.reference_s = before.elapsed().as_secs_f64();
        let blind = |kind| needs.of_kind(kind).log_prob && !passes.trained(kind);
        let (current, tokens) = (Weights::Current, passes.budget);
        let mut known = Known {
            log_prob: Some(each_alone(step.policy, current, &pairs, blind, tokens)?),
            ref_log_prob: Some(ref_log_prob),
            ref_kl: None,
        };
        let mut updated = passes.run(step, memory.loss, &pairs, &known)?;

        let optim = &setup.config.optim;
        let lr = learning_rate(optim, step.done, setup.steps());
        let update = step.policy.optim_step(optim, lr)?;
        step.updates.count(&update, &mut step.seen)?;
        cost.step_s = clock.elapsed().as_secs_f64();

        let frequency = setup.recipe.trainer.rollout_freq;
        if frequency > 0 && step.done.is_multiple_of(frequency) {
            known.log_prob = Some(std::mem::take(&mut updated.log_prob));
            known.ref_kl = updated.ref_kl.take();
            let seen = Seen {
                step: step.updates.global_step() as u64 + 1,
                pairs: &pairs,
                known: &known,
                state: memory.loss,
                draws: &passes.draws(step.updates.global_step(), cost.pairs),
            };
            records::write(setup, step.dir, &seen)?;
        }
        memory.loss = updated.state;
        step.memory = memory.write();
        if needs.kinds.contains_key(&Kind::ChosenRejectedImage) {
            note_language_only(&mut self.said_language_only, &pairs, step.news);
        }
        Ok(Stepped {
            metrics: metrics::collect(setup, &updated, &update, lr, &cost),
            tokens: updated.tokens,
        })
    }
}

/// Says once that pairs without a rejected picture are trained by their answers alone; the metric
/// `data/language_only_pairs` counts them.
fn note_language_only(said: &mut bool, pairs: &[&Pair], news: &mut News<'_>) {
    let without = |pair: &&&Pair| !pair.is_general() && !pair.has(Kind::ChosenRejectedImage);
    let Some(first) = pairs.iter().find(without).filter(|_| !*said) else {
        return;
    };
    *said = true;
    let count = pairs.iter().filter(without).count();
    news.notice(format!(
        "dpo: {count} of {} pairs of this step have no rejected picture ({}); they are trained by their answers alone, \
         and data/language_only_pairs counts them",
        pairs.len(),
        first.id
    ));
}
