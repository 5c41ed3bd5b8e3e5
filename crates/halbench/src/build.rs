//! The steps in order: what is finished stays, what changed is done again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percept_base::files::write_atomic;
use percept_chat::ChatModel;
use percept_data::coco::CocoInstances;
use percept_steps::{
    Done, Folder, Progress, Row, StepError, Work, decide, file_sha256, kind, lines,
};
use percept_vision::{ClassScorer, Editor};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::card::Card;
use crate::catalogue::Catalogue;
use crate::scene::Scene;
use crate::steps::choice::Chooser;
use crate::steps::edit::EditStep;
use crate::steps::quality::QualityStep;
use crate::steps::statistics::{ClassCount, Statistics};
use crate::steps::{dataset, questions, roles};
use crate::{
    BuildConfig, BuildError, Choice, EditRecord, Pair, Questions, Role, Step, Tally, page,
};

/// What a benchmark is built from and with.
pub struct Build<'a> {
    /// The folder of images.
    pub images: &'a Path,
    /// Other folders from which images may come into the benchmark: those to which links in `images` lead.
    pub allowed: &'a [PathBuf],
    /// Their COCO instances file.
    pub annotations: &'a Path,
    /// Another instances file in which co-occurrence is counted: a few images say little about what
    /// is usual.
    pub counted: Option<&'a Path>,
    /// The output folder.
    pub out: &'a Path,
    /// Settings.
    pub config: &'a BuildConfig,
    /// What edits.
    pub editor: &'a dyn Editor,
    /// What chooses and describes; without one a rule does.
    pub chooser: Option<&'a dyn ChatModel>,
    /// What scores classes; without one their gain and loss are not checked.
    pub scorer: Option<&'a dyn ClassScorer>,
    /// Do this step again, and no other. Those before it must be finished.
    pub only: Option<Step>,
    /// Do this step and those behind it again.
    pub from: Option<Step>,
    /// Called as rows are done, from any thread.
    pub progress: &'a Progress<'a>,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were looked at, in order.
    pub steps: Vec<Tally>,
    /// Pairs of the data set; 0 when its step was not asked for.
    pub pairs: usize,
    /// Questions of the data set.
    pub questions: usize,
}

/// Builds a benchmark, or goes on with one.
///
/// # Errors
/// Settings that mean nothing, files that cannot be read or written, an editor or model that
/// failed, or nothing left to ask about. What was finished stays.
pub fn build(build: &Build<'_>) -> Result<Outcome, BuildError> {
    build.config.check()?;
    let coco = CocoInstances::open(build.annotations)?;
    let allowed = build.allowed.iter().cloned();
    let folders = std::iter::once(build.images.to_owned()).chain(allowed);
    let folders: Arc<[PathBuf]> = folders.collect();
    let run = Run {
        folder: Folder::open(build.out, &["edits", "images"])?,
        scene: Scene {
            coco: &coco,
            images: build.images,
            folders: &folders,
        },
        sources: Sources::of(build)?,
        build,
    };
    run.all()
}

/// SHA-256 of the annotation files.
struct Sources {
    annotations: String,
    counted: Option<String>,
}

impl Sources {
    fn of(build: &Build<'_>) -> Result<Self, BuildError> {
        Ok(Self {
            annotations: file_sha256(build.annotations)?,
            counted: build.counted.map(file_sha256).transpose()?,
        })
    }
}

struct Run<'a> {
    build: &'a Build<'a>,
    folder: Folder,
    scene: Scene<'a>,
    sources: Sources,
}

