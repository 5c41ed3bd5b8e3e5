//! What a run says about itself, and what it keeps when it ends badly.

use percept_eval::Record;
use percept_report::RunDir;

use crate::reasons::Reasons;
use crate::run::Run;
use crate::run::checkpoint;
use crate::run::observer::{Event, Metrics, Stage};
use crate::run::watch::{Place, WarningKind};
use crate::{Error, State};

/// Messages of reward functions that an error quotes.
const QUOTED: usize = 3;

/// Writes `warnings.jsonl`, so that it is there while a run goes on and after one that was killed.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub(crate) fn write(dir: &RunDir, state: &State) -> Result<(), Error> {
    let path = dir.warnings();
    if state.watch.warnings.is_empty() && !path.exists() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for warning in &state.watch.warnings {
        serde_json::to_writer(&mut lines, warning).map_err(|e| Error::write(&path, e.into()))?;
        lines.push(b'\n');
    }
    Ok(percept_report::write_atomic(&path, &lines)?)
}

impl Run<'_> {
    /// Looks at a step; what there is to say about it.
    pub(crate) fn look_at(
        &mut self,
        stage: Stage,
        total: usize,
        metrics: &Metrics,
    ) -> Vec<(WarningKind, String)> {
        let (position, rows) = match stage {
            Stage::Sft => (self.state.sft_position, self.data.sft.len()),
            Stage::Rl => (self.state.rl_position, self.data.rl.len()),
        };
        let place = Place {
            stage,
            total,
            position,
            rows,
            limit: self.recipe.rollout.max_completion_length,
        };
        self.state.watch.step(place, &self.seen, metrics)
    }

    /// Says what is new, and ends the run where that is an error.
    pub(crate) fn warn_all(&mut self, found: Vec<(WarningKind, String)>) -> Result<(), Error> {
        let seen = std::mem::take(&mut self.seen);
        let mut new = Vec::new();
        for (kind, message) in found {
            if self.warn(kind, &message)? {
                new.push(message);
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

    /// Says something once; whether it is new.
    fn warn(&mut self, kind: WarningKind, message: &str) -> Result<bool, Error> {
        let step = self.state.global_step;
        if !self.state.watch.add(step, kind, message) {
            return Ok(false);
        }
        self.observer.event(Event::Warning { kind, message });
        write(&self.dir, &self.state)?;
        Ok(true)
    }

    /// Passes on what the reward functions' own code said.
    pub(crate) fn pass_on(&mut self, messages: Vec<String>) {
        for message in messages {
            self.observer
                .event(Event::Notice(format!("reward function {message}")));
            self.said.push_back(message);
            if self.said.len() > QUOTED {
                self.said.pop_front();
            }
        }
    }

    /// An evaluation in which nothing could be graded has no accuracy.
    pub(crate) fn look_at_evaluation(
        &mut self,
        name: &str,
        records: &[Record],
    ) -> Result<(), Error> {
        let messages = self.rewards.messages();
        self.pass_on(messages);
        let mut reasons = Reasons::default();
        for record in records.iter().filter(|record| record.score.is_none()) {
            if let Some(part) = record.parts.first() {
                let reason = part.reason.as_deref().unwrap_or("no reason given");
                reasons.add(&record.id, &format!("{}: {reason}", part.name));
            }
        }
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
        self.warn_all(vec![(WarningKind::EvaluationUngraded, message)])
    }

    /// A run in which nothing was ever graded by a function of the user's has failed, whatever it wrote.
    pub(crate) fn check_grader(&mut self) -> Result<(), Error> {
        let watch = &self.state.watch;
        let foreign = self.recipe.reward.functions.iter().any(|function| {
            use percept_reward::FunctionKind::{ExternalCommand, PythonFunction};
            matches!(function.kind, ExternalCommand(_) | PythonFunction(_))
        });
        if watch.graded || watch.judged == 0 || !(foreign || self.recipe.rl.is_some()) {
            return Ok(());
        }
        let (judged, steps) = (watch.judged, self.state.rl_step);
        Err(self.ungraded(judged, steps, &Reasons::default()))
    }

    fn ungraded(&self, judged: usize, steps: usize, reasons: &Reasons) -> Error {
        let mut lines = Vec::new();
        if reasons.count() > 0 {
            lines.push(reasons.commonest(3));
        } else {
            // Of a resumed run, or of an evaluation: what was said of it.
            let warnings = self.state.watch.warnings.iter();
            lines.extend(warnings.map(|warning| format!("  {}", warning.message)));
        }
        lines.extend(
            self.said
                .iter()
                .map(|said| format!("reward function {said}")),
        );
        Error::Ungraded {
            judged,
            steps,
            reasons: lines.join("\n"),
        }
    }

    /// Says at the end of a stage how many rows were skipped, where that grew after the warning.
    pub(crate) fn tell_skipped(&mut self, stage: Stage) {
        let rows = match stage {
            Stage::Sft => self.data.sft.len(),
            Stage::Rl => self.data.rl.len(),
        };
        let skipped = self.state.watch.skipped_of(stage);
        if skipped.count() > 0 {
            let text = format!(
                "{}: {} of {rows} rows were skipped in all",
                stage.name(),
                skipped.count()
            );
            self.observer.event(Event::Notice(text));
        }
    }

    /// Writes a checkpoint, unless the last update was not finite: its weights may be what it failed on.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        self.tick();
        self.metrics.sync()?;
        if self.state.nonfinite > 0 {
            return Ok(());
        }
        if let Err(what) = checkpoint::check(&self.learner) {
            return Err(Error::Diverged {
                step: self.state.global_step,
                what,
                before: self.before(),
            });
        }
        let path = checkpoint::save(&self.dir, &self.learner, &self.processor, &self.state)?;
        // Finite weights may still be ones that no update can go on from: until one has, those before them stay.
        self.unproven = true;
        match self.recipe.trainer.max_ckpt_to_keep {
            0 => {}
            keep => self.dir.prune(keep + 1)?,
        }
        self.observer.event(Event::Saved { path });
        Ok(())
    }

    /// `trainer.max_ckpt_to_keep`, once the newest checkpoint has proved good.
    pub(crate) fn prune(&mut self) -> Result<(), Error> {
        if self.state.nonfinite > 0 {
            return Ok(());
        }
        self.unproven = false;
        match self.recipe.trainer.max_ckpt_to_keep {
            0 => Ok(()),
            keep => Ok(self.dir.prune(keep)?),
        }
    }

    pub(crate) fn not_finite(&self, count: usize) -> Error {
        Error::NonFinite {
            count,
            before: self.before(),
        }
    }

    /// Where a run that diverged can go on.
    fn before(&self) -> String {
        match self.dir.latest_checkpoint() {
            Ok(Some(checkpoint)) => format!(
                "{} is good: go on from it with --resume --set …lr=…",
                checkpoint.path.display()
            ),
            _ => "there is no checkpoint before it: begin again".to_owned(),
        }
    }

    /// After an error that leaves the run in order, what Ctrl-C leaves: a checkpoint and a report.
    pub(crate) fn keep(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Strict { .. } | Error::Ungraded { .. }) {
            return error;
        }
        let saved = self.save();
        let report = self.report();
        let kept = match (saved, self.dir.latest_checkpoint()) {
            (Ok(()), Ok(Some(checkpoint))) if self.state.nonfinite > 0 => format!(
                "the last checkpoint before that is {}; go on from it with --resume",
                checkpoint.path.display()
            ),
            (Ok(()), Ok(Some(checkpoint))) => format!(
                "nothing is lost: {} was written; go on from it with --resume",
                checkpoint.path.display()
            ),
            (Err(error), _) => format!("and the checkpoint could not be written: {error}"),
            _ => "no checkpoint was written".to_owned(),
        };
        let kept = match report {
            Ok(path) => format!("{kept}\n  report: {}", path.display()),
            Err(_) => kept,
        };
        Error::Kept {
            source: Box::new(error),
            kept,
        }
    }
}
