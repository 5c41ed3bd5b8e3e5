//! The steps in order: what is finished stays, what changed is done again.

use std::collections::HashMap;
use std::path::Path;

use percept_base::files::write_atomic;
use percept_data::Dataset;
use percept_steps::{Done, Folder, Progress, Row, Work, decide, io, lines, reasons};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::finish::{Decided, PairStep, Reasons, Written, counts, remove_others};
use crate::pictures::is_whole;
use crate::ruins::ruin;
use crate::steps::boxes::BoxStep;
use crate::steps::candidates::CandidateStep;
use crate::steps::choice::ChoiceStep;
use crate::steps::masks::MaskStep;
use crate::steps::pictures::PictureStep;
use crate::steps::rows::{key, read};
use crate::steps::tags::TagStep;
use crate::{
    BoxRecord, CandidateFile, ChoiceRecord, MaskRecord, Method, Outcome, PairsConfig, PairsError,
    SourceRow, Step, StepTally, TagRecord, Tools, guard, page,
};

/// What pairs are made from and with.
pub struct Build<'a> {
    /// The rows.
    pub data: &'a dyn Dataset,
    /// What names their content: SHA-256 of the files, and where pictures are looked for.
    pub source: Value,
    /// The output folder.
    pub out: &'a Path,
    /// Settings.
    pub config: &'a PairsConfig,
    /// What [`Method::Adavip`] works with; other methods need none.
    pub tools: Option<Tools<'a>>,
    /// Do this step and those behind it again.
    pub from: Option<Step>,
    /// Rows under way at once, where a tool allows it.
    pub workers: usize,
    /// Called as rows are done, from any thread.
    pub progress: &'a Progress<'a>,
}

/// Makes pairs, or goes on with them.
///
/// # Errors
/// Settings that mean nothing, a folder of other files, files that cannot be read or written, a tool that failed. What was
/// finished stays.
pub fn build(build: &Build<'_>) -> Result<Outcome, PairsError> {
    build.config.check()?;
    if build.config.method == Method::Adavip && build.tools.is_none() {
        return Err(PairsError::Missing {
            tool: "tools",
            help: "adavip needs a tagger, a detector and what follows them",
        });
    }
    let (folder, _guard) = guard::take(build.out, build.config.method)?;
    Run { build, folder }.all()
}

struct Run<'a> {
    build: &'a Build<'a>,
    folder: Folder,
}

/// Rows of a step by their keys.
type Kept<T> = HashMap<String, T>;

/// Rows of a step in their order, with their keys.
type Keyed<T> = Vec<(String, T)>;

impl<'a> Run<'a> {
    fn method(&self) -> Method {
        self.build.config.method
    }

    fn all(&self) -> Result<Outcome, PairsError> {
        let mut source = self.build.source.to_string();
        let mut steps: Vec<StepTally> = Vec::new();
        for &step in Step::of(self.method()) {
            let id = step.id(self.method());
            let key = Folder::key(id, &self.settings(step), &source);
            if self.build.from.is_some_and(|from| from <= step) {
                self.folder.forget(id)?;
            }
            let (done, done_now) = match self.folder.finished(id, &key) {
                Some(done) => {
                    // A kill between the two last writes of a step leaves its log.
                    self.folder.forget_log(id)?;
                    (done, false)
                }
                None => (self.step(step, &key, &steps)?, true),
            };
            source = format!("{source} {}", done.sha256);
            steps.push(self.tally(step, done_now)?);
        }
        self.outcome(steps)
    }

