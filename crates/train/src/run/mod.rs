//! A run from its recipe to its report: stages, evaluations, checkpoints, resume.

mod changes;
mod checkpoint;
pub(crate) mod memory;
mod names;
pub(crate) mod observer;
pub(crate) mod state;
mod summary;
mod warn;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use percept_eval::{Evaluation, evaluate, keep_pictures};
use percept_kernels::sparse::AttentionConfig;
use percept_model::Processor;
use percept_report::{Change, MetricsWriter, Row, RunDir, TensorBoardWriter};
use percept_reward::RewardSet;
use percept_sampler::{LocalSampler, SamplingParams};

use crate::batch::order::Stream;
use crate::policy::local::Update;
use crate::policy::schedule::chosen_blocks;
use crate::recipe::idle;
use crate::rl::requirements;
use crate::run::observer::{Event, Metrics, Observer, Stage};
use crate::run::state::{State, StoredEvaluation};
use crate::run::watch::Seen;
use crate::source::{Data, open_data, open_model, open_rewards, unread};
use crate::{Error, Learner, Recipe, rl, sft};

/// Mean difference of the probabilities of sampler and trainer above which training is off-policy
/// without knowing it (verl's and this project's reading of `rollout_probs_diff_mean`).
const OFF_POLICY: f64 = 0.01;

/// How a run may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a folder that does not exist yet.
    New,
    /// Where the run in the folder stopped; from the beginning when it has no checkpoint yet.
    Resume,
    /// In the place of the run in the folder, which is removed once model, data and verifiers of
    /// the new one are open.
    Overwrite,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Run folder.
    pub dir: PathBuf,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The report.
    pub report: PathBuf,
    /// False when it was stopped before its last step.
    pub finished: bool,
    /// Every evaluation.
    pub evaluations: Vec<StoredEvaluation>,
    /// What each stage changed, question by question.
    pub changes: Vec<Change>,
    /// Seconds, over all resumes.
    pub seconds: f64,
}

/// A run in progress: what the stages work with.
pub(crate) struct Run<'a> {
    pub recipe: &'a Recipe,
    pub dir: RunDir,
    pub data: Data,
    pub rewards: RewardSet,
    pub processor: Processor,
    pub learner: Learner,
    pub state: State,
    pub observer: &'a mut dyn Observer,
    stop: &'a AtomicBool,
    /// What the step that goes on shows besides its metrics.
    pub seen: Seen,
    /// What the reward functions last said besides verdicts.
    pub said: VecDeque<String>,
    /// A checkpoint was written with weights that no update has gone on from yet: the ones before it stay.
    pub unproven: bool,
    /// Steps in a row that had no advantage to learn from.
    pub steps_without_advantage: usize,
    pub metrics: MetricsWriter,
    tensorboard: TensorBoardWriter,
    clock: Instant,
}

