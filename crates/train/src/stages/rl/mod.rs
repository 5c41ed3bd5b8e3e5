//! One step of reinforcement learning with verifiable rewards, top to bottom:
//! groups → signals → credit → loss → weights.

mod collect;
mod experts;
pub(crate) mod filter;
mod group;
mod judge;
mod metrics;
mod records;
pub(crate) mod requirements;
mod sampled;
mod setup;
mod signals;
mod update;
mod update_metrics;
mod visual_entropy;

use std::time::Instant;

use percept_credit::{Credit, LossConfig};
use percept_report::RunDir;

use crate::policy::values::ReferenceSource;
use crate::policy::{LocalModel, Policy};
use crate::run::news::News;
use crate::run::opened::Opened;
use crate::run::stage::{Begin, Stage, Step, Stepped};
use crate::stages::rl::collect::{Collected, collect};
use crate::stages::rl::setup::Setup;
use crate::stages::rl::signals::Batch;
use crate::stages::rl::update::update;
use crate::{AlgorithmConfig, Error, Recipe};

/// Mean difference of the probabilities of sampler and trainer above which training is off-policy
/// without knowing it (verl's and this project's reading of `rollout_probs_diff_mean`).
const OFF_POLICY: f64 = 0.01;

/// Folder of the frozen reference in a run folder.
const REFERENCE: &str = "reference";

/// The stage `[rl]`.
pub(crate) struct Rl<'a> {
    setup: Setup<'a>,
    /// Steps in a row that had no advantage to learn from.
    without_advantage: usize,
}

impl<'a> Rl<'a> {
    /// The stage, where the recipe has it.
    pub(crate) fn of(recipe: &'a Recipe, opened: &'a Opened) -> Option<Self> {
        let setup = Setup {
            recipe,
            config: recipe.rl.as_ref()?,
            data: opened.data.rl.as_ref(),
            rewards: &opened.rewards,
            bundles: opened.bundles.as_ref(),
            processor: &opened.processor,
        };
        Some(Self {
            setup,
            without_advantage: 0,
        })
    }
}

impl<P: Policy + LocalModel> Stage<P> for Rl<'_> {
    fn name(&self) -> &'static str {
        "rl"
    }

    fn steps(&self) -> usize {
        self.setup.config.steps
    }

    fn rows(&self) -> usize {
        self.setup.data.len()
    }

    fn samples(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        requirements::check(self.setup.algorithm(), self.setup.data)
    }

    /// With a Kullback-Leibler term in the loss, the reference is the policy at the start of the stage.
    fn begin(&mut self, policy: &mut P, at: &mut Begin<'_, '_>) -> Result<(), Error> {
        match self.setup.algorithm().loss.needs_reference() {
            true => policy.freeze_reference(&at.dir.path().join(REFERENCE)),
            false => Ok(()),
        }
    }

    fn resume(&mut self, policy: &mut P, dir: &RunDir) -> Result<Option<String>, Error> {
        if !self.setup.algorithm().loss.needs_reference() {
            return Ok(None);
        }
        let source = policy.load_reference(&dir.path().join(REFERENCE))?;
        let note = "this run began when the reference of use_kl_loss with LoRA was the model before [sft], and goes \
                    on with that one; a new run takes the model at the start of [rl]";
        Ok((source == ReferenceSource::Base).then(|| note.to_owned()))
    }

    /// One rollout batch and its updates.
    fn step(&mut self, step: &mut Step<'_, '_, P>) -> Result<Stepped, Error> {
        let (setup, clock) = (&self.setup, Instant::now());
        let algorithm = setup.algorithm();
        let mut found = collect(setup, step)?;
        step.news.pass_on(std::mem::take(&mut found.messages));

        let mut batch = Batch::of(setup, &*step.policy, &found.groups)?;
        let credit = algorithm.credit().credit(&batch.signals())?;

        let before = Instant::now();
        let updates = update(setup, step, &found.groups, &mut batch, &credit)?;
        let mismatch = updates.mismatch.as_ref();
        step.seen.mismatch = mismatch.and_then(|m| off_policy(m.probs_diff_mean, &algorithm.loss));
        let times = metrics::Times {
            step: clock.elapsed().as_secs_f64(),
            update_actor: before.elapsed().as_secs_f64(),
        };

        let frequency = setup.recipe.trainer.rollout_freq;
        if frequency > 0 && step.done.is_multiple_of(frequency) {
            let number = step.updates.global_step() as u64 + 1;
            records::write(setup, step.dir, number, &found.groups, &batch, &credit)?;
        }
        let versions = metrics::Versions {
            global_step: step.updates.global_step() + 1,
            weights: step.updates.weight_version(),
        };
        let metrics = metrics::collect(setup, &found, &batch, &credit, &updates, &times, &versions);
        self.note_nothing_learned(step.done, &mut *step.news, &found, &credit);
        Ok(Stepped {
            metrics,
            tokens: found.tokens + updates.tokens,
        })
    }
}

impl Rl<'_> {
    /// Says that a step had no group to learn from; of many in a row the first, second, fourth, eighth, ….
    fn note_nothing_learned(
        &mut self,
        done: usize,
        news: &mut News<'_>,
        found: &Collected,
        credit: &Credit,
    ) {
        if credit.advantage.iter().any(|&advantage| advantage != 0.0) {
            self.without_advantage = 0;
            return;
        }
        self.without_advantage += 1;
        if !self.without_advantage.is_power_of_two() {
            return;
        }
        let kept = kept_by(self.setup.algorithm(), found.gen_batches);
        let again = match self.without_advantage {
            1 => String::new(),
            row => format!("; {row} such steps in a row"),
        };
        news.notice(format!(
            "rl step {} learned nothing from rewards: none of {} sampled groups has two responses \
             that differ{kept}{again}",
            done + 1,
            found.sampled_groups
        ));
    }
}

/// Which filter kept groups, in words.
fn kept_by(algorithm: &AlgorithmConfig, gen_batches: usize) -> String {
    match algorithm.group_filter() {
        None => String::new(),
        Some((name, filter)) => format!(
            " (filter {name}, metric {:?}, {gen_batches} generation batches)",
            filter.metric()
        ),
    }
}

/// Says that the sampler is too far from the trainer for the loss to be about its policy.
fn off_policy(gap: f64, loss: &LossConfig) -> Option<String> {
    if gap <= OFF_POLICY {
        return None;
    }
    let help = match loss.tis_imp_ratio_cap {
        Some(_) => "tis_imp_ratio_cap corrects for it; rollout.dtype = \"float32\" avoids it",
        None => {
            "correct for it with rl.old_log_prob = \"recompute\" and \
             algorithm.loss.tis_imp_ratio_cap = 2.0, or avoid it with rollout.dtype = \"float32\""
        }
    };
    Some(format!(
        "probabilities of sampler and trainer differ by {gap:.4} on average \
         (training/rollout_probs_diff_mean; below 0.005 is normal): {help}"
    ))
}
