//! A run from its recipe to its report: stages, evaluations, checkpoints.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_eval::{Record, evaluate};
use percept_report::RunDir;
use percept_sampler::LocalSampler;

use crate::policy::{LocalModel, Policy};
use crate::reasons::Reasons;
use crate::run::checkpoint::Checkpoints;
use crate::run::ledger::Ledger;
use crate::run::log::Log;
use crate::run::news::News;
use crate::run::observer::Event;
use crate::run::opened::Opened;
use crate::run::seen::Seen;
use crate::run::stage::{Begin, Stage, Step};
use crate::run::state::State;
use crate::run::warning::WarningKind;
use crate::run::watch::Place;
use crate::run::{changes, evaluation, summary, warn};
use crate::{Error, Recipe};

/// A run in progress.
pub(crate) struct Run<'a, P> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) opened: &'a Opened,
    pub(crate) policy: P,
    pub(crate) state: State,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) news: News<'a>,
    stop: &'a AtomicBool,
    log: Log,
}

impl<'a, P: Policy + LocalModel> Run<'a, P> {
    /// Goes on from `state` in a run's folder.
    ///
    /// # Errors
    /// [`Error::Report`] when its files cannot be written.
    pub(crate) fn new(
        recipe: &'a Recipe,
        opened: &'a Opened,
        policy: P,
        state: State,
        dir: RunDir,
        news: News<'a>,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let names = recipe.trainer.metric_names;
        Ok(Self {
            log: Log::open(&dir, state.global_step, names)?,
            checkpoints: Checkpoints::new(dir, recipe.trainer.max_ckpt_to_keep),
            recipe,
            opened,
            policy,
            state,
            news,
            stop,
        })
    }