impl Run<'_> {
    fn all(&self) -> Result<Outcome, BuildError> {
        let mut outcome = Outcome {
            steps: Vec::new(),
            pairs: 0,
            questions: 0,
        };
        let mut source = format!("{} {:?}", self.sources.annotations, self.sources.counted);
        for step in Step::ALL {
            let key = Folder::key(step, &self.settings(step), &source);
            if self.build.only == Some(step) || self.build.from.is_some_and(|from| from <= step) {
                self.folder.forget(step)?;
            }
            let (done, done_now) = match self.folder.finished(step, &key) {
                Some(done) => {
                    // A kill between the two last writes of a step leaves its log.
                    self.folder.forget_log(step)?;
                    (done, false)
                }
                None if self.build.only.is_some_and(|only| only != step) => {
                    return Err(StepError::Step {
                        path: self.folder.rows_file(step).display().to_string(),
                        row: None,
                        what: format!("step {} is not finished with these settings", step.name()),
                        help: "leave --step out: unfinished steps are then done in order",
                    }
                    .into());
                }
                None => (self.step(step, &key, &outcome.steps)?, true),
            };
            source = done.sha256;
            outcome.steps.push(self.tally(step, done_now)?);
            if self.build.only == Some(step) {
                return Ok(outcome);
            }
        }
        let rows = self.kept::<Questions>(Step::Questions)?;
        outcome.pairs = rows.len();
        outcome.questions = rows.iter().map(|(_, q)| q.questions.len()).sum();
        Ok(outcome)
    }

    /// What a step's rows depend on besides what it reads.
    fn settings(&self, step: Step) -> Value {
        let c = self.build.config;
        let chooser = self.build.chooser.map(ChatModel::identity);
        let editor = self.build.editor.identity();
        match step {
            Step::Statistics => json!({}),
            Step::Roles => json!([
                c.seed,
                c.candidates,
                c.allow_present,
                c.max_instances,
                c.min_target_share,
                c.max_target_share,
                c.max_edits_per_image
            ]),
            Step::Choice => json!([
                chooser,
                c.mark_iterations,
                c.max_enlargement,
                self.build.editor.inserts_cutouts()
            ]),
            Step::Edit => json!([editor, c.seed, c.mask_iterations]),
            Step::Quality => json!([
                self.build.scorer.map(ClassScorer::identity),
                c.min_target_reached,
                c.min_change,
                c.min_score_gain
            ]),
            Step::Questions => json!([c.seed, c.absent, c.absent_rule, c.image_format]),
            // The card names everything.
            Step::Dataset => json!([
                c,
                chooser,
                editor,
                self.build.scorer.map(ClassScorer::identity)
            ]),
        }
    }

    fn step(&self, step: Step, key: &str, before: &[Tally]) -> Result<Done, BuildError> {
        let rows = match step {
            Step::Statistics => {
                let counted = self.build.counted.map(CocoInstances::open).transpose()?;
                lines(&Statistics::of(counted.as_ref().unwrap_or(self.scene.coco)).classes)
            }
            Step::Roles => {
                let (images, config) = (self.build.images, self.build.config);
                lines(&roles::decide(
                    self.scene.coco,
                    images,
                    &self.statistics()?,
                    config,
                ))
            }
            Step::Choice => lines(&self.choices(key)?),
            Step::Edit => lines(&self.edits(key)?),
            Step::Quality => lines(&self.checks(key)?),
            Step::Questions => {
                let pairs = self.kept::<Pair>(Step::Quality)?;
                let pairs = pairs
                    .into_iter()
                    .map(|(id, pair)| Row::kept(id, pair))
                    .collect();
                let rows = questions::ask(pairs, &self.statistics()?, self.build.config);
                let pairs: Vec<Questions> = rows.iter().filter_map(|r| r.kept.clone()).collect();
                dataset::check_names(&pairs)?;
                lines(&rows)
            }
            Step::Dataset => self.dataset(key, before)?,
        };
        Ok(self.folder.finish(step, key, &rows)?)
    }

    fn statistics(&self) -> Result<Statistics, BuildError> {
        let classes = self.folder.read::<ClassCount>(Step::Statistics)?;
        Ok(Statistics { classes })
    }

    /// What a step kept, with the identity of each row; at least one.
    fn kept<T: DeserializeOwned>(&self, step: Step) -> Result<Vec<(String, T)>, BuildError> {
        let rows = self.folder.read::<Row<T>>(step)?;
        let count = rows.len();
        let kept: Vec<(String, T)> = rows
            .into_iter()
            .filter_map(|row| Some((row.id, row.kept?)))
            .collect();
        if !kept.is_empty() {
            return Ok(kept);
        }
        let tally = self.tally(step, false)?;
        let most = tally.reasons.iter().max_by_key(|(_, count)| **count);
        Err(BuildError::Nothing {
            step: step.name(),
            rows: count,
            reason: most.map_or("there was nothing to read".into(), |(reason, _)| {
                reason.clone()
            }),
            help: "give more images, or relax the limits that dropped them",
        })
    }

    fn choices(&self, key: &str) -> Result<Vec<Row<Choice>>, BuildError> {
        let roles = self.kept::<Role>(Step::Roles)?;
        let chooser = Chooser {
            scene: self.scene,
            catalogue: Catalogue::of(self.scene.coco, self.build.images),
            model: self.build.chooser,
            cutouts: self.build.editor.inserts_cutouts(),
            config: self.build.config,
        };
        let at_once = self.build.chooser.map_or(1, |model| model.calls().at_once);
        let work = self.work(Step::Choice, key, &roles, at_once);
        decide(
            &self.folder,
            &work,
            |_| true,
            |(id, role)| chooser.choose(id, role),
        )
    }

    fn edits(&self, key: &str) -> Result<Vec<Row<EditRecord>>, BuildError> {
        let choices = self.kept::<Choice>(Step::Choice)?;
        let edits = EditStep {
            scene: self.scene,
            folder: &self.folder,
            editor: self.build.editor,
            config: self.build.config,
        };
        let work = self.work(Step::Edit, key, &choices, self.build.editor.at_once());
        let whole = |row: &Row<EditRecord>| edits.is_whole(row);
        decide(&self.folder, &work, whole, |(id, choice)| {
            edits.edit(id, choice)
        })
    }

    fn checks(&self, key: &str) -> Result<Vec<Row<Pair>>, BuildError> {
        let edits = self.kept::<EditRecord>(Step::Edit)?;
        let gate = QualityStep {
            scene: self.scene,
            folder: &self.folder,
            scorer: self.build.scorer,
            config: self.build.config,
        };
        let at_once = (self.build.scorer).map_or_else(threads, ClassScorer::at_once);
        let work = self.work(Step::Quality, key, &edits, at_once);
        decide(
            &self.folder,
            &work,
            |_| true,
            |(id, edit)| gate.check(id, edit),
        )
    }

    fn dataset(&self, key: &str, tallies: &[Tally]) -> Result<Vec<u8>, BuildError> {
        let pairs = self.kept::<Questions>(Step::Questions)?;
        let pairs: Vec<Questions> = pairs.into_iter().map(|(_, questions)| questions).collect();
        let items: Vec<(String, dataset::Item)> = (dataset::items(&pairs).into_iter())
            .map(|item| (item.name.clone(), item))
            .collect();
        let work = self.work(dataset::STEP, key, &items, threads());
        let there = |row: &Row<dataset::Written>| {
            row.kept.as_ref().is_some_and(|written| {
                let file = self.folder.out.join("images").join(&written.name);
                file_sha256(&file).is_ok_and(|sha256| sha256 == written.sha256)
            })
        };
        let rows = decide(&self.folder, &work, there, |(_, item)| {
            dataset::write(item, &self.folder, &self.scene, self.build.config)
        })?;
        let items: Vec<dataset::Item> = items.into_iter().map(|(_, item)| item).collect();
        dataset::remove_others(&self.folder, &items)?;
        dataset::write_questions(&self.folder.out, &pairs)?;
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let counted = self
            .build
            .counted
            .map(name)
            .zip(self.sources.counted.clone());
        let card = Card {
            pairs: &pairs,
            tallies,
            scene: &self.scene,
            annotations: &name(self.build.annotations),
            annotations_sha256: &self.sources.annotations,
            counted: counted
                .as_ref()
                .map(|(name, sha256)| (name.as_str(), sha256.as_str())),
            config: self.build.config,
            editor: self.build.editor.identity(),
            chooser: self.build.chooser.map(ChatModel::identity),
            scorer: self.build.scorer.map(ClassScorer::identity),
        };
        write_atomic(&self.folder.out.join("README.md"), card.render().as_bytes())?;
        let report = page::render(&self.folder, &pairs, tallies)?;
        write_atomic(&self.folder.out.join("report.html"), report.as_bytes())?;
        Ok(lines(&rows))
    }

    fn work<'b, T>(
        &'b self,
        step: Step,
        key: &'b str,
        items: &'b [(String, T)],
        at_once: usize,
    ) -> Work<'b, (String, T)> {
        Work {
            step: step.into(),
            key,
            items,
            id: |(id, _)| id.clone(),
            at_once,
            progress: self.build.progress,
        }
    }

    fn tally(&self, step: Step, done_now: bool) -> Result<Tally, BuildError> {
        let mut tally = Tally {
            step,
            done_now,
            kept: 0,
            reasons: BTreeMap::new(),
        };
        if step == Step::Statistics {
            tally.kept = self.statistics()?.classes.len();
            return Ok(tally);
        }
        for row in self.folder.read::<Row<Value>>(step)? {
            match row.dropped {
                None => tally.kept += 1,
                Some(reason) => *tally.reasons.entry(kind(&reason)).or_default() += 1,
            }
        }
        Ok(tally)
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
