//! How a run begins and ends: the folder, what it was made from, and where it stands.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use percept_model::Processor;
use percept_report::{Change, RunDir};

use crate::batch::together::Bundles;
use crate::policy::Policy;
use crate::policy::local::Learner;
use crate::recipe::idle;
use crate::run::driver::Run;
use crate::run::news::News;
use crate::run::observer::Observer;
use crate::run::opened::Opened;
use crate::run::stage::Stage;
use crate::run::state::{State, StoredEvaluation};
use crate::run::{changes, checkpoint, warn};
use crate::source::{open_data, open_general, open_model, open_pairs, open_rewards, unread};
use crate::stages;
use crate::{Error, Recipe};

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
    let mut news = News::new(observer);
    let device = percept_nn::parse_device(&recipe.trainer.device)?;
    let data = open_data(recipe)?;
    let (pairs, general) = (open_pairs(recipe)?, open_general(recipe)?);
    let rewards = open_rewards(recipe)?;
    let bundles = match &recipe.rl {
        Some(rl) => Bundles::of_run(data.rl.as_ref(), &rewards, rl)?,
        None => None,
    };
    let text = recipe.to_toml_in(&path)?;
    let (dir, saved, (model, processor)) = if start == Start::Overwrite {
        let opened = open_model(recipe, None, &device)?;
        (RunDir::replace(&path)?, None, opened)
    } else {
        let dir = open_dir(&path, start, &mut news)?;
        let saved = dir.latest_checkpoint()?.map(|checkpoint| checkpoint.path);
        let opened = open_model(recipe, saved.as_deref(), &device)?;
        (dir, saved, opened)
    };
    let opened = Opened {
        data,
        pairs,
        general,
        rewards,
        bundles,
        processor,
    };
    let mut stages = stages::of::<Learner>(recipe, &opened);
    let mut policy = Learner::new(model, recipe);
    let state = match &saved {
        None => State::default(),
        Some(saved) => resume(saved, &dir, &mut policy, &mut stages, &mut news)?,
    };
    begin_folder(recipe, &text, &dir, &state, &mut news)?;
    let mut run = Run::new(recipe, &opened, policy, state, dir, news, stop)?;
    note_unread(recipe, &opened, &mut run.news);
    note_endless_answers(recipe, &opened.processor, &mut run.news);
    let finished = run.go(&mut stages)?;
    let report = run.report()?;
    let dir = run.checkpoints.dir();
    Ok(Outcome {
        changes: changes::of_run(dir, &run.state)?,
        checkpoint: dir.latest_checkpoint()?.map(|checkpoint| checkpoint.path),
        dir: path,
        report,
        finished,
        evaluations: run.state.evaluations,
        seconds: run.state.seconds,
    })
}

/// The folder of a run that begins or goes on.
fn open_dir(path: &Path, start: Start, news: &mut News<'_>) -> Result<RunDir, Error> {
    if start != Start::Resume {
        return Ok(RunDir::create(path)?);
    }
    if path.join("recipe.toml").exists() {
        return Ok(RunDir::resume(path)?);
    }
    // Killed before it wrote anything: there is nothing to go on from.
    let dir = RunDir::create(path)?;
    news.notice(format!(
        "{} holds no run yet; starting from the beginning",
        path.display()
    ));
    Ok(dir)
}

/// Where the run of a checkpoint stands; its optimiser and reference go to `policy`.
pub(crate) fn resume<P: Policy>(
    saved: &Path,
    dir: &RunDir,
    policy: &mut P,
    stages: &mut [Box<dyn Stage<P> + '_>],
    news: &mut News<'_>,
) -> Result<State, Error> {
    let state = checkpoint::load_state(saved)?;
    policy.load_optimizer(&checkpoint::optimizer_file(saved), state.updates)?;
    news.notice(format!("resuming after step {}", state.global_step));
    let mut begun = stages.iter_mut().rev();
    if let Some(stage) = begun.find(|stage| state.stage(stage.name()).step > 0)
        && let Some(note) = stage.resume(policy, dir)?
    {
        news.notice(note);
    }
    Ok(state)
}

/// Writes what the run is made from, and takes away what is newer than its checkpoint. All that can be wrong was
/// looked at: from here on the folder changes.
fn begin_folder(
    recipe: &Recipe,
    text: &str,
    dir: &RunDir,
    state: &State,
    news: &mut News<'_>,
) -> Result<(), Error> {
    if std::fs::read_to_string(dir.recipe()).is_ok_and(|before| before != text) {
        let note = "the recipe differs from the one this run began with; going on with the new one";
        news.notice(note.into());
    }
    idle::notes(recipe)
        .into_iter()
        .for_each(|note| news.notice(note));
    percept_base::files::write_atomic(&dir.recipe(), text.as_bytes())?;
    dir.discard_after(state.global_step as u64)?;
    warn::write(dir, state)
}

/// Says once what the rows have and nothing uses.
fn note_unread(recipe: &Recipe, opened: &Opened, news: &mut News<'_>) {
    let files = recipe.data.digit_sum.is_none();
    let own = recipe
        .dpo
        .as_ref()
        .is_some_and(|dpo| !dpo.train_files.is_empty());
    let supervised = recipe
        .sft
        .as_ref()
        .is_some_and(|sft| !sft.train_files.is_empty());
    let sets = [
        Some(opened.data.sft.as_ref()).filter(|_| files && supervised),
        Some(opened.data.rl.as_ref()).filter(|_| files),
        opened.data.val.as_deref().filter(|_| files),
        opened.pairs.as_deref().filter(|_| own),
        opened.general.as_deref(),
    ];
    let notes = sets.into_iter().flatten();
    let notes = notes.filter_map(|set| unread(recipe, &opened.processor, set));
    notes.for_each(|note| news.notice(note));
}

/// Says when supervised training does not teach where to stop.
fn note_endless_answers(recipe: &Recipe, processor: &Processor, news: &mut News<'_>) {
    if recipe.sft.is_some() && processor.ends_answers() == Some(false) {
        news.notice(
            "the chat template writes no end token behind an assistant's turn: supervised training does not teach where \
             to stop; write {{ eos_token }} there (chat_template.jinja in the model's folder) to teach it"
                .to_owned(),
        );
    }
}