    /// All stages that are not done yet, and a checkpoint; false when stopped on the way.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn go(&mut self, stages: &mut [Box<dyn Stage<P> + '_>]) -> Result<bool, Error> {
        let finished = match self.stages(stages) {
            Ok(finished) => finished,
            Err(error) => return Err(self.keep(error)),
        };
        self.save()?;
        if finished && self.state.nonfinite == 0 {
            self.checkpoints.prune()?;
        }
        Ok(finished)
    }

    fn stages(&mut self, stages: &mut [Box<dyn Stage<P> + '_>]) -> Result<bool, Error> {
        self.evaluate_once("base", 0)?;
        for stage in stages.iter_mut() {
            stage.check()?;
            if self.state.stage(stage.name()).step == 0 {
                self.policy.reset_optimizer();
                self.state.updates = 0;
                self.policy.release_reference();
                let mut at = Begin {
                    dir: self.checkpoints.dir(),
                    news: &mut self.news,
                    stop: self.stop,
                };
                stage.begin(&mut self.policy, &mut at)?;
            }
            if !self.stage(stage.as_mut())? {
                return Ok(false);
            }
            self.evaluate_once(stage.name(), 0)?;
        }
        self.check_grader(stages)?;
        Ok(true)
    }

    fn stage(&mut self, stage: &mut dyn Stage<P>) -> Result<bool, Error> {
        let (name, total) = (stage.name(), stage.steps());
        let mut done = self.state.stage(name).step;
        if done >= total {
            return Ok(true);
        }
        let started = Event::StageStarted {
            stage: name,
            done,
            total,
        };
        self.news.event(started);
        self.policy.begin_step(done, total)?;
        loop {
            if done >= total || self.is_spent() {
                self.end_stage(stage)?;
                return Ok(true);
            }
            self.evaluate_on_the_way(stage, done)?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.step(stage)?;
            done += 1;
            self.policy.begin_step(done, total)?;
            let frequency = self.recipe.trainer.save_freq;
            if done == total || self.is_spent() || (frequency > 0 && done.is_multiple_of(frequency))
            {
                self.save()?;
            }
        }
    }

    /// One step of a stage, and what is written and said of it.
    fn step(&mut self, stage: &mut dyn Stage<P>) -> Result<(), Error> {
        let mut at = self.state.stage(stage.name());
        let most = self.recipe.trainer.max_nonfinite_updates;
        let dir = self.checkpoints.dir().clone();
        let mut step = Step {
            policy: &mut self.policy,
            done: at.step,
            position: at.position,
            memory: at.memory,
            updates: Ledger::new(&mut self.state, &mut self.checkpoints, most),
            seen: Seen::default(),
            news: &mut self.news,
            dir: &dir,
        };
        let did = stage.step(&mut step)?;
        at.step += 1;
        at.position = step.position;
        at.memory = step.memory;
        let (done, position, seen) = (at.step, at.position, step.seen);
        self.state.stages.insert(stage.name().to_owned(), at);
        self.state.tokens += did.tokens as u64;
        self.state.global_step += 1;
        let place = Place {
            stage: stage.name(),
            total: stage.steps(),
            position,
            rows: stage.rows(),
            limit: self.recipe.rollout.max_completion_length,
        };
        let warnings = self.state.watch.step(place, &seen, &did.metrics);
        let metrics = self.log.write(&self.state, stage.name(), did.metrics)?;
        self.news.event(Event::Step {
            stage: stage.name(),
            done,
            metrics: &metrics,
        });
        self.warn_all(warnings, &seen)
    }

    /// What is said at the end of a stage.
    fn end_stage(&mut self, stage: &dyn Stage<P>) -> Result<(), Error> {
        let skipped = self.state.watch.skipped_of(stage.name()).count();
        if skipped > 0 {
            let (name, rows) = (stage.name(), stage.rows());
            // It may have grown after the warning.
            self.news.notice(format!(
                "{name}: {skipped} of {rows} rows were skipped in all"
            ));
        }
        match self.state.nonfinite {
            0 => Ok(()),
            count => Err(self.checkpoints.not_finite(count)),
        }
    }

    /// Whether the token budget of the run is used up.
    fn is_spent(&self) -> bool {
        let budget = self.recipe.trainer.max_tokens;
        budget > 0 && self.state.tokens >= budget
    }

    /// `eval.test_freq`: at the top of a step, so that a resumed run makes up for a missed one.
    fn evaluate_on_the_way(&mut self, stage: &dyn Stage<P>, done: usize) -> Result<(), Error> {
        let every = self.recipe.eval.test_freq;
        if !stage.samples() || every == 0 || done == 0 || !done.is_multiple_of(every) {
            return Ok(());
        }
        let name = format!("{}-step-{done}", stage.name());
        self.evaluate_once(&name, self.recipe.eval.quick_samples)
    }

    /// Evaluates unless this run already has an evaluation of that name.
    fn evaluate_once(&mut self, name: &str, limit: usize) -> Result<(), Error> {
        let opened = self.opened;
        let known = self.state.evaluations.iter().any(|e| e.name == name);
        let Some(val) = opened.data.val.as_deref().filter(|_| !known) else {
            return Ok(());
        };
        let limit = if limit > 0 {
            limit
        } else {
            self.recipe.eval.max_samples
        };
        let sampler = LocalSampler::new(self.policy.model(), &opened.processor, 0)?
            .with_engine(self.recipe.rollout.engine());
        let news = &mut self.news;
        let mut found = evaluate(
            &sampler,
            &opened.processor,
            val,
            &opened.rewards,
            &evaluation::sampling(self.recipe),
            limit,
            &mut |done, total| news.event(Event::Evaluating { done, total }),
        )?;
        evaluation::store(self.checkpoints.dir(), name, &mut found, val, limit)?;
        self.log.tick(&mut self.state);
        let stored = evaluation::stored(name, &found, &self.state);
        self.state.evaluations.push(stored);
        let accuracy = found.accuracy.mean;
        self.news.event(Event::Evaluated { name, accuracy });
        self.look_at_evaluation(name, &found.records)
    }

    /// An evaluation in which nothing could be graded has no accuracy.
    fn look_at_evaluation(&mut self, name: &str, records: &[Record]) -> Result<(), Error> {
        self.news.pass_on(self.opened.rewards.messages());
        let reasons = warn::reasons(records);
        let watch = &mut self.state.watch;
        watch.judged += records.len();
        watch.graded |= reasons.count() < records.len();
        if records.is_empty() || reasons.count() < records.len() {
            return Ok(());
        }
        let message = format!(
            "evaluation `{name}`: none of the {} responses could be graded; there is no accuracy\n{}",
            records.len(),
            reasons.commonest(3)
        );
        let found = vec![(WarningKind::EvaluationUngraded, message)];
        self.warn_all(found, &Seen::default())
    }

    /// Says what is new, and ends the run where that is an error.
    fn warn_all(&mut self, found: Vec<(WarningKind, String)>, seen: &Seen) -> Result<(), Error> {
        let mut new = Vec::new();
        for (kind, message) in found {
            let step = self.state.global_step;
            if self.state.watch.add(step, kind, &message) {
                let message = message.as_str();
                self.news.event(Event::Warning { kind, message });
                warn::write(self.checkpoints.dir(), &self.state)?;
                new.push(message.to_owned());
            }
        }
        if let Some(steps) = self.state.watch.grader_gone() {
            return Err(self.ungraded(seen.judged, steps, &seen.ungraded));
        }
        if self.recipe.trainer.strict && !new.is_empty() {
            return Err(Error::Strict {
                message: new.join("\n"),
            });
        }
        Ok(())
    }

    /// A run in which nothing was ever graded by a function of the user's has failed, whatever it wrote.
    fn check_grader(&self, stages: &[Box<dyn Stage<P> + '_>]) -> Result<(), Error> {
        let watch = &self.state.watch;
        let foreign = self.recipe.reward.functions.iter().any(|function| {
            use percept_reward::FunctionKind::{ExternalCommand, PythonFunction};
            matches!(function.kind, ExternalCommand(_) | PythonFunction(_))
        });
        let sampling = || stages.iter().filter(|stage| stage.samples());
        if watch.graded || watch.judged == 0 || !(foreign || sampling().next().is_some()) {
            return Ok(());
        }
        let steps = sampling().map(|stage| self.state.stage(stage.name()).step);
        Err(self.ungraded(watch.judged, steps.sum(), &Reasons::default()))
    }

    fn ungraded(&self, judged: usize, steps: usize, reasons: &Reasons) -> Error {
        warn::ungraded(&self.state, &self.news, judged, steps, reasons)
    }

    /// Writes a checkpoint.
    fn save(&mut self) -> Result<(), Error> {
        self.log.tick(&mut self.state);
        self.log.sync()?;
        let processor = &self.opened.processor;
        let saved = self
            .checkpoints
            .save(&self.policy, processor, &self.state)?;
        if let Some(path) = saved {
            self.news.event(Event::Saved { path });
        }
        Ok(())
    }

    /// Writes summary and report; the report's path.
    ///
    /// # Errors
    /// [`Error::Report`] when the disk refuses.
    pub(crate) fn report(&self) -> Result<PathBuf, Error> {
        let dir = self.checkpoints.dir();
        let changes = changes::of_run(dir, &self.state)?;
        summary::write(dir, self.recipe, &self.state, &changes)?;
        Ok(percept_report::write_report(dir)?)
    }

    /// After an error that leaves the run in order, what Ctrl-C leaves: a checkpoint and a report.
    fn keep(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Strict { .. } | Error::Ungraded { .. }) {
            return error;
        }
        let saved = self.save();
        let report = self.report();
        let newest = self.checkpoints.dir().latest_checkpoint();
        let newest = newest.ok().flatten().map(|checkpoint| checkpoint.path);
        let kept = warn::kept(saved, newest, self.state.nonfinite > 0, report.ok());
        Error::Kept {
            source: Box::new(error),
            kept,
        }
    }
}