    /// What a step's rows depend on besides what it reads.
    fn settings(&self, step: Step) -> Value {
        let c = self.build.config;
        let tool = |name: fn(&Tools<'_>) -> Value| self.build.tools.as_ref().map(name);
        match step {
            Step::Rows => json!([c.limit, c.method]),
            Step::Tags => json!([
                tool(|t| t.tagger.identity()),
                c.tag_threshold,
                c.max_candidates,
                c.skip_failures
            ]),
            Step::Boxes => json!([
                tool(|t| t.detector.identity()),
                c.box_threshold,
                c.text_threshold,
                c.skip_failures
            ]),
            Step::Masks => json!([
                tool(|t| t.segmenter.identity()),
                c.dilate,
                c.min_area,
                c.max_area,
                c.skip_failures
            ]),
            Step::Candidates => json!([tool(|t| t.remover.identity()), c.seed, c.skip_failures]),
            Step::Choice => json!([tool(|t| t.scorer.identity()), c.min_drop, c.skip_failures]),
            Step::Pictures => {
                json!([c.seed, ruin(c).map(|ruin| ruin.identity())])
            }
            // The summary names everything.
            Step::Pairs => json!([c, self.identities()]),
        }
    }

    fn identities(&self) -> Value {
        let Some(tools) = &self.build.tools else {
            return json!({"ruin": ruin(self.build.config).map(|r| r.identity())});
        };
        json!([
            tools.tagger.identity(),
            tools.detector.identity(),
            tools.segmenter.identity(),
            tools.remover.identity(),
            tools.scorer.identity()
        ])
    }

    fn step(&self, step: Step, key: &str, before: &[StepTally]) -> Result<Done, PairsError> {
        let rows = match (step, &self.build.tools) {
            (Step::Rows, _) => self.rows(key)?,
            (Step::Pictures, _) => self.pictures(key)?,
            (Step::Pairs, _) => self.pairs(key, before)?,
            (Step::Tags, Some(tools)) => self.tags(key, tools)?,
            (Step::Boxes, Some(tools)) => self.boxes(key, tools)?,
            (Step::Masks, Some(tools)) => self.masks(key, tools)?,
            (Step::Candidates, Some(tools)) => self.candidates(key, tools)?,
            (Step::Choice, Some(tools)) => self.choices(key, tools)?,
            // `build` refused this.
            (_, None) => Vec::new(),
        };
        Ok(self.folder.finish(step.id(self.method()), key, &rows)?)
    }

    fn decided<T, R>(
        &self,
        step: Step,
        key: &str,
        items: &[(String, T)],
        at_once: usize,
        whole: impl Fn(&Row<R>) -> bool,
        each: impl Fn(&str, &T) -> Result<Row<R>, PairsError> + Sync,
    ) -> Result<Vec<Row<R>>, PairsError>
    where
        T: Sync,
        R: Serialize + DeserializeOwned + Send,
    {
        let work = Work {
            step: step.id(self.method()),
            key,
            items,
            id: |(id, _)| id.clone(),
            at_once: at_once.min(self.build.workers).max(1),
            progress: self.build.progress,
        };
        decide(&self.folder, &work, whole, |(id, item)| each(id, item))
    }

    fn rows(&self, build_key: &str) -> Result<Vec<u8>, PairsError> {
        let count = match self.build.config.limit {
            0 => self.build.data.len(),
            limit => limit.min(self.build.data.len()),
        };
        let items: Vec<(String, usize)> = (0..count).map(|at| (key(at), at)).collect();
        let rows = self.decided(
            Step::Rows,
            build_key,
            &items,
            usize::MAX,
            |_| true,
            |_, at| Ok(read(self.build.data, self.method(), *at)),
        )?;
        Ok(lines(&rows))
    }

    /// The rows that a step kept, in their order.
    fn kept<T: DeserializeOwned>(&self, step: Step) -> Result<Keyed<T>, PairsError> {
        let rows = self
            .folder
            .read::<Row<T>>(step.id(self.method()))?
            .into_iter();
        Ok(rows.filter_map(|row| Some((row.id, row.kept?))).collect())
    }

    /// Rows that can get a rejected picture.
    fn sources(&self) -> Result<Keyed<SourceRow>, PairsError> {
        let mut rows = self.kept::<SourceRow>(Step::Rows)?;
        rows.retain(|(_, row)| row.skipped.is_none());
        Ok(rows)
    }

    /// Rows that went through a step, each with its source.
    fn with<T: DeserializeOwned>(&self, step: Step) -> Result<Keyed<(SourceRow, T)>, PairsError> {
        let mut sources: Kept<SourceRow> = self.sources()?.into_iter().collect();
        let rows = self.kept::<T>(step)?.into_iter();
        let rows = rows.filter_map(|(key, row)| {
            let source = sources.remove(&key)?;
            Some((key, (source, row)))
        });
        Ok(rows.collect())
    }

    fn tags(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = TagStep {
            data: self.build.data,
            tagger: tools.tagger,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Tags,
            key,
            &self.sources()?,
            tools.tagger.at_once(),
            |_| true,
            |key, row| step.tag(key, row),
        )?;
        Ok(lines(&rows))
    }

    fn boxes(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = BoxStep {
            data: self.build.data,
            detector: tools.detector,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Boxes,
            key,
            &self.with::<TagRecord>(Step::Tags)?,
            tools.detector.at_once(),
            |_| true,
            |key, (row, tags)| step.find(key, row, tags),
        )?;
        Ok(lines(&rows))
    }

    fn masks(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = MaskStep {
            data: self.build.data,
            segmenter: tools.segmenter,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Masks,
            key,
            &self.with::<BoxRecord>(Step::Boxes)?,
            tools.segmenter.at_once(),
            |_| true,
            |key, (row, boxes)| step.segment(key, row, boxes),
        )?;
        Ok(lines(&rows))
    }

    fn candidates(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = CandidateStep {
            data: self.build.data,
            folder: &self.folder,
            remover: tools.remover,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Candidates,
            key,
            &self.with::<MaskRecord>(Step::Masks)?,
            tools.remover.at_once(),
            |row| self.are_whole(row),
            |key, (row, masks)| step.make(key, row, masks),
        )?;
        let files = rows.iter().filter_map(|row| row.kept.as_ref()).flatten();
        let names: Vec<&str> = files.map(|made| made.file.as_str()).collect();
        remove_others(&self.folder, "candidates", &names)?;
        Ok(lines(&rows))
    }

    fn are_whole(&self, row: &Row<Vec<CandidateFile>>) -> bool {
        let mut made = row.kept.iter().flatten();
        made.all(|made| is_whole(&self.folder, made))
    }

    fn choices(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = ChoiceStep {
            data: self.build.data,
            folder: &self.folder,
            scorer: tools.scorer,
            config: self.build.config,
        };
        let mut made: Kept<Vec<CandidateFile>> = self.kept(Step::Candidates)?.into_iter().collect();
        let rows = self.with::<MaskRecord>(Step::Masks)?.into_iter();
        let rows = rows.filter_map(|(key, (row, masks))| {
            let made = made.remove(&key)?;
            Some((key, (row, masks, made)))
        });
        let rows = self.decided(
            Step::Choice,
            key,
            &rows.collect::<Vec<_>>(),
            tools.scorer.at_once(),
            |_| true,
            |key, (row, masks, made)| step.choose(key, row, masks, made),
        )?;
        Ok(lines(&rows))
    }

    fn pictures(&self, key: &str) -> Result<Vec<u8>, PairsError> {
        let items = self.sources()?;
        let rows: Vec<SourceRow> = items.iter().map(|(_, row)| row.clone()).collect();
        let ruin = ruin(self.build.config);
        let step = PictureStep {
            data: self.build.data,
            folder: &self.folder,
            method: self.method(),
            ruin: ruin.as_deref(),
            seed: self.build.config.seed,
            rows: &rows,
        };
        let rows = self.decided(
            Step::Pictures,
            key,
            &items,
            usize::MAX,
            |row| self.are_whole(row),
            |_, row| step.make(row),
        )?;
        Ok(lines(&rows))
    }

    /// Why the steps before the last left rows out.
    fn reasons(&self) -> Result<Reasons, PairsError> {
        let mut all = Reasons::new();
        for (key, row) in self.kept::<SourceRow>(Step::Rows)? {
            all.extend(row.skipped.map(|reason| (key, reason)));
        }
        for &step in Step::of(self.method()) {
            if step == Step::Pairs {
                break;
            }
            for row in self.folder.read::<Row<Value>>(step.id(self.method()))? {
                all.extend(row.dropped.map(|reason| (row.id, reason)));
            }
        }
        Ok(all)
    }

    /// Every row that is a pair of answers or of pictures, with its pictures.
    fn decisions(&self) -> Result<Keyed<Decided>, PairsError> {
        let reasons = self.reasons()?;
        let adavip = self.method() == Method::Adavip;
        let (mut files, mut choices): (Kept<Vec<CandidateFile>>, Kept<ChoiceRecord>) = match adavip
        {
            true => (
                self.kept(Step::Candidates)?.into_iter().collect(),
                self.kept(Step::Choice)?.into_iter().collect(),
            ),
            false => (
                self.kept(Step::Pictures)?.into_iter().collect(),
                Kept::new(),
            ),
        };
        let name = self.method().name();
        let decided = |(key, row): (String, SourceRow)| {
            let made = files.remove(&key);
            let (pictures, decision) = match (made, choices.remove(&key), reasons.get(&key)) {
                (Some(made), Some(choice), _) => {
                    let chosen = made.into_iter().filter(|file| file.tag == choice.chosen);
                    let decision = json!({"method": name, "removed": choice.chosen,
                        "similarity": choice.original, "candidates": choice.candidates});
                    (Ok(chosen.collect()), decision)
                }
                (Some(made), None, _) if !adavip => {
                    let from: Vec<&str> = made.iter().map(|file| file.tag.as_str()).collect();
                    let decision = json!({"method": name, "made": from});
                    (Ok(made), decision)
                }
                (_, _, reason) => {
                    let reason = reason.map_or("no step decided about it", String::as_str);
                    let decision = json!({"method": name, "skipped": reason});
                    (Err(reason.to_owned()), decision)
                }
            };
            let decided = Decided {
                row,
                pictures,
                decision,
            };
            (key, decided)
        };
        let rows = self.kept::<SourceRow>(Step::Rows)?;
        Ok(rows.into_iter().map(decided).collect())
    }

    fn pairs(&self, key: &str, before: &[StepTally]) -> Result<Vec<u8>, PairsError> {
        let out = &self.folder.out;
        let step = PairStep {
            data: self.build.data,
            folder: &self.folder,
            base: out.canonicalize().map_err(io(out))?,
        };
        let items = self.decisions()?;
        let rows = self.decided(
            Step::Pairs,
            key,
            &items,
            usize::MAX,
            |row| step.is_whole(row),
            |_, decided| step.write(decided),
        )?;
        let kept: Vec<&Written> = rows.iter().filter_map(|row| row.kept.as_ref()).collect();
        let files = kept.iter().flat_map(|written| &written.files);
        let names: Vec<&str> = files.map(String::as_str).collect();
        remove_others(&self.folder, "images", &names)?;
        let pairs: Vec<&Value> = kept.iter().map(|written| &written.row).collect();
        write_atomic(&out.join("pairs.jsonl"), &lines(&pairs))?;
        let mut summary = json!({
            "method": self.method(),
            "counts": counts(&rows, unread(before)),
            "no_rejected_picture": reasons(self.reasons()?.values().map(String::as_str)),
            "steps": before,
            "config": self.build.config,
            "tools": self.identities(),
        });
        summary["source"] = self.build.source.clone();
        let mut text = serde_json::to_vec_pretty(&summary).unwrap_or_default();
        text.push(b'\n');
        write_atomic(&out.join("summary.json"), &text)?;
        let page = self.page(&rows, before)?;
        write_atomic(&out.join("index.html"), page.as_bytes())?;
        Ok(lines(&rows))
    }

    fn page(&self, rows: &[Row<Written>], before: &[StepTally]) -> Result<String, PairsError> {
        page::render(&page::Shown {
            data: self.build.data,
            folder: &self.folder,
            method: self.method(),
            sources: &self.kept::<SourceRow>(Step::Rows)?,
            rows,
            steps: before,
            reasons: &self.reasons()?,
            tags: self.by_key(Step::Tags)?,
            boxes: self.by_key(Step::Boxes)?,
            masks: self.by_key(Step::Masks)?,
            candidates: self.by_key(Step::Candidates)?,
            choices: self.by_key(Step::Choice)?,
        })
    }

    /// The rows that a step of `adavip` kept; none of other methods.
    fn by_key<T: DeserializeOwned>(&self, step: Step) -> Result<Kept<T>, PairsError> {
        match self.method() {
            Method::Adavip => Ok(self.kept(step)?.into_iter().collect()),
            _ => Ok(Kept::new()),
        }
    }

    fn tally(&self, step: Step, done_now: bool) -> Result<StepTally, PairsError> {
        let rows = self.folder.read::<Row<Value>>(step.id(self.method()))?;
        let left_out = rows.iter().filter_map(|row| row.dropped.as_deref());
        let left_out = reasons(left_out);
        Ok(StepTally {
            step: step.name(),
            kept: rows.iter().filter(|row| row.kept.is_some()).count(),
            left_out,
            done_now,
        })
    }

    fn outcome(&self, steps: Vec<StepTally>) -> Result<Outcome, PairsError> {
        let rows = self
            .folder
            .read::<Row<Written>>(Step::Pairs.id(self.method()))?;
        let kept: Vec<&Written> = rows.iter().filter_map(|row| row.kept.as_ref()).collect();
        let visual = kept.iter().filter(|written| written.visual).count();
        Ok(Outcome {
            visual,
            language: kept.len() - visual,
            dropped: rows.len() - kept.len() + unread(&steps),
            had_pictures: kept.iter().filter(|written| written.had_pictures).count(),
            skipped: reasons(self.reasons()?.values().map(String::as_str)),
            steps,
        })
    }
}

/// Rows that the first step left out, which are in no later one.
fn unread(steps: &[StepTally]) -> usize {
    steps
        .first()
        .map_or(0, |first| first.left_out.values().sum())
}