/// Runs `recipe` in `output_dir/experiment_name`. When `stop` becomes true, the run finishes its
/// step, writes a checkpoint and returns with `finished = false`.
///
/// # Errors
/// Any [`Error`]; the run folder and its complete checkpoints stay readable.
pub fn run(
    recipe: &Recipe,
    start: Start,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, Error> {
    let recipe = &recipe.settled()?;
    let path = recipe
        .trainer
        .output_dir
        .join(&recipe.trainer.experiment_name);
    let mut run = Run::open(recipe, &path, start, observer, stop)?;
    run.note_unread();
    let finished = match run.stages() {
        Ok(finished) => finished,
        Err(error) => return Err(run.keep(error)),
    };
    run.save()?;
    if finished {
        run.prune()?;
    }
    let changes = changes::of_run(&run.dir, &run.state)?;
    let report = run.report()?;
    Ok(Outcome {
        changes,
        checkpoint: run
            .dir
            .latest_checkpoint()?
            .map(|checkpoint| checkpoint.path),
        dir: path,
        report,
        finished,
        evaluations: run.state.evaluations,
        seconds: run.state.seconds,
    })
}

/// The folder of a run that begins or goes on.
fn open_dir(path: &Path, start: Start, observer: &mut dyn Observer) -> Result<RunDir, Error> {
    if start != Start::Resume {
        return Ok(RunDir::create(path)?);
    }
    if path.join("recipe.toml").exists() {
        return Ok(RunDir::resume(path)?);
    }
    // Killed before it wrote anything: there is nothing to go on from.
    let dir = RunDir::create(path)?;
    observer.event(Event::Notice(format!(
        "{} holds no run yet; starting from the beginning",
        path.display()
    )));
    Ok(dir)
}

impl<'a> Run<'a> {
    fn open(
        recipe: &'a Recipe,
        path: &Path,
        start: Start,
        observer: &'a mut dyn Observer,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let device = percept_nn::parse_device(&recipe.trainer.device)?;
        let data = open_data(&recipe.data)?;
        let rewards = open_rewards(recipe)?;
        let text = recipe.to_toml_in(path)?;
        let (dir, saved, (model, processor)) = if start == Start::Overwrite {
            let opened = open_model(recipe, None, &device)?;
            (RunDir::replace(path)?, None, opened)
        } else {
            let dir = open_dir(path, start, observer)?;
            let saved = dir.latest_checkpoint()?.map(|checkpoint| checkpoint.path);
            let opened = open_model(recipe, saved.as_deref(), &device)?;
            (dir, saved, opened)
        };
        let mut learner = Learner::new(model, recipe);
        let state = match &saved {
            None => State::default(),
            Some(checkpoint) => {
                let state = checkpoint::load_state(checkpoint)?;
                let moments = checkpoint::optimizer_file(checkpoint);
                learner.load_moments(&moments, state.updates)?;
                state
            }
        };
        if saved.is_some() {
            observer.event(Event::Notice(format!(
                "resuming after step {}",
                state.global_step
            )));
        }
        if state.rl_step > 0 {
            if learner.lacks_reference(&dir, recipe) {
                observer.event(Event::Notice(
                    "this run began when the reference of use_kl_loss with LoRA was the model before \
                     [sft], and goes on with that one; a new run takes the model at the start of [rl]"
                        .into(),
                ));
            }
            learner.load_reference(&dir, recipe)?;
        }
        // All that can be wrong was looked at: from here on the folder changes.
        if std::fs::read_to_string(dir.recipe()).is_ok_and(|before| before != text) {
            let note =
                "the recipe differs from the one this run began with; going on with the new one";
            observer.event(Event::Notice(note.into()));
        }
        for note in idle::notes(recipe) {
            observer.event(Event::Notice(note));
        }
        percept_report::write_atomic(&dir.recipe(), text.as_bytes())?;
        let step = state.global_step as u64;
        dir.discard_after(step)?;
        warn::write(&dir, &state)?;
        Ok(Self {
            metrics: MetricsWriter::open(&dir, Some(step))?,
            tensorboard: TensorBoardWriter::open(&dir, Some(step))?,
            clock: Instant::now(),
            recipe,
            dir,
            data,
            rewards,
            processor,
            learner,
            state,
            observer,
            stop,
            seen: Seen::default(),
            said: VecDeque::new(),
            unproven: false,
            steps_without_advantage: 0,
        })
    }

    /// Says once what the rows have and nothing uses.
    fn note_unread(&mut self) {
        if self.recipe.data.digit_sum.is_some() {
            return;
        }
        let sets = [Some(self.data.rl.as_ref()), self.data.val.as_deref()];
        let notes = sets.into_iter().flatten();
        let notes = notes.filter_map(|set| unread(self.recipe, &self.processor, set));
        for note in notes.collect::<Vec<String>>() {
            self.observer.event(Event::Notice(note));
        }
    }

    /// All stages that are not done yet; false when stopped on the way.
    fn stages(&mut self) -> Result<bool, Error> {
        self.evaluate_once("base", 0)?;
        if let Some(config) = &self.recipe.sft {
            let done = self.stage(Stage::Sft, config.steps, |run| sft::step::step(run, config))?;
            if !done {
                return Ok(false);
            }
            self.evaluate_once("sft", 0)?;
        }
        if let Some(config) = &self.recipe.rl {
            requirements::check(self)?;
            if self.state.rl_step == 0 {
                self.learner.begin_rl(&self.dir, self.recipe)?;
                self.state.updates = 0;
            }
            let done = self.stage(Stage::Rl, config.steps, |run| rl::step(run, config))?;
            if !done {
                return Ok(false);
            }
            self.evaluate_once("rl", 0)?;
        }
        self.check_grader()?;
        Ok(true)
    }

    fn stage(
        &mut self,
        stage: Stage,
        total: usize,
        mut step: impl FnMut(&mut Self) -> Result<Metrics, Error>,
    ) -> Result<bool, Error> {
        let mut done = self.stage_steps(stage);
        if done >= total {
            return Ok(true);
        }
        self.observer
            .event(Event::StageStarted { stage, done, total });
        self.anneal(done, total)?;
        loop {
            if done >= total || self.is_spent() {
                self.end_stage(stage)?;
                return Ok(true);
            }
            self.evaluate_on_the_way(stage, done)?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let metrics = step(self)?;
            done += 1;
            self.finish_step(stage, done, total, metrics)?;
            self.anneal(done, total)?;
            let frequency = self.recipe.trainer.save_freq;
            if done == total || self.is_spent() || (frequency > 0 && done.is_multiple_of(frequency))
            {
                self.save()?;
            }
        }
    }

    /// What is said at the end of a stage.
    fn end_stage(&mut self, stage: Stage) -> Result<(), Error> {
        self.tell_skipped(stage);
        match self.state.nonfinite {
            0 => Ok(()),
            count => Err(self.not_finite(count)),
        }
    }

    /// `model.top_k_annealing`: the blocks that attention chooses in the step after `done`.
    fn anneal(&mut self, done: usize, total: usize) -> Result<(), Error> {
        let model = &self.recipe.model;
        let top_k = model.attention.as_ref().and_then(AttentionConfig::top_k);
        let (Some(annealing), Some(top_k)) = (&model.top_k_annealing, top_k) else {
            return Ok(());
        };
        self.learner
            .set_top_k(chosen_blocks(annealing, top_k, done, total))
    }

    /// Whether the token budget of the run is used up.
    fn is_spent(&self) -> bool {
        let budget = self.recipe.trainer.max_tokens;
        budget > 0 && self.state.tokens >= budget
    }

    /// `eval.test_freq`: at the top of a step, so that a resumed run makes up for a missed one.
    fn evaluate_on_the_way(&mut self, stage: Stage, done: usize) -> Result<(), Error> {
        let every = self.recipe.eval.test_freq;
        if stage != Stage::Rl || every == 0 || done == 0 || !done.is_multiple_of(every) {
            return Ok(());
        }
        self.evaluate_once(&format!("rl-step-{done}"), self.recipe.eval.quick_samples)
    }

    fn stage_steps(&mut self, stage: Stage) -> usize {
        match stage {
            Stage::Sft => self.state.sft_step,
            Stage::Rl => self.state.rl_step,
        }
    }

    fn finish_step(
        &mut self,
        stage: Stage,
        done: usize,
        total: usize,
        metrics: Metrics,
    ) -> Result<(), Error> {
        match stage {
            Stage::Sft => self.state.sft_step = done,
            Stage::Rl => self.state.rl_step = done,
        }
        self.state.global_step += 1;
        let step = self.state.global_step as u64;
        let warnings = self.look_at(stage, total, &metrics);
        let named = names::translate(metrics, self.recipe.trainer.metric_names);
        let row = Row {
            step,
            stage: stage.name().to_owned(),
            time: self.state.seconds + self.clock.elapsed().as_secs_f64(),
            values: named.clone(),
        };
        self.metrics.write(&row)?;
        self.tensorboard.write(&row)?;
        self.observer.event(Event::Step {
            stage,
            done,
            metrics: &named,
        });
        self.warn_all(warnings)
    }

    /// Says that the sampler is too far from the trainer for the loss to be about its policy.
    pub(crate) fn note_mismatch(&mut self, gap: f64) {
        if gap <= OFF_POLICY {
            return;
        }
        let corrected = self.recipe.algorithm.loss.tis_imp_ratio_cap.is_some();
        let help = match corrected {
            true => "tis_imp_ratio_cap corrects for it; rollout.dtype = \"float32\" avoids it",
            false => {
                "correct for it with rl.old_log_prob = \"recompute\" and \
                 algorithm.loss.tis_imp_ratio_cap = 2.0, or avoid it with rollout.dtype = \"float32\""
            }
        };
        let message = format!(
            "probabilities of sampler and trainer differ by {gap:.4} on average \
             (training/rollout_probs_diff_mean; below 0.005 is normal): {help}"
        );
        self.seen.mismatch = Some(message);
    }

    /// Evaluates unless this run already has an evaluation of that name.
    fn evaluate_once(&mut self, name: &str, limit: usize) -> Result<(), Error> {
        let known = self.state.evaluations.iter().any(|e| e.name == name);
        let Some(val) = self.data.val.as_deref() else {
            return Ok(());
        };
        if known {
            return Ok(());
        }
        let config = &self.recipe.eval;
        let limit = if limit > 0 { limit } else { config.max_samples };
        let longest = match config.max_completion_length {
            0 => self.recipe.rollout.max_completion_length,
            length => length,
        };
        let sampling = SamplingParams {
            temperature: config.temperature,
            max_tokens: longest,
            seed: self.recipe.trainer.seed,
            ..SamplingParams::default()
        };
        let sampler = LocalSampler::new(self.learner.model(), &self.processor, 0)?
            .with_engine(self.recipe.rollout.engine());
        let observer = &mut *self.observer;
        let evaluation = evaluate(
            &sampler,
            &self.processor,
            val,
            &self.rewards,
            &sampling,
            limit,
            &mut |done, total| observer.event(Event::Evaluating { done, total }),
        )?;
        self.store_evaluation(name, evaluation, limit)
    }

    fn store_evaluation(
        &mut self,
        name: &str,
        mut found: Evaluation,
        limit: usize,
    ) -> Result<(), Error> {
        let folder = self.dir.evaluations();
        std::fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
        if let Some(val) = self.data.val.as_deref() {
            let pictures = keep_pictures(val, limit, &folder)?;
            for record in &mut found.records {
                record.images = pictures.get(&record.id).cloned().unwrap_or_default();
            }
        }
        let path = folder.join(format!("{name}.jsonl"));
        let mut lines = Vec::new();
        for record in &found.records {
            serde_json::to_writer(&mut lines, record).map_err(|e| Error::write(&path, e.into()))?;
            lines.push(b'\n');
        }
        percept_report::write_atomic(&path, &lines)?;
        self.tick();
        self.state.evaluations.push(StoredEvaluation {
            name: name.to_owned(),
            global_step: self.state.global_step,
            tokens: self.state.tokens,
            accuracy: found.accuracy,
            by_type: found.by_type.clone(),
            ungraded: found.ungraded,
            response_length: found.response_length,
            clip_ratio: found.clip_ratio,
            seconds: self.state.seconds,
        });
        let accuracy = found.accuracy.mean;
        self.observer.event(Event::Evaluated { name, accuracy });
        self.look_at_evaluation(name, &found.records)
    }

    /// Counts an update; too many in a row that were not finite stop the run.
    pub(crate) fn count_update(&mut self, update: &Update) -> Result<(), Error> {
        match update {
            Update::Done { .. } => {
                self.state.updates += 1;
                self.state.weight_version += 1;
                self.state.nonfinite = 0;
                if self.unproven {
                    self.prune()?;
                }
            }
            Update::NotFinite => {
                self.state.nonfinite += 1;
                self.seen.not_finite += 1;
            }
        }
        if self.state.nonfinite >= self.recipe.trainer.max_nonfinite_updates.max(1) {
            return Err(self.not_finite(self.state.nonfinite));
        }
        Ok(())
    }

    /// Seed of the dropout masks of one forward pass, by its place in the run, so that a resumed
    /// run draws the same ones.
    pub(crate) fn dropout_seed(&self, mini_batch: usize, micro_batch: usize) -> u64 {
        let step = self.state.global_step as u64;
        let place = step << 40 | (mini_batch as u64) << 20 | micro_batch as u64;
        Stream::new(self.recipe.trainer.seed, "dropout", place).next_u64()
    }

    /// Moves the time since the last call into the state.
    pub(crate) fn tick(&mut self) {
        self.state.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    pub(crate) fn report(&mut self) -> Result<PathBuf, Error> {
        let changes = changes::of_run(&self.dir, &self.state)?;
        summary::write(&self.dir, self.recipe, &self.state, &changes)?;
        Ok(percept_report::write_report(&self.dir)?)
    }
}
